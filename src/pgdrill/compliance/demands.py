"""What the clauses demand, each a question to the evidence of a period. Pure.

A demand is `passed` where the evidence shows it, `failed` where the evidence shows the contrary, and `inconclusive`
where it shows neither: a gap. Nothing is assumed for what was not drilled.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from pgdrill.compliance.period import Drilled, Period
from pgdrill.evidence.wording import duration, plural
from pgdrill.model import Model, Verdict, worst

# A schedule that is a little late is no gap.
ALLOWANCE = 1.5
NAMED = 3


class Answer(Model):
    """What the evidence says to one demand. `says` are sentences, `drills` the ids they rest on, oldest first."""

    verdict: Verdict
    says: tuple[str, ...]
    drills: tuple[str, ...] = ()


Demand = Callable[[Period], Answer]


def tested(period: Period) -> Answer:
    """Every database was drilled as often as the plan says, and each drill came to a conclusion."""
    return _often(period, period.every, copies=False)


def tested_yearly(period: Period) -> Answer:
    """Every database was drilled within twelve months."""
    return _often(period, timedelta(days=365), copies=False, allowance=1.0)


def elsewhere(period: Period) -> Answer:
    """What was copied to the other region was restored there, as often as the plan says."""
    return _often(period, period.copies_every, copies=True)


def whole(period: Period) -> Answer:
    """Every drill read every page of what it restored, and no check found anything wrong."""
    return _each(period, "restored whole", _whole)


def reconciled(period: Period) -> Answer:
    """The content of restored tables was compared with an independent reference at least once a database."""
    answers = []
    for database in period.databases:
        compared = [one for one in period.of(database) if one.evidence.reference and _whole(one) is None]
        if compared:
            answers.append(
                Answer(
                    verdict=Verdict.PASSED,
                    says=(f"{database}: content compared with another restore in {_drills(compared)}",),
                    drills=_ids(compared),
                )
            )
        else:
            answers.append(_gap(f"{database}: no drill compared its content with a reference"))
    return _together(answers, period)


def in_four_hours(period: Period) -> Answer:
    """Every drill answered its first query within four hours, whatever objective the plan has."""
    return _in_time(period, timedelta(hours=4))


def in_time(period: Period) -> Answer:
    """Every drill was usable within its RTO objective."""
    return _in_time(period, None)


def within_loss(period: Period) -> Answer:
    """What each drill showed could be lost stays within the RPO objective."""

    def lost(drilled: Drilled) -> str | None:
        rpo, objective = drilled.evidence.rpo, drilled.evidence.rpo_objective
        if rpo.worst_case is None:
            return "was not measured"
        if rpo.worst_case > objective:
            return f"could lose {duration(rpo.worst_case)}, objective {duration(objective)}"
        return None

    return _each(period, "within its RPO objective", lost)


def apart(period: Period) -> Answer:
    """Every restored instance was apart from production, as it was asked for, and is gone."""
    return _each(period, "restored apart from production and removed", _apart)


def encrypted(period: Period) -> Answer:
    """Every point that was drilled is encrypted, and was restored under the same key."""

    def bare(drilled: Drilled) -> str | None:
        point = drilled.evidence.point
        return None if point.encrypted and point.kms_key else f"point {point.id} is not encrypted"

    return _each(period, "encrypted", bare)


def unaltered(period: Period) -> Answer:
    """No record of the evidence was altered, dropped or moved."""
    broken = [
        f"{database}: {one.kind} at {one.drill}: {one.what}"
        for database in period.databases
        for one in period.broken.get(database, ())
    ]
    if broken:
        return Answer(verdict=Verdict.FAILED, says=tuple(broken))
    drills = list(period.all())
    if not drills:
        return _gap("there is no evidence")
    return Answer(verdict=Verdict.PASSED, says=(f"the chain holds over {plural(len(drills), 'record')}",))


# ---------------------------------------------------------------------------------------------- parts


def _often(period: Period, every: timedelta, *, copies: bool, allowance: float = ALLOWANCE) -> Answer:
    what = "a copy of it" if copies else "it"
    answers = []
    for database in period.databases:
        concluded = [
            one
            for one in period.of(database, copies=copies)
            if one.evidence.verdict in {Verdict.PASSED, Verdict.FAILED}
        ]
        moments = [one.evidence.started_at for one in concluded]
        gaps = [
            f"{database}: no concluded drill of {what} from {start:%Y-%m-%d} to {end:%Y-%m-%d}, {duration((end - start).total_seconds())},"
            f" where one is due every {duration(every.total_seconds())}"
            for start, end in _silences(period, moments, every * allowance)
        ]
        if gaps:
            answers.append(Answer(verdict=Verdict.INCONCLUSIVE, says=tuple(gaps), drills=_ids(concluded)))
        elif concluded:
            answers.append(
                Answer(
                    verdict=Verdict.PASSED,
                    says=(f"{database}: {_drills(concluded)}, the last on {moments[-1]:%Y-%m-%d}",),
                    drills=_ids(concluded),
                )
            )
        else:
            answers.append(
                _gap(
                    f"{database}: no concluded drill of {what}, and the period is too short for one to be missed"
                )
            )
    return _together(answers, period)


def _silences(
    period: Period, moments: Sequence[datetime], longest: timedelta
) -> Iterable[tuple[datetime, datetime]]:
    edges = [period.since, *moments, period.until]
    return [(start, end) for start, end in pairwise(edges) if end - start > longest]


def _each(period: Period, what: str, wrong: Callable[[Drilled], str | None]) -> Answer:
    """Ask every drill; one that came to no conclusion is a gap, whatever was measured before it ended."""
    answers = []
    for database in period.databases:
        drills = period.of(database)
        if not drills:
            answers.append(_gap(f"{database}: no drill"))
            continue
        concluded = [one for one in drills if one.evidence.verdict is not Verdict.INCONCLUSIVE]
        answers += [
            _gap(f"{database}: {one.evidence.drill} came to no conclusion")
            for one in drills
            if one not in concluded
        ]
        found = [(one, said) for one in concluded if (said := wrong(one))]
        says = tuple(f"{database}: {one.evidence.drill} {said}" for one, said in found)
        if found:
            answers.append(Answer(verdict=Verdict.FAILED, says=says, drills=_ids([one for one, _ in found])))
        elif concluded:
            answers.append(
                Answer(
                    verdict=Verdict.PASSED,
                    says=(f"{database}: {_drills(concluded)}, each {what}",),
                    drills=_ids(concluded),
                )
            )
    return _together(answers, period)


def _whole(drilled: Drilled) -> str | None:
    evidence = drilled.evidence
    judged = {finding.check: finding.verdict for finding in evidence.findings}
    if evidence.verdict is Verdict.FAILED:
        return f"failed: {evidence.verdict_reason}"
    if judged.get("rows") is not Verdict.PASSED:
        return "did not read every table whole"
    return None


def _apart(drilled: Drilled) -> str | None:
    broken = [held.property for held in drilled.evidence.isolation if not held.ok]
    if broken or not drilled.evidence.isolation:
        return f"was not isolated: {', '.join(broken) or 'nothing was looked at'}"
    if drilled.teardown is None or drilled.teardown.gone_at is None:
        return "left its instance: there is no record that it is gone"
    return None


def _in_time(period: Period, limit: timedelta | None) -> Answer:
    def late(drilled: Drilled) -> str | None:
        rto = drilled.evidence.rto
        objective = limit.total_seconds() if limit else rto.objective
        if rto.usable is None:
            return "never answered a query"
        return f"took {duration(rto.usable)}, over {duration(objective)}" if rto.usable > objective else None

    answer = _each(period, "usable in time", late)
    times = [one.evidence.rto.usable for one in period.all() if one.evidence.rto.usable is not None]
    if answer.verdict is Verdict.PASSED and times:
        return answer.model_copy(update={"says": (*answer.says, f"the slowest took {duration(max(times))}")})
    return answer


def _together(answers: Sequence[Answer], period: Period) -> Answer:
    if not period.databases:
        return _gap("the plan names no database")
    drills = {drill for answer in answers for drill in answer.drills}
    return Answer(
        verdict=worst([answer.verdict for answer in answers]),
        says=tuple(said for answer in answers for said in answer.says),
        drills=tuple(sorted(drills)),
    )


def _gap(says: str) -> Answer:
    return Answer(verdict=Verdict.INCONCLUSIVE, says=(says,))


def _ids(drills: Sequence[Drilled]) -> tuple[str, ...]:
    return tuple(one.evidence.drill for one in drills)


def _drills(drills: Sequence[Drilled]) -> str:
    return plural(len(drills), "drill")
