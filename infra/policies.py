"""What policies are made of: a cell's names as ARNs, statements, and what no role of pgdrill ever may.

Plain functions from a Scope to dicts, so that tests, documents and the program read the same. Nothing here makes a
resource or calls anything.

Source: Service Authorization Reference; RDS User Guide, "Identity-based policy examples" and "AWS KMS key management".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from naming import Names

Statement = dict[str, Any]
Document = dict[str, Any]

EVERYTHING = "*"
# IAM's limit for all inline policies of a role, white space not counted.
MOST = 10_240


@dataclass(frozen=True)
class Scope:
    """One cell as its policies name it. Keys are ARNs, buckets, instances and groups are names.

    `sources` are the keys that the databases are encrypted with, in the primary region; `secrets` are names or ARNs
    of the entries that beat and seal log in with, `masters` of those that nobody reads but a recovery.
    """

    suffix: str
    account: str
    region: str
    primary: str
    dr: str
    evidence: str
    archive: str
    storage_key: str
    messages_key: str
    mac_key: str
    signing_key: str
    sources: tuple[str, ...]
    instances: tuple[str, ...]
    secrets: tuple[str, ...]
    export_role: str
    subnet_group: str
    parameter_group: str
    masters: tuple[str, ...] = ()

    @property
    def names(self) -> Names:
        return Names(self.suffix, self.region, self.account)

    @property
    def is_primary(self) -> bool:
        return self.region == self.primary

    def arn(self, service: str, resource: str, region: str | None = None) -> str:
        return f"arn:aws:{service}:{region or self.region}:{self.account}:{resource}"

    def rds(self, kind: str, name: str, region: str | None = None) -> str:
        return self.arn("rds", f"{kind}:{name}", region)

    @property
    def stem(self) -> str:
        return f"pgdrill-{self.suffix}"

    def named(self, thing: str) -> str:
        return f"{self.stem}-{thing}"

    @property
    def temporary(self) -> str:
        """Every instance that a drill may make. No suffix holds a hyphen, so this is of no other one."""
        return self.rds("db", self.named("drill-*"))

    @property
    def points(self) -> str:
        return self.rds("snapshot", self.named("*"))

    @property
    def restored_keys(self) -> tuple[str, ...]:
        """The keys of what is restored here: a copy has this cell's own."""
        return self.sources if self.is_primary else (self.storage_key,)

    def objects(self, *prefixes: str) -> list[str]:
        return [f"arn:aws:s3:::{self.evidence}/{prefix}/*" for prefix in prefixes]


def allow(
    sid: str, actions: str | Iterable[str], resources: str | Iterable[str], **conditions: Mapping[str, Any]
) -> Statement:
    return _statement("Allow", sid, actions, resources, conditions)


def deny(
    sid: str, actions: str | Iterable[str], resources: str | Iterable[str], **conditions: Mapping[str, Any]
) -> Statement:
    return _statement("Deny", sid, actions, resources, conditions)


def _statement(
    effect: str,
    sid: str,
    actions: str | Iterable[str],
    resources: str | Iterable[str],
    conditions: Mapping[str, Any],
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": effect,
        "Action": _listed(actions),
        "Resource": _listed(resources),
    }
    return statement | ({"Condition": dict(conditions)} if conditions else {})


