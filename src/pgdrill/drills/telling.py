"""What is to be told of a drill: how long it takes while it runs, what came of it, and that it was not judged. Pure."""

from datetime import datetime, timedelta

from pgdrill.drills.state import Drill, Step
from pgdrill.evidence.record import Evidence
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


def judged(evidence: Evidence) -> Reply:
    """Return what came of a drill. One that proved nothing is told as loudly as its verdict is bad."""
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
                text=f"drill {evidence.drill} of database {database!r}: {verdict.value}: {evidence.verdict_reason}",
                hint=f"see it with: pgdrill evidence show {evidence.drill}",
            ),
        ),
    )


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
