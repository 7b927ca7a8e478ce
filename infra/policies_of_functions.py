"""What each function of a cell may do, by ARN, tag and condition; one role each, so one policy each.

The order is that of docs/permissions.md, which says why a step makes a call. Plain functions on a Scope.
"""

from collections.abc import Callable

from functions import FUNCTIONS, Function
from policies import (
    EVERYTHING,
    RESTORES,
    Document,
    Scope,
    Statement,
    allow,
    denials,
    deny,
    document,
    leased,
    marked,
    via,
)

# Statements that cannot name a resource, each with the reason.
WIDE = {
    "Interfaces": "Lambda makes the network interfaces of a function before they have a name; a function's own code"
    " is denied all of them",
    "LookAtQuotas": "rds:DescribeAccountAttributes knows no resource",
    "LookAtBackups": "rds:DescribeDBInstanceAutomatedBackups is asked by an instance's name, and evaluated on no"
    " resource",
    "LookAtExports": "rds:DescribeExportTasks lists the tasks of an account, which have no ARN",
}


# What RDS may do with keys in the name of whoever copies, beside making grants; its documents do not list it.
ENCRYPTS_ANEW = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)

# What several need ------------------------------------------------------------------------------------------


def runs(scope: Scope, function: Function) -> tuple[Statement, ...]:
    """Return what a function needs to run in a VPC and to tell what it did, and to know its plan.

    Source: Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC".
    """
    name = scope.named(function.name)
    interfaces = [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    ]
    arn = scope.arn("lambda", f"function:{name}")
    log = scope.arn("logs", f"log-group:/aws/lambda/{name}:*")
    return (
        allow("Interfaces", interfaces, EVERYTHING),
        deny(
            "InterfacesAreLambdas",
            [*interfaces, "ec2:DetachNetworkInterface"],
            EVERYTHING,
            ArnEquals={"lambda:SourceFunctionArn": arn},
        ),
        allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], log),
        allow(
            "ReadEnvironment",
            "kms:Decrypt",
            scope.storage_key,
            StringEquals={"kms:EncryptionContext:aws:lambda:FunctionArn": arn},
        ),
    )


def files(scope: Scope, *, read: tuple[str, ...] = (), write: tuple[str, ...] = ()) -> list[Statement]:
    """Let a function read and write below prefixes of the evidence bucket; every one reads its plan.

    S3 answers that an object is not there only to who may list the bucket; that question carries no prefix.
    """
    through = via("s3", scope.region)
    statements = [
        allow("Read", "s3:GetObject", scope.objects("plan", *read)),
        allow("Decrypt", "kms:Decrypt", scope.storage_key, StringEquals=through),
    ]
    if read:
        below = {"s3:prefix": [f"{prefix}/*" for prefix in read]}
        bucket = f"arn:aws:s3:::{scope.evidence}"
        statements.append(allow("List", "s3:ListBucket", bucket, StringLikeIfExists=below))
    if write:
        statements += [
            allow("Write", "s3:PutObject", scope.objects(*write)),
            allow("Encrypt", "kms:GenerateDataKey", scope.storage_key, StringEquals=through),
        ]
    return statements


def sees_temporary(scope: Scope) -> Statement:
    return allow("LookAtTemporary", "rds:DescribeDBInstances", scope.temporary)


def sees_instances(scope: Scope) -> Statement:
    """A list is evaluated on `db:*`. For production as well: to name each twice would let fewer of them fit."""
    return allow("LookAtInstances", "rds:DescribeDBInstances", scope.rds("db", "*"))


def sees_snapshots(scope: Scope) -> Statement:
    """A list is evaluated on `snapshot:*`, and on the instance that it is asked for by."""
    return allow(
        "LookAtSnapshots", "rds:DescribeDBSnapshots", [scope.rds("db", "*"), scope.rds("snapshot", "*")]
    )


def sees_backups() -> Statement:
    return allow("LookAtBackups", "rds:DescribeDBInstanceAutomatedBackups", EVERYTHING)


def sees_exports() -> Statement:
    return allow("LookAtExports", "rds:DescribeExportTasks", EVERYTHING)


def gathers(scope: Scope) -> list[Statement]:
    """What the inventory of a cell is made from."""
    return [
        sees_instances(scope),
        sees_snapshots(scope),
        sees_exports(),
        allow("LookAtQuotas", "rds:DescribeAccountAttributes", EVERYTHING),
    ]


INVENTORY = ("drills", "evidence", "inventory", "witness")


def deletes_points(scope: Scope) -> Statement:
    return allow("DeletePoints", "rds:DeleteDBSnapshot", scope.points, StringEquals=marked(scope))


def deletes_leases(scope: Scope) -> Statement:
    return allow("DeleteTemporary", "rds:DeleteDBInstance", scope.temporary, StringEquals=leased())


def grants(scope: Scope, keys: tuple[str, ...], *regions: str) -> list[Statement]:
    """Let RDS use keys in the role's name: it makes grants of its own, and nobody else can be granted anything.

    Source: RDS User Guide, "AWS KMS key management".
    """
    through = via("rds", *(regions or (scope.region,)))
    return [
        allow(
            "LetRdsUseKeys",
            "kms:CreateGrant",
            keys,
            StringEquals=through,
            Bool={"kms:GrantIsForAWSResource": "true"},
        ),
        allow("LetRdsSeeKeys", "kms:DescribeKey", keys, StringEquals=through),
    ]


