"""The evidence of a drill: what was restored, how fast, what was found. Plain data; no I/O, no clock.

Why:    an auditor reads this years later, so the record stands alone, and its bytes are canonical: the same
        evidence always has the same SHA-256.
Holds:  names, times, counts, digests and pgdrill's own sentences. There is no field that a row could go into.
"""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from pgdrill.model import (
    JSON,
    Finding,
    Kept,
    Model,
    Moment,
    PointKind,
    RecoveryPoint,
    Rpo,
    Rto,
    Stage,
    Verdict,
    worst,
)

SCHEMA_VERSION: Final = "1"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Part of a key in the store and of a file name, so it can hold neither a slash nor a leading dot.
DrillId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Purpose(StrEnum):
    DRILL = "drill"
    RECOVERY = "recovery"


class Trigger(StrEnum):
    COMMAND = "command"
    SCHEDULE = "schedule"


class Instance(Model):
    """The temporary instance as RDS described it once it was available, not as it was asked for."""

    identifier: str
    resource_id: str | None = None
    region: str
    instance_class: str
    engine_version: str
    storage_gb: int
    storage_type: str | None = None
    multi_az: bool = False
    kms_key: str | None = None
    security_groups: tuple[str, ...] = ()
    subnet_group: str | None = None
    parameter_group: str | None = None


class Isolation(Model):
    """One property that keeps the temporary instance apart from production, asserted after the restore."""

    property: str
    expected: str
    observed: str
    ok: bool


class Examined(Model):
    """How much was read from the restored copy. None where no check counts it."""

    tables: Count | None = None
    rows: Count | None = None
    bytes: Count | None = None


class Evidence(Model):
    """One drill of one database.

    `drill` starts with the UTC time, so that ids sort as drills happened. `number` counts a database's records in a
    region from 1, as they are written, and `previous_sha256` is the digest of the one before: what is missing, moved or
    altered shows.
    `plan_sha256` is the digest of the plan as JSON. `facts` maps keys in the store to their digests; the facts
    themselves lie beside. `pitr_window` is how far back the plan wants PITR to reach, `kept` what it wants kept, by age.
    `stages` ends before teardown, which has a record of its own; a recovery has none, since its instance stays.
    """

    schema_version: Literal["1"] = SCHEMA_VERSION
    drill: DrillId
    number: Annotated[int, Field(ge=1)]
    previous_sha256: Sha256 | None
    trigger: Trigger
    purpose: Purpose = Purpose.DRILL
    started_at: Moment
    finished_at: Moment
    database: str
    source: str
    operator: str | None = None
    pgdrill: str
    plan_sha256: Sha256
    point: RecoveryPoint
    reference: str | None = None
    seals: tuple[str, ...] = ()
    instance: Instance | None = None
    isolation: tuple[Isolation, ...] = ()
    stages: dict[Stage, Moment]
    rto: Rto
    rpo: Rpo
    rpo_objective: Seconds
    pitr_window: Seconds = 7 * 86400.0
    kept: tuple[Kept, ...] = ()
    findings: tuple[Finding, ...]
    verdict: Verdict
    verdict_reason: str
    coverage: str = ""
    examined: Examined = Examined()
    facts: dict[str, Sha256] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _not_better_than_its_findings(self) -> "Evidence":
        found = worst([finding.verdict for finding in self.findings])
        if self.verdict is Verdict.NOT_ASKED:
            raise ValueError("a drill has a verdict; not_asked is for checks")
        if worst([self.verdict, found]) is not self.verdict:
            raise ValueError(f"verdict {self.verdict} is better than its findings, which are {found}")
        if self.verdict is Verdict.PASSED and not all(held.ok for held in self.isolation):
            broken = [held.property for held in self.isolation if not held.ok]
            raise ValueError(f"verdict passed although isolation is broken: {', '.join(broken)}")
        return self


class Teardown(Model):
    """That the temporary instance is gone, and how that is known.

    `gone_at` is None while it is not; `proof` is what RDS answered. `retained_backups` are the ARNs of
    automated backups that outlive the instance: there should be none, since drills are restored without. None
    says that nobody asked.
    """

    schema_version: Literal["1"] = SCHEMA_VERSION
    drill: DrillId
    database: str
    evidence_sha256: Sha256
    instance: str
    requested_at: Moment
    gone_at: Moment | None
    proof: str
    retained_backups: tuple[str, ...] | None = None


class Summary(Model):
    """One past drill or recovery, as a trend shows it. Seconds and bytes; None where it was not measured."""

    drill: DrillId
    database: str
    purpose: Purpose = Purpose.DRILL
    started_at: Moment
    point: str
    kind: PointKind
    recovers_to: Moment
    verdict: Verdict
    reason: str
    rto_usable: float | None
    rto_objective: float
    rpo_exposure: float | None
    rpo_worst_case: float | None
    rpo_objective: float
    examined_bytes: int | None

    @classmethod
    def of(cls, evidence: Evidence) -> "Summary":
        return cls(
            drill=evidence.drill,
            database=evidence.database,
            purpose=evidence.purpose,
            started_at=evidence.started_at,
            point=evidence.point.id,
            kind=evidence.point.kind,
            recovers_to=evidence.point.recovers_to,
            verdict=evidence.verdict,
            reason=evidence.verdict_reason,
            rto_usable=evidence.rto.usable,
            rto_objective=evidence.rto.objective,
            rpo_exposure=evidence.rpo.exposure_at_start,
            rpo_worst_case=evidence.rpo.worst_case,
            rpo_objective=evidence.rpo_objective,
            examined_bytes=evidence.examined.bytes,
        )


def canonical(record: Evidence | Teardown) -> bytes:
    """Return JSON with sorted keys, no white space, in UTF-8: equal records, equal bytes."""
    plain = record.model_dump(mode="json")
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def schema() -> JSON:
    """Return the JSON Schema of `evidence.json`, as published in docs/schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Evidence.model_json_schema(mode="serialization"),
    }
