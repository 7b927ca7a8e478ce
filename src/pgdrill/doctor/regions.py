"""What the doctor asks of a region: who calls, keys, buckets, groups and quotas. Each question reads alone.

A question returns what it found, in words; NotRunnable says that it found a problem.
"""

from datetime import timedelta

from pgdrill import slots
from pgdrill.aws.keys import Key
from pgdrill.aws.store import Store
from pgdrill.doctor.patient import Patient, Question
from pgdrill.errors import NotRunnable
from pgdrill.evidence.wording import duration
from pgdrill.plan import Place

# Slots are named by the clock of who fires them; AWS itself refuses what is signed 5 minutes off.
SKEW = timedelta(seconds=60)

LEASED = (
    "rds:RestoreDBInstanceFromDBSnapshot",
    "rds:RestoreDBInstanceToPointInTime",
    "rds:ModifyDBInstance",
    "rds:DeleteDBInstance",
    "rds:AddTagsToResource",
)
POINTS = ("rds:CreateDBSnapshot", "rds:CopyDBSnapshot", "rds:DeleteDBSnapshot", "rds:AddTagsToResource")
STORED = ("s3:PutObject", "s3:GetObject")
# What is not called in the primary region (True), and not in the other.
ELSEWHERE = {
    True: {"rds:CopyDBSnapshot"},
    False: {"rds:CreateDBSnapshot", "rds:RestoreDBInstanceToPointInTime"},
}


def _caller(patient: Patient) -> str:
    return patient.around.caller().arn


def _time(patient: Patient) -> str:
    skew = patient.clock.at() - patient.around.caller().aws_now
    if abs(skew) > SKEW:
        raise NotRunnable(
            f"this machine's clock is {duration(abs(skew).total_seconds())}"
            f" {'ahead of' if skew > timedelta(0) else 'behind'} AWS",
            hint="let it follow a time server; slots and evidence are named by it",
        )
    return "within a second or two of AWS" if abs(skew) < timedelta(seconds=3) else f"{skew} off"


def _permissions(patient: Patient) -> str:
    caller = patient.around.caller()
    if caller.principal is None:
        return "the account's root, who may do everything"
    plan, region = patient.cell.plan, patient.cell.place.region
    tags = {"ManagedBy": "pgdrill"} | plan.tags.model_dump()
    denied: dict[str, None] = {}
    count = 0
    for database in plan.databases:
        arn = f"arn:aws:rds:{region}:{caller.account}"
        for actions, resource, role in (
            (LEASED, f"{arn}:db:{plan.temporary(database)}", {"PgDrillRole": "drill"}),
            (POINTS, f"{arn}:snapshot:{plan.point_prefix(database)}2026", {"PgDrillRole": "point"}),
            (
                STORED,
                f"arn:aws:s3:::{patient.cell.place.evidence_bucket}/evidence/{database.name}/{patient.cell.place.region}/x",
                {},
            ),
        ):
            wanted = [action for action in actions if action not in ELSEWHERE[patient.primary]]
            denied |= dict.fromkeys(patient.around.denied(caller.principal, wanted, resource, tags | role))
            count += len(wanted)
    if denied:
        raise NotRunnable(
            f"{caller.principal} may not: {', '.join(denied)}",
            hint="docs/permissions.md lists what each step calls; let its policies allow them on pgdrill's own names",
        )
    return f"{count} actions allowed to {caller.principal}, by IAM's own reckoning"


def _mac_key(patient: Patient) -> str:
    name = patient.cell.place.mac_key
    key = _enabled(patient, name, "no drill can log in to what it restored")
    if (key.kind, key.usage) != ("HMAC_256", "GENERATE_VERIFY_MAC"):
        raise NotRunnable(
            f"key {name!r} is {key.kind} for {key.usage}", hint="mac_key must be a key of the kind HMAC_256"
        )
    patient.cell.keys.may_derive()
    return f"{name}: HMAC_256, enabled, GenerateMac allowed"


def _signing_key(patient: Patient) -> str:
    name = patient.cell.place.signing_key
    if name is None:
        return "none in the plan: evidence is chained, and not signed"
    key = _enabled(patient, name, "no evidence is signed")
    if (key.kind, key.usage) != ("ECC_NIST_P256", "SIGN_VERIFY"):
        raise NotRunnable(
            f"key {name!r} is {key.kind} for {key.usage}",
            hint="signing_key must be a key of the kind ECC_NIST_P256, for signing",
        )
    return f"{name}: ECC_NIST_P256, enabled"


def _storage_key(patient: Patient) -> str:
    hint = "storage_key must be a symmetric key of the account's own; snapshots under alias/aws/rds cannot be shared"
    return _own(patient, patient.cell.place.storage_key, "what it encrypted cannot be restored", hint)


def _messages_key(patient: Patient) -> str:
    name = patient.cell.place.messages_key
    if name is None:
        return "none in the plan: the watch does not ask whether topics can be published to"
    hint = "messages_key must be a symmetric key of the account's own; alarms cannot use alias/aws/sns"
    return _own(patient, name, "nothing can be told to the topics", hint)


