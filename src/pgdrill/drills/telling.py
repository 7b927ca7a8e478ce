"""What is to be told of a drill: how long it takes while it runs, what came of it, and that it was not judged. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from urllib.parse import quote

from pgdrill.drills.state import Drill, Step
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence
from pgdrill.evidence.wording import duration
from pgdrill.messages import Event, Kind, Level, Message, Metric, Reply
from pgdrill.model import Stage, Verdict

# A restore that takes less is not worth a word; from then on every step says how long it has taken.
WORTH_TELLING = timedelta(minutes=1)

_LEVEL = {Verdict.PASSED: Level.REPORT, Verdict.FAILED: Level.ALARM}


def waiting(drill: Drill, now: datetime) -> Reply | None:
    """Return how long a restore has taken that is not queried yet, so that an alarm can speak while it hangs."""
    requested = drill.stages.get(Stage.REQUESTED)
    if (
        requested is None
        or Stage.FIRST_QUERY in drill.stages
        or drill.next not in {Step.OBSERVE, Step.UNLOCK}
    ):
        return None
    passed = now - requested
    if passed < WORTH_TELLING:
        return None
    return Reply(metrics=(_seconds(drill.database, "RestoreSeconds", passed.total_seconds()),))


def judged(evidence: Evidence, bucket: str) -> Reply:
    """Return what came of a drill. One that proved nothing is told as loudly as its verdict is bad.

    `bucket` is where its evidence lies, in the region of its point.
    """
    database, verdict = evidence.database, evidence.verdict
    measured = {
        "RtoUsable": evidence.rto.usable,
        "RtoVerified": evidence.rto.verified,
        "RpoLagOfPoint": evidence.rpo.lag_of_point,
        "RpoExposure": evidence.rpo.exposure_at_start,
        "RpoWorstCase": evidence.rpo.worst_case,
    }
    counts = {
        "DrillsPassed": verdict is Verdict.PASSED,
        "DrillsFailed": verdict is Verdict.FAILED,
        "DrillsInconclusive": verdict is Verdict.INCONCLUSIVE,
    }
    return Reply(
        metrics=(
            *(_count(database, name, number=is_so) for name, is_so in counts.items()),
            *(_seconds(database, name, value) for name, value in measured.items() if value is not None),
            *_stages(evidence),
            *_examined(evidence),
        ),
        events=(
            Event(
                kind="DrillJudged",
                subject=evidence.drill,
                detail={
                    "database": database,
                    "region": evidence.point.region,
                    "point": evidence.point.id,
                    "point_kind": evidence.point.kind.value,
                    "verdict": verdict.value,
                    "reason": evidence.verdict_reason,
                    "rto_usable": evidence.rto.usable,
                    "rpo_exposure": evidence.rpo.exposure_at_start,
                },
            ),
        ),
        messages=(
            Message(
                level=_LEVEL.get(verdict, Level.WARNING),
                kind=Kind.DRILLS,
                topic=f"drill {verdict.value}",
                text="\n".join(_result(evidence)),
                hint=f"report: {_link(evidence, bucket)}\nor: pgdrill evidence show {evidence.drill}",
                attributes=_attributes(evidence),
            ),
        ),
    )


def _stages(evidence: Evidence) -> Iterator[Metric]:
    """Yield how long each stage took, from the end of the one before."""
    reached = sorted((at, list(Stage).index(stage), stage) for stage, at in evidence.stages.items())
    for (before, _, _), (at, _, stage) in pairwise(reached):
        yield Metric(
            name="StageSeconds",
            value=(at - before).total_seconds(),
            unit="Seconds",
            dimensions={"Database": evidence.database, "Stage": stage.value},
        )


def _examined(evidence: Evidence) -> Iterator[Metric]:
    if evidence.examined.bytes is not None:
        about = {"Database": evidence.database}
        yield Metric(name="ExaminedBytes", value=evidence.examined.bytes, unit="Bytes", dimensions=about)


def _result(evidence: Evidence) -> Iterator[str]:
    point, rto, rpo = evidence.point, evidence.rto, evidence.rpo
    yield (
        f"drill {evidence.drill} of database {evidence.database!r}:"
        f" {evidence.verdict.value}: {evidence.verdict_reason}"
    )
    yield f"restored: {point.kind.value} {point.id} in {point.region}, of {point.recovers_to:%Y-%m-%d %H:%M:%S} UTC"
    yield f"usable after {duration(rto.usable)}; objective {duration(rto.objective)}"
    yield f"lost had it been needed: {duration(rpo.exposure_at_start)}; objective {duration(evidence.rpo_objective)}"
    if evidence.coverage:
        yield f"covered: {evidence.coverage}"


def _link(evidence: Evidence, bucket: str) -> str:
    """Return the address of a report in the console; who opens it needs leave to read the bucket."""
    region, key = evidence.point.region, quote(archive.key(evidence, archive.REPORT))
    return f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={key}"


def _attributes(evidence: Evidence) -> dict[str, str | int]:
    """Return what to filter on; `rto` is seconds, and left out where it was not measured."""
    about: dict[str, str | int] = {
        "verdict": evidence.verdict.value,
        "database": evidence.database,
        "region": evidence.point.region,
        "point_kind": evidence.point.kind.value,
    }
    return about if evidence.rto.usable is None else about | {"rto": round(evidence.rto.usable)}


def ended(drill: Drill) -> Reply | None:
    """Return what is to be told once nothing is left of a drill that was never judged."""
    if drill.next is not Step.DONE or drill.evidence_sha256:
        return None
    hint = drill.problem.hint if drill.problem else ""
    return Reply(
        metrics=(_count(drill.database, "DrillsInconclusive", number=True),),
        events=(
            Event(
                kind="DrillNotJudged",
                subject=drill.id,
                detail={"database": drill.database, "reason": drill.reason},
            ),
        ),
        messages=(
            Message(
                level=Level.ALARM,
                kind=Kind.DRILLS,
                topic="drill not judged",
                text=f"drill {drill.id} of database {drill.database!r} has no evidence: {drill.reason}",
                hint=hint or "see the execution of its state machine",
            ),
        ),
    )


def _count(database: str, name: str, *, number: bool) -> Metric:
    return Metric(name=name, value=int(number), unit="Count", dimensions={"Database": database})


def _seconds(database: str, name: str, value: float) -> Metric:
    return Metric(name=name, value=value, unit="Seconds", dimensions={"Database": database})
