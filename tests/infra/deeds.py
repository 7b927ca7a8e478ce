"""What no role may do, as questions to IAM; tests of the plain policies and of what is deployed ask the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEASED = {"aws:ResourceTag/PgDrillRole": "drill", "aws:ResourceTag/ManagedBy": "pgdrill"}
AS_A_DRILL = {"aws:RequestTag/PgDrillRole": "drill", "rds:PubliclyAccessible": "false"}
IN_PUBLIC = AS_A_DRILL | {"rds:PubliclyAccessible": "true"}
RESTORES = ("rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime")


@dataclass(frozen=True)
class Deed:
    """`keys` are the condition keys that AWS supplies with such a call."""

    action: str
    resource: str
    keys: Mapping[str, Any]


def marked(suffix: str) -> dict[str, str]:
    return {"aws:ResourceTag/PgDrillRole": "point", "aws:ResourceTag/PgDrillSuffix": suffix}


def forbidden(region: str, account: str, suffix: str, production: str) -> dict[str, Deed]:
    """Return them by what they are. `production` is the name of an instance."""
    stem = f"arn:aws:rds:{region}:{account}"
    instance, temporary = f"{stem}:db:{production}", f"{stem}:db:pgdrill-{suffix}-drill-shop"
    point, foreign = (
        f"{stem}:snapshot:pgdrill-{suffix}-shop-2026-11-22t06z",
        f"{stem}:snapshot:somebody-elses",
    )
    carrying = {"aws:RequestTag/PgDrillRole": "drill"}
    bare = {"rds:PubliclyAccessible": "false"}
    return {
        "delete production": Deed("rds:DeleteDBInstance", instance, {}),
        "delete production, tagged as a drill": Deed("rds:DeleteDBInstance", instance, LEASED),
        "modify production": Deed("rds:ModifyDBInstance", instance, {}),
        "stop production": Deed("rds:StopDBInstance", instance, {}),
        "reboot production": Deed("rds:RebootDBInstance", instance, {}),
        "promote production": Deed("rds:PromoteReadReplica", instance, {}),
        "untag production": Deed("rds:RemoveTagsFromResource", instance, {}),
        "tag production": Deed("rds:AddTagsToResource", instance, carrying),
        "restore a snapshot over production": Deed(RESTORES[0], instance, AS_A_DRILL),
        "delete a temporary name without a lease": Deed("rds:DeleteDBInstance", temporary, {}),
        "modify a temporary name without a lease": Deed("rds:ModifyDBInstance", temporary, {}),
        "restore untagged": Deed(RESTORES[0], temporary, bare),
        "restore a moment untagged": Deed(RESTORES[1], temporary, bare),
        "restore in public": Deed(RESTORES[0], temporary, IN_PUBLIC),
        "restore a moment in public": Deed(RESTORES[1], temporary, IN_PUBLIC),
        "share a point": Deed("rds:ModifyDBSnapshotAttribute", point, marked(suffix)),
        "untag a point": Deed("rds:RemoveTagsFromResource", point, marked(suffix)),
        "delete somebody's snapshot": Deed("rds:DeleteDBSnapshot", foreign, {}),
        "delete a point of another suffix": Deed("rds:DeleteDBSnapshot", point, marked(f"{suffix}x")),
        "tag somebody's snapshot": Deed("rds:AddTagsToResource", foreign, {}),
        "delete production's automated backups": Deed(
            "rds:DeleteDBInstanceAutomatedBackup", f"{stem}:auto-backup:ab-shop", {}
        ),
    }
