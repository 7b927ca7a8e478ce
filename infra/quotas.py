"""How many manual snapshots RDS lets an account keep in a region: 100, unless more is asked for.

Four a day for thirty days are 120. AWS grants a request by itself or after a look, and takes none back: what was
granted stays when the deployment goes. Until it is granted, retention thins, so no new snapshot is ever refused.

The provider refuses to ask for less than there is, so what is there is looked at first. Once a request is granted it
is no resource any more; deleting it from the state does nothing in AWS.
"""

from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.planning.capacity import QUOTA_CODE, snapshots
from settings import Settings

# For points out of turn, and for whatever else the account keeps there.
SPARE = 20


def raise_quota(
    name: str, settings: Settings, names: Names, *, primary: bool, opts: pulumi.ResourceOptions
) -> None:
    """Ask for what the plan keeps in a region, where that is more than the account has there."""
    wanted = needed(settings, primary=primary)
    which: Any = {"service_code": "rds", "quota_code": QUOTA_CODE, "region": names.region}
    if wanted > aws.servicequotas.get_service_quota(**which).value:
        aws.servicequotas.ServiceQuota(f"{name}-snapshots", value=wanted, opts=opts, **which)


def needed(settings: Settings, *, primary: bool) -> int:
    kept = settings.points if primary else settings.copies
    return snapshots(settings.points, kept, len(settings.databases)) + SPARE