def _own(patient: Patient, name: str, lost: str, hint: str) -> str:
    key = _enabled(patient, name, lost)
    if key.kind != "SYMMETRIC_DEFAULT" or not key.customer_managed:
        raise NotRunnable(
            f"key {name!r} is {key.kind}, managed by {'its owner' if key.customer_managed else 'AWS'}",
            hint=hint,
        )
    return f"{name}: symmetric, enabled, the account's own"


def _enabled(patient: Patient, name: str, lost: str) -> Key:
    """Return a key that can be used; `lost` is what goes without it."""
    key = patient.cell.keys.describe(name)
    if key.state != "Enabled":
        raise NotRunnable(
            f"key {name!r} is {key.state}",
            hint=f"enable it, or cancel its deletion; {lost} while it is off",
        )
    return key


def _evidence_bucket(patient: Patient) -> str:
    return _bucket(patient.cell.store)


def _archive_bucket(patient: Patient) -> str:
    plan = patient.cell.plan
    if plan.exports.schedule == "off" or (not patient.primary and not patient.cell.place.archive_bucket):
        return "not needed: no exports in this region"
    return _bucket(patient.cell.archive())


def _bucket(store: Store) -> str:
    kept = store.condition()
    wrong = [
        said
        for said, bad in (
            (f"encrypted by {kept.encryption or 'nothing'}, not by KMS", "aws:kms" not in kept.encryption),
            ("not versioned", not kept.versioned),
            ("not closed to the public", kept.public),
        )
        if bad
    ]
    if wrong:
        raise NotRunnable(
            f"bucket {store.bucket!r} is {', '.join(wrong)}",
            hint="set default encryption with the cell's key, versioning, and all four public access blocks",
        )
    return f"{store.bucket}: encrypted with {kept.key or 'the key of S3 in KMS'}, versioned, not public"


def _drill_place(patient: Patient) -> str:
    place = patient.cell.place.place
    said = _place(patient, place)
    libraries = patient.around.settings(place.parameter_group).get("shared_preload_libraries", "")
    if "pg_cron" in libraries:
        raise NotRunnable(
            f"parameter group {place.parameter_group!r} loads pg_cron: jobs of a restored copy would run",
            hint="give drills a parameter group of their own, without pg_cron in shared_preload_libraries",
        )
    return said


def _recovery_place(patient: Patient) -> str:
    place = patient.cell.place.recovery
    if place is None:
        cell = "primary" if patient.primary else "dr"
        raise NotRunnable(
            f"the plan does not say where a recovered instance is put in {patient.cell.place.region}",
            hint=f"set [{cell}.recovery] in the plan: subnet group, security groups and parameter group",
        )
    return _place(patient, place)


def _place(patient: Patient, place: Place) -> str:
    """Hold a place against what is there: two zones, security groups of the same VPC, PostgreSQL's parameters."""
    network = patient.around.network(place.subnet_group)
    if network is None or len(network.zones) < 2:
        there = f"covers {', '.join(network.zones)} alone" if network else "is not there"
        raise NotRunnable(
            f"subnet group {place.subnet_group!r} {there}",
            hint="make a DB subnet group with subnets in two zones at least",
        )
    groups = patient.around.security_groups(place.security_groups)
    if groups is None or set(groups.values()) != {network.vpc}:
        names = ", ".join(place.security_groups)
        raise NotRunnable(
            f"security groups {names} are not in {network.vpc}, the network of {place.subnet_group!r}",
            hint="name security groups of the same VPC as the subnet group",
        )
    family = patient.around.family(place.parameter_group)
    if family is None or not family.startswith("postgres"):
        raise NotRunnable(
            f"parameter group {place.parameter_group!r} is {'of ' + family if family else 'not there'}",
            hint="make a DB parameter group of production's major version in this region; groups are not copied",
        )
    return f"{place.subnet_group}: {', '.join(network.zones)} of {network.vpc}; {family}"


def _snapshot_quota(patient: Patient) -> str:
    plan, cell = patient.cell.plan, patient.cell
    quota = cell.snapshots.quota()
    others = quota.used - len(cell.snapshots.ours(plan.stack.suffix))
    kept = plan.points if patient.primary else plan.copies
    needed = len(plan.databases) * slots.most_wanted(plan.points, kept)
    said = f"{quota.used} of {quota.limit} manual snapshots; the plan comes to {needed + others}"
    if needed + others > quota.limit:
        raise NotRunnable(
            said, hint=f"raise the quota L-272F1212 in {cell.place.region}, or thin with daily_after"
        )
    return said


QUESTIONS: dict[str, Question] = {
    "caller": _caller,
    "clock": _time,
    "permissions": _permissions,
    "mac key": _mac_key,
    "signing key": _signing_key,
    "storage key": _storage_key,
    "messages key": _messages_key,
    "evidence bucket": _evidence_bucket,
    "archive bucket": _archive_bucket,
    "drill place": _drill_place,
    "recovery place": _recovery_place,
    "snapshot quota": _snapshot_quota,
}
