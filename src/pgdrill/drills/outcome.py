"""What comes of a drill: facts kept, the case they are judged in, and the evidence made of the findings.

Reads and writes the store; asks RDS only whether a deleted instance left backups; opens no database.
"""

import gzip
import hashlib
import json
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from pgdrill import __version__, ledger, seal
from pgdrill.aws.rds import Instance
from pgdrill.aws.store import Store
from pgdrill.cell import Cell
from pgdrill.checks.check import Case
from pgdrill.checks.registry import ALL
from pgdrill.checks.sweep import SweepFact
from pgdrill.drills import examination, objectives
from pgdrill.drills.examination import Measured
from pgdrill.drills.state import Drill, FactRef, Problem
from pgdrill.errors import PlanError
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence, Examined, Isolation, Purpose, Teardown
from pgdrill.ledger import LedgerFact
from pgdrill.model import (
    JSON,
    Beat,
    Clock,
    Fact,
    Finding,
    Judgement,
    Model,
    Moment,
    PointKind,
    RecoveryPoint,
    Shape,
    Stage,
    Verdict,
    worst,
)
from pgdrill.plan import Place, Plan
from pgdrill.planning import outlook
from pgdrill.points import schedule

# The ledger keeps a week of rows; older beats of the witness have nothing to be compared with.
WITNESSED = timedelta(days=8)
# The measures of content, which another restore of the same point must repeat.
COMPARED = ("sweep", "large_objects")


class _Reference(Model):
    """That a drill read a point whole and passed; its facts are what the next restore is compared with.

    `resource` and `created_at` are the point's: its id alone may be that of another, deleted since.
    """

    drill: str
    facts: dict[str, str]
    resource: str | None = None
    created_at: Moment | None = None

    def of(self, point: RecoveryPoint) -> bool:
        return (self.resource, self.created_at) == (point.resource, point.created_at)


# -------------------------------------------------------------------------------------------- facts


def keep_fact(store: Store, drill: Drill, measured: Measured) -> FactRef:
    """Store a fact under the drill and return where it lies."""
    key = f"drills/{drill.database}/{drill.id}/facts/{measured.measure}.json.gz"
    ref = FactRef(
        measure=measured.measure,
        key=key,
        complete=measured.complete,
        seconds=round(measured.seconds, 3),
        error=measured.error,
    )
    if measured.fact is None:
        return ref
    body = gzip.compress(measured.fact.model_dump_json().encode(), mtime=0)
    store.put(key, body, content_type="application/gzip")
    return ref.model_copy(update={"sha256": hashlib.sha256(body).hexdigest()})


def read_fact(store: Store, ref: FactRef, kind: type[Fact]) -> Measured:
    """Read a fact back; what is not what was stored is an error of the measure, and so never a pass."""
    if not ref.sha256:
        return Measured(ref.measure, None, ref.seconds, ref.error)
    body = store.get(ref.key) or b""
    if hashlib.sha256(body).hexdigest() != ref.sha256:
        return Measured(ref.measure, None, ref.seconds, "the stored fact is missing or altered")
    try:
        fact = kind.model_validate_json(gzip.decompress(body))
    except ValidationError:
        return Measured(ref.measure, None, ref.seconds, "the stored fact is of another version of pgdrill")
    return Measured(ref.measure, fact, ref.seconds)


def case(drill: Drill, cell: Cell) -> Case:
    """Gather all that may be known of the recovery point outside the restored copy."""
    database = cell.plan.database(drill.database)
    point = drill.restored_from()
    before, after = seal.around(cell.store, database.name, point)
    return Case(
        checks=cell.plan.checks,
        asked=_asked(cell.plan, drill),
        point=point,
        before=before,
        after=after,
        witness=_witness(cell, drill),
        references=_references(cell.store, drill)[1],
    )


def _asked(plan: Plan, drill: Drill) -> frozenset[str]:
    asked = examination.asked(ALL, plan.checks)
    return asked if plan.database(drill.database).ledger == "on" else asked - {"ledger"}


def _witness(cell: Cell, drill: Drill) -> tuple[Beat, ...] | None:
    if cell.plan.database(drill.database).ledger == "off":
        return None
    since = drill.restored_from().recovers_to - WITNESSED
    return ledger.witness(cell.store, drill.database, since) or None


def _references(store: Store, drill: Drill) -> tuple[str | None, dict[str, JSON]]:
    """Return the drill that proved this point last, and its facts; never one that had its id before."""
    point = drill.restored_from()
    bodies = [
        store.get(key)
        for key in store.keys(f"references/{drill.database}/{point.id}/")
        if not key.endswith(f"/{drill.id}")
    ]
    known = [_reference(body) for body in bodies if body is not None]
    reference = next((one for one in reversed(known) if one and one.of(point)), None)
    if reference is None:
        return None, {}
    facts: dict[str, JSON] = {}
    for measure, key in reference.facts.items():
        packed = store.get(key)
        if packed is not None:
            facts[measure] = json.loads(gzip.decompress(packed))
    return reference.drill, facts


