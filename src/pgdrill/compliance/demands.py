"""What the clauses demand, each a question to the evidence of a period. Pure.

A demand is `passed` where the evidence shows it, `failed` where the evidence shows the contrary, and `inconclusive`
where it shows neither: a gap. Nothing is assumed for what was not drilled, and no drill that failed shows a recovery.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from pgdrill.compliance.answers import (
    Answer,
    Doubt,
    contrary,
    count,
    each,
    gap,
    merged,
    shown,
    together,
    unshown,
)
from pgdrill.compliance.period import Drilled, Period
from pgdrill.evidence.record import Evidence, Teardown
from pgdrill.evidence.wording import duration, plural
from pgdrill.model import Finding, Verdict, worst

# A schedule that is a little late is no gap.
ALLOWANCE = 1.5
YEAR = timedelta(days=365)
# What these find is not of what came back; the demands of time and of loss read them.
OBJECTIVES = {"rto", "rpo"}
# Source: the coverage of the check `rows`.
_COMPARED = re.compile(r"\bcompared (\d+) of (\d+)\b")


def tested(period: Period) -> Answer:
    """Every database was drilled as often as the plan says, and each drill came to a conclusion."""
    return _often(period, period.every, "concluded drill of it", _concluded)


def tested_yearly(period: Period) -> Answer:
    """Of every database a drill succeeded within twelve months."""
    return _often(period, YEAR, "successful drill of it", _recovered, allowance=1.0)


def elsewhere(period: Period) -> Answer:
    """What was copied to the other region was restored there with success, as often as the plan says."""
    what = "successful drill of a copy of it"
    return _often(period, period.copies_every, what, _recovered, copies=True)


def frequent(period: Period) -> Answer:
    """Of every database a point was taken as often as the plan says; production was sealed after each."""
    answers = []
    for database in period.databases:
        points = sorted(period.points.get(database, ()))
        missed = _missed(period, "sealed point of it", points, period.points_every)
        answers += [gap(f"{database}: {said}") for said in missed]
        if not missed and points:
            answers.append(shown(f"{database}: {plural(len(points), 'point')}, each sealed"))
        elif not missed:
            answers.append(
                gap(f"{database}: no sealed point, and the period is too short for one to be missed")
            )
    return together(answers, period)


def whole(period: Period) -> Answer:
    """Every drill read every page of what it restored, and no check found anything wrong."""
    return each(period, "restored whole", _whole)


def reconciled(period: Period) -> Answer:
    """Every table of a restore was compared with another restore of the point at least once a database."""
    answers = []
    for database in period.databases:
        compared = [one for one in period.of(database) if _compared(one.evidence) and _whole(one) is None]
        answers.append(
            shown(f"{database}: content compared with another restore in {count(compared)}", compared)
            if compared
            else gap(f"{database}: no drill compared every table with another restore")
        )
    return together(answers, period)


def in_four_hours(period: Period) -> Answer:
    """Every drill answered its first query within four hours, whatever objective the plan has."""
    return _in_time(period, timedelta(hours=4))


def in_time(period: Period) -> Answer:
    """Every drill was usable within its RTO objective."""
    return _in_time(period, None)


def within_loss(period: Period) -> Answer:
    """What each drill showed could be lost is within the RPO objective, and one a database was of data that new."""
    old = [
        gap(f"{database}: no drill restored data younger than the RPO objective")
        for database in period.databases
        if (drills := period.of(database)) and not any(_new(one.evidence) for one in drills)
    ]
    return merged([each(period, "within its RPO objective", _lost), *old])


def apart(period: Period) -> Answer:
    """Every restored instance was apart from production, as it was asked for, and is gone with its backups."""
    return each(period, "restored apart from production and removed", _apart)


def encrypted(period: Period) -> Answer:
    """Every point that was drilled is encrypted, and was restored under the same key."""
    return each(period, "encrypted", _in_the_clear)


def unaltered(period: Period) -> Answer:
    """No record of the evidence was altered, dropped or moved, and no signature is missing that is due."""
    told = (
        "each signature that is due holds" if period.signed else "no signature was checked: no key is known"
    )
    answers = []
    for database in period.databases:
        drills, breaks = period.of(database), period.broken.get(database, ())
        if breaks:
            says = tuple(f"{database}: {one.kind} at {one.drill}: {one.what}" for one in breaks)
            answers.append(Answer(verdict=Verdict.FAILED, says=says))
        elif drills:
            answers.append(shown(f"{database}: {count(drills)}, chained; {told}"))
        else:
            answers.append(gap(f"{database}: no drill"))
    return merged(answers)


# ---------------------------------------------------------------------------------------------- parts


def _often(
    period: Period,
    every: timedelta,
    what: str,
    counts: Callable[[Evidence], bool],
    *,
    copies: bool = False,
    allowance: float = ALLOWANCE,
) -> Answer:
    answers = []
    for database in period.databases:
        drills = [one for one in period.of(database, copies=copies) if counts(one.evidence)]
        moments = [one.evidence.started_at for one in drills]
        missed = _missed(period, what, moments, every, allowance)
        if missed:
            answers += [gap(f"{database}: {said}", drills) for said in missed]
        elif drills:
            answers.append(shown(f"{database}: {count(drills)}, the last on {moments[-1]:%Y-%m-%d}", drills))
        else:
            answers.append(gap(f"{database}: no {what}, and the period is too short for one to be missed"))
    return together(answers, period)


def _missed(
    period: Period, what: str, moments: Sequence[datetime], every: timedelta, allowance: float = ALLOWANCE
) -> tuple[str, ...]:
    first = [f"until the first, on {moments[0]:%Y-%m-%d at %H:%M} UTC"] if moments else []
    ends = [*first, *(f"to {end:%Y-%m-%d}" for end in (*moments[1:], period.until))]
    return tuple(
        f"no {what} from {start:%Y-%m-%d} {told}, {duration((end - start).total_seconds())},"
        f" where one is due every {duration(every.total_seconds())}"
        for (start, end), told in zip(pairwise([period.since, *moments, period.until]), ends, strict=True)
        if end - start > every * allowance
    )


def _concluded(evidence: Evidence) -> bool:
    return evidence.verdict in {Verdict.PASSED, Verdict.FAILED}


def _recovered(evidence: Evidence) -> bool:
    return _content(evidence) is Verdict.PASSED


def _content(evidence: Evidence) -> Verdict:
    """Return the verdict of a drill; where it missed an objective, that of all else."""
    missed = [one for one in evidence.findings if one.check in OBJECTIVES and one.verdict is Verdict.FAILED]
    others = [one.verdict for one in evidence.findings if one.check not in OBJECTIVES]
    return worst(others) if missed else evidence.verdict


def _unrecovered(evidence: Evidence) -> Doubt | None:
    return None if _recovered(evidence) else unshown("did not pass, so it shows no recovery")


def _finding(evidence: Evidence, check: str) -> Finding | None:
    return next((finding for finding in evidence.findings if finding.check == check), None)


def _whole(drilled: Drilled) -> Doubt | None:
    evidence, rows = drilled.evidence, _finding(drilled.evidence, "rows")
    if _content(evidence) is Verdict.FAILED:
        return contrary(f"failed: {evidence.verdict_reason}")
    if rows is None or rows.verdict is not Verdict.PASSED:
        return unshown("did not read every table whole")
    return _unrecovered(evidence)


def _compared(evidence: Evidence) -> bool:
    """Tell whether every table was compared with another restore's; a reference alone compares nothing."""
    rows = _finding(evidence, "rows")
    told = _COMPARED.search(rows.coverage) if rows else None
    return bool(told and 0 < int(told[1]) == int(told[2]))