def derives(scope: Scope) -> Statement:
    return allow("DerivePassword", "kms:GenerateMac", scope.mac_key)


def signs(scope: Scope) -> Statement:
    return allow("Sign", ["kms:Sign", "kms:GetPublicKey"], scope.signing_key)


def logs_in(scope: Scope) -> list[Statement]:
    """Which key a secret has is not known here."""
    return [
        allow("LogIn", "secretsmanager:GetSecretValue", map(scope.names.secret, scope.secrets)),
        allow(
            "UnlockSecret",
            "kms:Decrypt",
            scope.arn("kms", "key/*"),
            StringEquals=via("secretsmanager", scope.region),
        ),
    ]


# Each -------------------------------------------------------------------------------------------------------


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
    keys = (scope.storage_key, scope.mac_key, scope.signing_key)
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


def choose(scope: Scope) -> list[Statement]:
    """Only where production is, a moment can be restored, and one that is unproved looked for."""
    statements = [sees_instances(scope), sees_snapshots(scope), deletes_leases(scope)]
    if scope.is_primary:
        statements.append(sees_backups())
    read = ("evidence",) if scope.is_primary else ()
    return [*statements, *files(scope, read=read, write=("drills", "skipped"))]


def restore(scope: Scope) -> list[Statement]:
    """`db` is the target, and the source of a PITR; see `policies.denials` for what keeps the two apart."""
    sources = [scope.rds("snapshot", scope.named("*"))]
    targets = [scope.temporary]
    if scope.is_primary:
        sources += [scope.rds("snapshot", f"rds:{name}-*") for name in scope.instances]
        targets += [scope.rds("db", name) for name in scope.instances]
    groups = [
        scope.rds("subgrp", scope.subnet_group),
        scope.rds("pg", scope.parameter_group),
        scope.rds("og", "default:postgres-*"),
    ]
    as_a_drill = {"aws:RequestTag/PgDrillRole": "drill"}
    statements = [
        sees_temporary(scope),
        allow(
            "RestoreSnapshot",
            RESTORES[0],
            [scope.temporary, *sources, *groups],
            StringEquals=as_a_drill,
            Bool={"rds:PubliclyAccessible": "false"},
        ),
        allow("TagTemporary", "rds:AddTagsToResource", scope.temporary, StringEquals=as_a_drill),
        *grants(scope, scope.restored_keys),
        *files(scope, write=("drills",)),
    ]
    if scope.is_primary:
        statements.append(
            allow(
                "RestoreMoment",
                RESTORES[1],
                [*targets, *groups],
                StringEquals=as_a_drill,
                Bool={"rds:PubliclyAccessible": "false"},
            )
        )
    return statements


def observe(scope: Scope) -> list[Statement]:
    return [sees_temporary(scope), *files(scope, write=("drills",))]


def unlock(scope: Scope) -> list[Statement]:
    return [
        sees_temporary(scope),
        derives(scope),
        allow("SetPassword", "rds:ModifyDBInstance", scope.temporary, StringEquals=leased()),
        *files(scope, write=("drills",)),
    ]


def examine(scope: Scope) -> list[Statement]:
    return [
        sees_temporary(scope),
        derives(scope),
        *files(scope, read=("drills", "references", "seals", "witness"), write=("drills",)),
    ]


def judge(scope: Scope) -> list[Statement]:
    return [
        signs(scope),
        *files(
            scope,
            read=("drills", "evidence", "references", "seals", "skipped", "witness"),
            write=("drills", "evidence", "exports", "references"),
        ),
    ]


def destroy(scope: Scope) -> list[Statement]:
    return [
        sees_temporary(scope),
        sees_backups(),
        deletes_leases(scope),
        signs(scope),
        *files(scope, read=("evidence",), write=("drills", "evidence")),
    ]


def reap(scope: Scope) -> list[Statement]:
    return [sees_instances(scope), deletes_leases(scope), *files(scope)]


def confront(scope: Scope) -> list[Statement]:
    archive = f"arn:aws:s3:::{scope.archive}"
    return [
        sees_temporary(scope),
        sees_exports(),
        derives(scope),
        allow("ReadArchive", "s3:GetObject", f"{archive}/*"),
        allow("ListArchive", "s3:ListBucket", archive),
        *files(scope, write=("drills",)),
    ]


STATEMENTS: dict[str, Callable[[Scope], list[Statement]]] = {
    made.__name__: made
    for made in (
        beat, seal, take, retain, copy, export, watch, hear, choose, restore, observe, unlock, examine, judge, destroy,
        reap, confront,
    )
}  # fmt: skip
# What a function does in the other region: RDS asks there for a copy's source, and for its key, in the role's name.
# Source: RDS User Guide, "Requesting a cross-Region DB snapshot copy".
ELSEWHERE = {"copy": ("kms:CreateGrant", "kms:DescribeKey", "rds:CopyDBSnapshot", *ENCRYPTS_ANEW)}


def policy(scope: Scope, function: Function) -> Document:
    """Return the one policy of a function's role."""
    return document(
        *STATEMENTS[function.name](scope),
        *runs(scope, function),
        *denials(
            scope.names,
            elsewhere=ELSEWHERE.get(function.name, ()),
            passes_roles=function.name == "export",
        ),
    )


def policies(scope: Scope) -> dict[str, Document]:
    """Return the policies of all functions of a cell, by the function's name."""
    return {
        function.name: policy(scope, function)
        for function in FUNCTIONS
        if function.runs_in(primary=scope.is_primary)
    }