def _reference(body: bytes) -> _Reference | None:
    """What another version of pgdrill wrote is nothing to compare with."""
    try:
        return _Reference.model_validate_json(body)
    except ValidationError:
        return None


# --------------------------------------------------------------------------------------- isolation


def asked_for(drill: Drill, cell: Cell) -> tuple[Place, Shape]:
    """Return where and as what the instance is restored: small and apart for a drill, as production else.

    Raises:
        PlanError: a recovery, and the plan does not say where.
    """
    plan = cell.plan
    if drill.purpose is Purpose.DRILL:
        return cell.place.place, Shape(instance_class=plan.drill.instance_class)
    if cell.place.recovery is None:
        raise PlanError(
            f"the plan does not say where in {cell.place.region} a recovered instance is put",
            hint="add subnet_group, security_groups and parameter_group under [primary.recovery] or [dr.recovery]",
        )
    database = plan.database(drill.database)
    return cell.place.recovery, Shape(
        instance_class=database.instance_class,
        multi_az=database.multi_az,
        retention_days=plan.points.pitr.days,
        deletion_protection=True,
    )


def isolation(instance: Instance, drill: Drill, cell: Cell) -> tuple[Isolation, ...]:
    """Compare the temporary instance with what keeps it apart from production, as RDS describes it now."""
    point, tags = drill.restored_from(), drill.holding().tags()
    place, shape = asked_for(drill, cell)
    expected: list[tuple[str, Any, Any]] = [
        ("publicly accessible", False, instance.public),
        ("security groups", sorted(place.security_groups), sorted(instance.security_groups)),
        ("subnet group", place.subnet_group, instance.subnet_group),
        ("parameter group", [place.parameter_group], list(instance.parameter_groups)),
        ("instance class", shape.instance_class, instance.instance_class),
        ("Multi-AZ", shape.multi_az, instance.multi_az),
        ("backup retention in days", shape.retention_days, instance.retention_days),
        ("deletion protection", shape.deletion_protection, instance.deletion_protection),
        ("encrypted", point.encrypted, instance.encrypted),
        ("tags of pgdrill", tags, {key: instance.tags.get(key) for key in tags}),
    ]
    if point.encrypted:
        expected.append(("encryption key", point.kms_key, instance.kms_key))
    return tuple(
        Isolation(property=name, expected=_said(wanted), observed=_said(seen), ok=wanted == seen)
        for name, wanted, seen in expected
    )


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


# ---------------------------------------------------------------------------------------- evidence


def evidence(drill: Drill, cell: Cell, clock: Clock) -> Evidence:
    """Judge the facts and return the record of the drill, chained to the one before."""
    known = case(drill, cell)
    database = cell.plan.database(drill.database)
    facts = {ref.measure: read_fact(cell.store, ref, _kind(ref.measure)) for ref in drill.facts}
    findings = examination.judge(ALL, known, facts)
    if drill.problem:
        findings = _stopped(drill.problem, findings)
    rto = objectives.rto(drill.stages, cell.plan.objectives.rto)
    rpo = ledger.rpo(
        _ledger(facts),
        drill.restored_from(),
        drill.started_at,
        cell.plan.points.every,
        _usable_after(drill.restored_from(), cell.plan),
        off=database.ledger == "off",
    )
    findings += (objectives.judge_rto(rto), objectives.judge_rpo(rpo, drill.wanted, cell.plan, database))
    verdict = worst([finding.verdict for finding in findings])
    sweep = facts["sweep"].fact if "sweep" in facts else None
    link = archive.link(cell.store, drill.database, drill.restored_from().region, drill.id)
    return Evidence(
        drill=drill.id,
        number=link.number,
        previous_sha256=link.previous_sha256,
        trigger=drill.trigger,
        purpose=drill.purpose,
        started_at=drill.started_at,
        finished_at=clock.at(),
        database=drill.database,
        source=drill.source,
        operator=drill.operator,
        pgdrill=__version__,
        plan_sha256=drill.plan_sha256,
        point=drill.restored_from(),
        reference=_references(cell.store, drill)[0],
        seals=tuple(
            f"{s.point} {s.taken_at:%Y-%m-%dT%H:%M:%S.%fZ}" for s in (known.before, known.after) if s
        ),
        instance=drill.instance,
        isolation=drill.isolation,
        stages=drill.stages,
        rto=rto,
        rpo=rpo,
        rpo_objective=cell.plan.objectives.rpo.total_seconds(),
        pitr_window=cell.plan.points.pitr.total_seconds(),
        kept=outlook.retention(cell.plan),
        findings=findings,
        verdict=verdict,
        verdict_reason=_reason(
            verdict, findings, drill.restored_from().id, compared="sweep" in known.references
        ),
        coverage=next((f.coverage for f in findings if f.check == "rows"), ""),
        examined=_examined(sweep),
        facts={ref.key: ref.sha256 for ref in drill.facts if ref.sha256},
        warnings=_warnings(drill, cell, known, sweep),
    )


