"""How many manual snapshots RDS lets an account keep in a region: 100, unless more is asked for.

Four a day for thirty days are 120. AWS grants a request by itself or after a look, and takes none back: what was
granted stays when the deployment goes. Until it is granted, retention thins, so no new snapshot is ever refused.
"""

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.planning.capacity import QUOTA_CODE, snapshots
from pgdrill.planning.obstacle import SNAPSHOT_QUOTA
from settings import Settings

# For points out of turn, and for whatever else the account keeps there.
SPARE = 20


def raise_quota(
    name: str, settings: Settings, names: Names, *, primary: bool, opts: pulumi.ResourceOptions
) -> None:
    """Ask for what the plan keeps in a region, where that is more than the default."""
    wanted = needed(settings, primary=primary)
    if wanted <= SNAPSHOT_QUOTA:
        return
    aws.servicequotas.ServiceQuota(
        f"{name}-snapshots",
        service_code="rds",
        quota_code=QUOTA_CODE,
        value=wanted,
        region=names.region,
        opts=opts,
    )


def needed(settings: Settings, *, primary: bool) -> int:
    kept = settings.points if primary else settings.copies
    return snapshots(settings.points, kept, len(settings.databases)) + SPARE
