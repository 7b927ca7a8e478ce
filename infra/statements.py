"""What several functions of a cell may do: statements by what is seen, deleted, signed, read and written.

Plain functions on a Scope; each names no more than it has to.
"""

from policies import EVERYTHING, Scope, Statement, allow, leased, marked, via


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