def _listed(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def tls_only(action: str, resources: str | list[str]) -> Statement:
    """Refuse everybody who does not come over TLS. A refusal needs `*`; it gives nobody anything."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def document(*statements: Statement) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def rendered(policy: Document) -> str:
    """Return a policy as IAM takes it.

    Raises:
        ValueError: it is longer than IAM takes.
    """
    text = json.dumps(policy, separators=(",", ":"))
    if len(text) > MOST:
        raise ValueError(
            f"a role's policy has {len(text)} characters and IAM takes {MOST}: the plan names too many databases for"
            " one deployment; put some of them under another stack.suffix"
        )
    return text


# Conditions -------------------------------------------------------------------------------------------------


def leased() -> dict[str, str]:
    """What a temporary instance carries, and nothing else in the account."""
    return {"aws:ResourceTag/PgDrillRole": "drill", "aws:ResourceTag/ManagedBy": "pgdrill"}


def marked(scope: Scope) -> dict[str, str]:
    """What a point of this deployment carries."""
    return {"aws:ResourceTag/PgDrillRole": "point", "aws:ResourceTag/PgDrillSuffix": scope.suffix}


def via(service: str, *regions: str) -> dict[str, Any]:
    """Say that a key is used by a service in the role's name, and never directly."""
    names = [f"{service}.{region}.amazonaws.com" for region in regions]
    return {"kms:ViaService": names[0] if len(names) == 1 else names}


# Denials ----------------------------------------------------------------------------------------------------

# What nobody here has any reason to do, to whichever instance, snapshot or backup.
NEVER = (
    "rds:CreateDBInstance",
    "rds:CreateDBInstanceReadReplica",
    "rds:DeleteDBInstanceAutomatedBackup",
    "rds:ModifyDBSnapshot",
    "rds:ModifyDBSnapshotAttribute",
    "rds:PromoteReadReplica",
    "rds:RebootDBInstance",
    "rds:RemoveTagsFromResource",
    "rds:RestoreDBInstanceFromS3",
    "rds:StartDBInstance",
    "rds:StopDBInstance",
    "rds:StopDBInstanceAutomatedBackupsReplication",
    "rds:SwitchoverReadReplica",
)
# What is done to temporary instances, and must never reach another.
ON_LEASE_ONLY = ("rds:DeleteDBInstance", "rds:ModifyDBInstance")
RESTORES = ("rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime")
# Groups are evaluated with an instance that is modified or restored; they are nobody's data.
_GROUPS = ("og", "pg", "secgrp", "subgrp")


def denials(
    names: Names, *, elsewhere: Iterable[str] = (), passes_roles: bool = False
) -> tuple[Statement, ...]:
    """Return what every role is denied, whatever it is allowed now or later.

    Production is protected by naming what is *not* protected, so that an adopted instance, a renamed one and any
    other database of the account are covered alike, and the statement does not grow with the plan.

    A restore cannot be denied by production's ARN alone: RDS evaluates RestoreDBInstanceToPointInTime on its source,
    which production is, as well as on its target. So a restore must carry the tags of a drill, and giving those to
    anything but a temporary instance or a point is denied: RDS evaluates rds:AddTagsToResource on the target.

    `elsewhere` are the actions that a role does in the other region.
    """
    groups = [names.arn("rds", f"{kind}:*") for kind in _GROUPS]
    temporary = names.arn("rds", f"db:{names.thing('drill-*')}")
    points = names.arn("rds", f"snapshot:{names.thing('*')}")
    nowhere_else = deny(
        "StayInThisRegion",
        EVERYTHING,
        EVERYTHING,
        StringNotEquals={"aws:RequestedRegion": names.region},
    )
    # iam:PassRole is a question to IAM, which has no region of its own.
    spared = [*elsewhere, *(["iam:PassRole"] if passes_roles else [])]
    if spared:
        del nowhere_else["Action"]
        nowhere_else["NotAction"] = spared
    return (
        deny("Never", NEVER, EVERYTHING),
        _but(
            "NeverProduction",
            (*ON_LEASE_ONLY, "rds:RestoreDBInstanceFromDBSnapshot"),
            [temporary, names.arn("rds", "snapshot:*"), *groups],
        ),
        deny(
            "NeverWithoutALease",
            ON_LEASE_ONLY,
            temporary,
            StringNotEquals={"aws:ResourceTag/PgDrillRole": "drill"},
        ),
        _but("TagOnlyOurs", ["rds:AddTagsToResource"], [temporary, points]),
        deny(
            "RestoreOnlyForDrills",
            RESTORES,
            EVERYTHING,
            StringNotEquals={"aws:RequestTag/PgDrillRole": "drill"},
        ),
        deny("RestoreNothingPublic", RESTORES, EVERYTHING, Bool={"rds:PubliclyAccessible": "true"}),
        deny(
            "DeleteOnlyOurPoints",
            "rds:DeleteDBSnapshot",
            EVERYTHING,
            StringNotEquals={"aws:ResourceTag/PgDrillSuffix": names.suffix},
        ),
        nowhere_else,
    )


def _but(sid: str, actions: Iterable[str], spared: Iterable[str]) -> Statement:
    """Return a denial of everything but what is spared."""
    statement = deny(sid, actions, EVERYTHING)
    del statement["Resource"]
    return statement | {"NotResource": list(spared)}


# Trust ------------------------------------------------------------------------------------------------------


def trust(names: Names, service: str, source: str | None = None) -> Document:
    """Let one AWS service take a role, and for `source` alone where the service says whom it acts for.

    Lambda does not; who may give it a role is decided by iam:PassRole.
    """
    statement: Statement = {
        "Sid": "Trust",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if source:
        statement["Condition"] = {
            "StringEquals": {"aws:SourceAccount": names.account},
            "ArnLike": {"aws:SourceArn": source},
        }
    return document(statement)