def keep(cell: Cell, made: Evidence) -> str:
    """Store the evidence with its report; a point that passed becomes a reference. Return the digest."""
    digest = archive.save(cell.store, made, cell.signer)
    compared = {m: key for m in COMPARED for key in made.facts if key.endswith(f"/{m}.json.gz")}
    if made.verdict is Verdict.PASSED and "sweep" in compared:
        reference = _Reference(
            drill=made.drill, facts=compared, resource=made.point.resource, created_at=made.point.created_at
        )
        key = f"references/{made.database}/{made.point.id}/{made.drill}"
        cell.store.put(key, reference.model_dump_json().encode())
    return digest


def keep_teardown(drill: Drill, cell: Cell) -> None:
    """Store the proof that nothing is left. A drill that was never judged has no evidence to close."""
    if not drill.evidence_sha256 or drill.delete_asked_at is None:
        return
    archive.finish(
        cell.store,
        Teardown(
            drill=drill.id,
            database=drill.database,
            evidence_sha256=drill.evidence_sha256,
            instance=drill.holding().instance,
            requested_at=drill.delete_asked_at,
            gone_at=drill.stages.get(Stage.GONE),
            retained_backups=cell.rds.automated_backups(drill.holding().instance),
            proof=f"DescribeDBInstances answered DBInstanceNotFound for {drill.holding().instance}",
        ),
        cell.signer,
    )


def _usable_after(point: RecoveryPoint, plan: Plan) -> timedelta:
    """Return what a point needs until it can be restored from: a copy at least as long as this one took."""
    planned = plan.objectives.usable_after
    if point.kind is not PointKind.COPY or point.usable_at is None:
        return planned
    return max(planned, point.usable_at - point.recovers_to)


def _ledger(facts: dict[str, Measured]) -> LedgerFact | None:
    fact = facts["ledger"].fact if "ledger" in facts else None
    return fact if isinstance(fact, LedgerFact) else None


def _kind(measure: str) -> type[Fact]:
    return next(check.fact for check in ALL if examination.measure_name(check) == measure)


def _stopped(problem: Problem, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Say why nothing more could be measured: `reachable` carries the problem, the others point to it."""
    stopped = Judgement(verdict=problem.says, reason=problem.message, hint=problem.hint)
    told: list[Finding] = []
    for finding in findings:
        if finding.check == "reachable":
            told.append(Finding(check="reachable", **stopped.model_dump()))
        elif finding.verdict is Verdict.INCONCLUSIVE and finding.reason == "was not measured":
            told.append(finding.model_copy(update={"reason": f"not measured: {problem.message}", "hint": ""}))
        else:
            told.append(finding)
    return tuple(told)


def _reason(verdict: Verdict, findings: tuple[Finding, ...], point: str, *, compared: bool) -> str:
    """Return the sentence under the verdict: the first finding that made it what it is.

    A pass says what it rests on: whole is only what another restore of the point holds as well.
    """
    passed = {finding.check for finding in findings if finding.verdict is Verdict.PASSED}
    if verdict is Verdict.PASSED and "rows" not in passed:
        return f"restored from {point}: {len(passed)} checks passed; its content was not asked for"
    if verdict is Verdict.PASSED and compared:
        return f"restored from {point} and whole: {len(passed)} checks passed"
    if verdict is Verdict.PASSED:
        return (
            f"restored from {point} and read whole: {len(passed)} checks passed;"
            " a second drill of this point compares its content with this one's"
        )
    told = [f"{finding.check}: {finding.reason}" for finding in findings if finding.verdict is verdict]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return f"{told[0]}{more}"


def _examined(sweep: Fact | None) -> Examined:
    if not isinstance(sweep, SweepFact):
        return Examined()
    tables = [table for one in sweep.fingerprint().databases.values() for table in one.tables.values()]
    return Examined(
        tables=len(tables),
        rows=sum(table.rows for table in tables),
        bytes=sum(table.bytes for table in tables),
    )


def _warnings(drill: Drill, cell: Cell, known: Case, sweep: Fact | None) -> tuple[str, ...]:
    point, seen = drill.restored_from(), drill.instance
    told = []
    if seen and seen.engine_version != point.engine_version:
        told.append(f"the point was PostgreSQL {point.engine_version}, RDS restored {seen.engine_version}")
    if point.kind is PointKind.SNAPSHOT and not point.encrypted:
        told.append("the snapshot is not encrypted")
    if cell.plan.database(drill.database).ledger == "off":
        told.append("the ledger is off in the plan: what the copy misses before its point is unknown")
    for database, table, rows, estimate in seal.fewer(known.before, known.after, _rows(sweep)):
        told.append(
            f"{table} of database {database} holds {rows:,} rows, production estimated {estimate:,} around the point"
        )
    last = archive.history(cell.store, drill.database, before=drill.id, most=1)
    since = last[0].started_at if last else None
    told += [schedule.told(one) for one in schedule.skipped(cell.store, drill.database, since)]
    return tuple(told)


def _rows(sweep: Fact | None) -> dict[str, dict[str, int]]:
    contents = sweep.fingerprint().databases if isinstance(sweep, SweepFact) else {}
    return {name: {table: of.rows for table, of in one.tables.items()} for name, one in contents.items()}
