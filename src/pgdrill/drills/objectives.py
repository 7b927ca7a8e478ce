"""RTO and RPO against the plan's objectives. Pure: times in, findings out."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pgdrill.evidence.wording import duration
from pgdrill.model import Finding, Rpo, Rto, Stage, Verdict
from pgdrill.plan import DatabasePlan, Plan


def rto(stages: Mapping[Stage, datetime], objective: timedelta) -> Rto:
    """Return the recovery time: from the request to the first query, and to the end of the examination."""
    start = stages.get(Stage.REQUESTED)

    def until(stage: Stage) -> float | None:
        reached = stages.get(stage)
        return (reached - start).total_seconds() if start and reached else None

    return Rto(
        usable=until(Stage.FIRST_QUERY),
        verified=until(Stage.EXAMINED),
        objective=objective.total_seconds(),
    )


def judge_rto(measured: Rto) -> Finding:
    if measured.usable is None:
        return Finding(
            check="rto",
            verdict=Verdict.INCONCLUSIVE,
            reason="the copy never answered a query, so there is no recovery time",
            hint="see the finding of reachable",
        )
    held = measured.usable <= measured.objective
    return Finding(
        check="rto",
        verdict=Verdict.PASSED if held else Verdict.FAILED,
        reason=f"usable {duration(measured.usable)} after the request, objective {duration(measured.objective)}",
        hint="" if held else "see which stage took longest; a larger class or less log to replay shorten it",
    )


def judge_rpo(measured: Rpo, wanted: str, plan: Plan, database: DatabasePlan) -> Finding:
    """Judge what would have been lost: for the newest point at the drill's start, else for the point alone."""
    objective = plan.objectives.rpo.total_seconds()
    newest = wanted in {"latest", "restorable"}
    lost = measured.exposure_at_start if newest else measured.lag_of_point
    if lost is None:
        asked = database.ledger == "on"
        return Finding(
            check="rpo",
            verdict=Verdict.INCONCLUSIVE if asked else Verdict.NOT_ASKED,
            reason="no ledger was read in the copy, so the age of its data is unknown"
            if asked
            else "the ledger is off in the plan, so the age of the copy's data is unknown",
            hint="see the finding of ledger" if asked else "",
        )
    held = lost <= objective
    what = (
        "{} would have been lost at the drill's start" if newest else "the point lags {} behind its own time"
    )
    return Finding(
        check="rpo",
        verdict=Verdict.PASSED if held else Verdict.FAILED,
        reason=f"{what.format(duration(lost))}, objective {duration(objective)}",
        hint="" if held else "see when the last points were taken, and why the next one is late",
    )
