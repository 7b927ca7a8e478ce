"""What the functions may do that take, keep, copy and export recovery points, beat the ledger and watch.

The order is that of docs/permissions.md, which says why a step makes a call. Plain functions on a Scope.
"""

from policies import Scope, Statement, allow, via
from statements import (
    INVENTORY,
    deletes_points,
    files,
    gathers,
    grants,
    logs_in,
    sees_exports,
    sees_instances,
    sees_snapshots,
)

# What RDS may do with keys in the name of whoever copies, beside making grants; its documents do not list it.
ENCRYPTS_ANEW = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


def beat(scope: Scope) -> list[Statement]:
    return [*logs_in(scope), *files(scope, write=("witness",))]


def seal(scope: Scope) -> list[Statement]:
    return [*logs_in(scope), *files(scope, read=("seals",), write=("seals",))]


def take(scope: Scope) -> list[Statement]:
    carried = {"aws:RequestTag/PgDrillRole": "point", "aws:RequestTag/PgDrillSuffix": scope.suffix}
    return [
        *gathers(scope),
        allow(
            "Take",
            "rds:CreateDBSnapshot",
            [*(scope.rds("db", name) for name in scope.instances), scope.points],
            StringEquals=carried,
        ),
        allow("TagPoints", "rds:AddTagsToResource", scope.points, StringEquals=carried),
        allow("LookAtKeys", "kms:DescribeKey", scope.sources),
        *files(scope, read=INVENTORY, write=("inventory",)),
    ]


def retain(scope: Scope) -> list[Statement]:
    return [
        *gathers(scope),
        deletes_points(scope),
        *files(scope, read=INVENTORY),
    ]


def copy(scope: Scope) -> list[Statement]:
    """Copies come from the other region, and RDS uses the keys of both in the role's name."""
    carried = {"aws:RequestTag/PgDrillRole": "point", "aws:RequestTag/PgDrillSuffix": scope.suffix}
    keys, regions = (scope.storage_key, *scope.sources), (scope.primary, scope.dr)
    return [
        *gathers(scope),
        allow(
            "Copy",
            "rds:CopyDBSnapshot",
            [scope.points, scope.rds("snapshot", scope.named("*"), scope.primary)],
        ),
        allow("TagPoints", "rds:AddTagsToResource", scope.points, StringEquals=carried),
        deletes_points(scope),
        *grants(scope, keys, *regions),
        # Grants are what is documented; who was refused for want of these was told that the source has no key.
        allow("LetRdsEncryptAnew", ENCRYPTS_ANEW, keys, StringEquals=via("rds", *regions)),
        *files(scope, read=INVENTORY, write=("inventory",)),
    ]


def export(scope: Scope) -> list[Statement]:
    archive = f"arn:aws:s3:::{scope.archive}"
    return [
        sees_instances(scope),
        sees_snapshots(scope),
        sees_exports(),
        allow("Export", "rds:StartExportTask", scope.points),
        allow(
            "PassExportRole",
            "iam:PassRole",
            scope.export_role,
            StringEquals={"iam:PassedToService": "export.rds.amazonaws.com"},
        ),
        *grants(scope, (scope.storage_key,)),
        allow("ReadArchive", "s3:GetObject", f"{archive}/*"),
        allow("ListArchive", "s3:ListBucket", archive),
        *files(scope, read=("exports", "seals"), write=("exports",)),
    ]


def watch(scope: Scope) -> list[Statement]:
    """Tells of all keys that something here rests on; where production is, also of those of the databases."""
    keys = (scope.storage_key, scope.messages_key, scope.mac_key, scope.signing_key)
    theirs = scope.sources if scope.is_primary else ()
    return [
        *gathers(scope),
        allow("LookAtKeys", "kms:DescribeKey", [*keys, *theirs]),
        *files(
            scope,
            read=(*INVENTORY, "canary", "exports", "skipped", "watch"),
            write=("inventory", "watch"),
        ),
    ]


def hear(scope: Scope) -> list[Statement]:
    return files(scope, read=("inventory",))