def _lost(drilled: Drilled) -> Doubt | None:
    evidence, rpo = drilled.evidence, drilled.evidence.rpo
    judged = _finding(evidence, "rpo")
    if judged and judged.verdict is Verdict.FAILED:
        return contrary(f"is over its objective: {judged.reason}")
    if rpo.worst_case is not None and rpo.worst_case > evidence.rpo_objective:
        return contrary(
            f"could lose {duration(rpo.worst_case)}, objective {duration(evidence.rpo_objective)}"
        )
    if rpo.worst_case is None or judged is None or judged.verdict is not Verdict.PASSED:
        return unshown("measured no loss" + (f": {judged.reason}" if judged else ""))
    return _unrecovered(evidence)


def _new(evidence: Evidence) -> bool:
    """Tell whether less than the objective would have been lost at the start; a drill of an older point is no proof."""
    exposure = evidence.rpo.exposure_at_start
    return exposure is not None and exposure <= evidence.rpo_objective and _recovered(evidence)


def _apart(drilled: Drilled) -> Doubt | None:
    isolation = drilled.evidence.isolation
    broken = [held.property for held in isolation if not held.ok]
    if broken:
        return contrary(f"was not isolated: {', '.join(broken)}")
    left = _left(drilled.teardown)
    if isolation or (left and left.verdict is Verdict.FAILED):
        return left
    return unshown("has no record of how its instance was isolated")


def _left(teardown: Teardown | None) -> Doubt | None:
    if teardown is None:
        return unshown("has no record that its instance is gone")
    if teardown.gone_at is None:
        return contrary("left its instance")
    if teardown.retained_backups is None:
        return unshown("has no record of whether backups of its instance are left")
    if teardown.retained_backups:
        return contrary(f"left {plural(len(teardown.retained_backups), 'automated backup')} of its instance")
    return None


def _in_the_clear(drilled: Drilled) -> Doubt | None:
    point = drilled.evidence.point
    keys = [held for held in drilled.evidence.isolation if held.property == "encryption key"]
    if not point.encrypted:
        return contrary(f"restored {point.id}, which is not encrypted")
    if not all(held.ok for held in keys):
        return contrary(f"was restored under another key than that of {point.id}")
    return None if keys else unshown(f"has no record of the key that {point.id} was restored under")


def _in_time(period: Period, limit: timedelta | None) -> Answer:
    def late(drilled: Drilled) -> Doubt | None:
        rto = drilled.evidence.rto
        objective = limit.total_seconds() if limit else rto.objective
        if rto.usable is None:
            failed = drilled.evidence.verdict is Verdict.FAILED
            return (contrary if failed else unshown)("never answered a query")
        if rto.usable > objective:
            return contrary(f"took {duration(rto.usable)}, over {duration(objective)}")
        return _unrecovered(drilled.evidence)

    answer = each(period, "usable in time", late)
    times = [one.evidence.rto.usable for one in period.all() if one.evidence.rto.usable is not None]
    if answer.verdict is Verdict.PASSED and times:
        return answer.model_copy(update={"says": (*answer.says, f"the slowest took {duration(max(times))}")})
    return answer
