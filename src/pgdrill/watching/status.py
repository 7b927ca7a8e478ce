"""What could be recovered right now: per database, from what, to when, how fast, and proved when.

`look` asks RDS, KMS and the stores of both cells, and takes a cell that does not answer for unknown, never for well; all
else is pure.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from statistics import median
from typing import NamedTuple, TypeVar

from pgdrill.cell import Cell
from pgdrill.errors import DrillError, NotRunnable
from pgdrill.evidence import archive
from pgdrill.evidence.record import Summary
from pgdrill.evidence.wording import duration, moment
from pgdrill.model import Model, Moment, PointKind, Verdict, worst
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.points import choice
from pgdrill.watching import failing
from pgdrill.watching.forecast import Forecast, forecast

# How many of the last passed drills say how fast a recovery is.
RECENT = 5
# A drill that is a little late is not overdue.
ALLOWANCE = 1.5

T = TypeVar("T")


class Kind(StrEnum):
    MOMENT = "moment"
    SNAPSHOT = "snapshot"
    COPY = "copy"


class Way(Model):
    """One way back. `recovers_to` is the newest data it gives; `since` the oldest moment, of the PITR window alone.

    `expected` is the median of the last passed drills in seconds, `proved_at` when the last of them began; None where
    none passed. `last` is the verdict of the last drill of this kind; failed as long as one failed, and none of a point
    as new has passed since. `key` is what it is encrypted with, `locked` what is wrong with that: nothing comes back
    without its key.
    """

    kind: Kind
    region: str
    point: str
    recovers_to: Moment
    since: Moment | None = None
    expected: float | None = None
    proved_at: Moment | None = None
    last: Verdict = Verdict.NOT_ASKED
    key: str | None = None
    locked: str = ""


class Standing(Model):
    """How one database stands. `reasons` say why it is not better than its verdict."""

    database: str
    verdict: Verdict
    reasons: tuple[str, ...]
    ways: tuple[Way, ...]
    forecast: Forecast


class Reason(NamedTuple):
    verdict: Verdict
    says: str


class Seen(Model):
    """What was found out of one database; `unknown` are the questions that nobody answered."""

    database: str
    ways: tuple[Way, ...]
    past: tuple[Summary, ...]
    unknown: tuple[str, ...] = ()


_KINDS = {Kind.MOMENT: PointKind.PITR, Kind.SNAPSHOT: PointKind.SNAPSHOT, Kind.COPY: PointKind.COPY}


def look(cells: Sequence[Cell], database: DatabasePlan) -> Seen:
    """Ask both cells, the primary first, what there is of a database."""
    ways: list[Way] = []
    past: dict[str, Summary] = {}
    unknown: list[str] = []

    def asked(what: str, cell: Cell, ask: Callable[[], T], otherwise: T) -> T:
        try:
            return ask()
        except DrillError as error:
            unknown.append(f"{what} in {cell.place.region}: {error.message}")
            return otherwise

    for cell in cells:
        found = asked("the points", cell, partial(_newest, cell, database), list[Way]())
        found += asked("the PITR window", cell, partial(_window, cell, database), list[Way]())
        ways += [asked(f"the key of the {way.kind}", cell, partial(_keyed, cell, way), way) for way in found]
        # Each cell comes to hold the other's evidence as well.
        drills = asked("the drills", cell, partial(_drills, cell, database), list[Summary]())
        past |= {one.drill: one for one in drills}
    summaries = sorted(past.values(), key=lambda one: one.drill)
    return Seen(database=database.name, ways=tuple(ways), past=tuple(summaries), unknown=tuple(unknown))


def _newest(cell: Cell, database: DatabasePlan) -> list[Way]:
    points = choice.usable(cell, database)
    if not points:
        return []
    newest = max(points, key=lambda point: point.recovers_to)
    kind = Kind.COPY if cell.place == cell.plan.dr else Kind.SNAPSHOT
    region = cell.place.region
    return [
        Way(kind=kind, region=region, point=newest.id, recovers_to=newest.recovers_to, key=newest.kms_key)
    ]


def _window(cell: Cell, database: DatabasePlan) -> list[Way]:
    reached = choice.window(cell, database) if cell.place == cell.plan.primary else None
    if reached is None:
        return []
    return [
        Way(
            kind=Kind.MOMENT,
            region=cell.place.region,
            point="restorable",
            recovers_to=reached.latest,
            since=reached.earliest,
            key=(reached.instance or reached.backup).kms_key,
        )
    ]


def _keyed(cell: Cell, way: Way) -> Way:
    """Return the way with what is wrong with its key, if anything is."""
    if way.key is None:
        return way
    try:
        state = cell.keys.describe(way.key).state
    except NotRunnable as error:
        return way.model_copy(update={"locked": error.message})
    return way if state == "Enabled" else way.model_copy(update={"locked": f"key {way.key!r} is {state}"})


def _drills(cell: Cell, database: DatabasePlan) -> list[Summary]:
    return archive.history(cell.store, database.name, most=choice.REMEMBERED)


def standing(seen: Seen, plan: Plan, now: datetime) -> Standing:
    """Judge what was seen: a database stands well when it could be recovered now, within its objectives, as proved."""
    ways = tuple(
        _proved(way, seen.past) for way in sorted(seen.ways, key=lambda way: way.recovers_to, reverse=True)
    )
    judged = list(_judged(seen, ways, plan, now))
    return Standing(
        database=seen.database,
        verdict=worst([reason.verdict for reason in judged] or [Verdict.PASSED]),
        reasons=tuple(reason.says for reason in judged),
        ways=ways,
        forecast=forecast(seen.past, plan.objectives.rto.total_seconds(), now),
    )


def _proved(way: Way, past: Sequence[Summary]) -> Way:
    of_kind = _of(way.kind, past)
    passed = [one for one in of_kind if one.verdict is Verdict.PASSED]
    last = of_kind[-1].verdict if of_kind else Verdict.NOT_ASKED
    times = [one.rto_usable for one in passed[-RECENT:] if one.rto_usable is not None]
    return way.model_copy(
        update={
            "expected": median(times) if times else None,
            "proved_at": passed[-1].started_at if passed else None,
            "last": Verdict.FAILED if _failed(of_kind) else last,
        }
    )


def _failed(of_kind: Sequence[Summary]) -> Summary | None:
    """Return the drill that showed the newest bad data of a kind, where none of a point as new has passed since."""
    bad: dict[str, datetime] = {}
    for one in of_kind:
        if one.verdict in {Verdict.PASSED, Verdict.FAILED}:
            bad = failing.after(bad, one.kind, one.recovers_to, passed=one.verdict is Verdict.PASSED)
    shown = [one for one in of_kind if one.verdict is Verdict.FAILED and one.recovers_to == bad.get(one.kind)]
    return shown[-1] if shown else None


def _of(kind: Kind, past: Sequence[Summary]) -> list[Summary]:
    return [one for one in past if one.kind is _KINDS[kind]]


def _judged(seen: Seen, ways: Sequence[Way], plan: Plan, now: datetime) -> Iterator[Reason]:
    rto = plan.objectives.rto.total_seconds()
    for unknown in seen.unknown:
        yield Reason(Verdict.INCONCLUSIVE, f"nobody could tell {unknown}")
    if not ways:
        what = Verdict.INCONCLUSIVE if seen.unknown else Verdict.FAILED
        yield Reason(what, "there is nothing to recover from")
        return
    for way in ways:
        if way.locked:
            says = f"the {way.kind} in {way.region} cannot be restored: {way.locked}"
            yield Reason(Verdict.FAILED, says)
    yield from _lost(seen, ways, plan, now)
    yield from _last(seen, ways)
    yield from _tested(seen, plan.drill.every, now, copies=False)
    yield from _tested(seen, plan.drill.dr_every, now, copies=True)
    for way in ways:
        if way.expected is not None and way.expected > rto:
            says = f"a recovery from the {way.kind} takes {duration(way.expected)}, objective {duration(rto)}"
            yield Reason(Verdict.FAILED, says)
    yield from _copied(seen, ways, plan, now)


def _lost(seen: Seen, ways: Sequence[Way], plan: Plan, now: datetime) -> Iterator[Reason]:
    """Hold the newest data that its key allows to restore against the RPO, and the newest of a kind that drills proved."""
    rpo = plan.objectives.rpo.total_seconds()
    free = [way for way in ways if not way.locked]
    proved = [way for way in free if way.proved_at]
    if free and (lost := _age(free[0], now)) > rpo:
        says = f"the newest data to recover is {duration(lost)} old, objective {duration(rpo)}"
        yield Reason(Verdict.FAILED, says)
    elif proved and (lost := _age(proved[0], now)) > rpo:
        says = f"the newest data of a kind that passed a drill is {duration(lost)} old, objective {duration(rpo)}"
        yield Reason(Verdict.INCONCLUSIVE, says)
    elif not proved and seen.past:
        yield Reason(Verdict.INCONCLUSIVE, "nothing that is there is of a kind that passed a drill")


def _last(seen: Seen, ways: Sequence[Way]) -> Iterator[Reason]:
    """Say of each way which drill is not made up for, whatever those of other ways were."""
    for kind in Kind:
        # A region that does not answer hides its ways, and not what is known of them.
        drills = _of(kind, seen.past) if seen.unknown or any(way.kind is kind for way in ways) else []
        failed = _failed(drills)
        if failed and failed != drills[-1]:
            since = "none of a point as new has passed since"
            says = f"drill {failed.drill} of a {kind} failed, and {since}: {failed.reason}"
            yield Reason(Verdict.FAILED, says)
        if drills and drills[-1].verdict is not Verdict.PASSED:
            last = drills[-1]
            how = "failed" if last.verdict is Verdict.FAILED else "came to no conclusion"
            yield Reason(last.verdict, f"the last drill of a {kind}, {last.drill}, {how}: {last.reason}")


def _tested(seen: Seen, every: timedelta, now: datetime, *, copies: bool) -> Iterator[Reason]:
    """Say whether the drills of copies, or those in the primary region, are overdue."""
    what = "drill of a copy" if copies else "drill"
    drills = [one for one in seen.past if (one.kind is PointKind.COPY) == copies]
    if not drills:
        yield Reason(Verdict.INCONCLUSIVE, f"no {what} has been made")
        return
    last = drills[-1]
    since = now - last.started_at
    if since > every * ALLOWANCE:
        ago, due = duration(since.total_seconds()), duration(every.total_seconds())
        says = f"the last {what} was on {moment(last.started_at)}, {ago} ago, and one is due every {due}"
        yield Reason(Verdict.INCONCLUSIVE, says)


def _copied(seen: Seen, ways: Sequence[Way], plan: Plan, now: datetime) -> Iterator[Reason]:
    """Say what the loss of the primary region would cost, where that is more than the plan allows."""
    copies = [way for way in ways if way.kind is Kind.COPY]
    if not copies:
        if not seen.unknown:
            says = f"there is no copy in {plan.dr.region}: the loss of {plan.primary.region} would be final"
            yield Reason(Verdict.FAILED, says)
        return
    late = (plan.points.every + plan.copies.late_after).total_seconds()
    if (age := _age(copies[0], now)) > late:
        says = f"the newest copy in {plan.dr.region} is {duration(age)} old, and the next was due at {duration(late)}"
        yield Reason(Verdict.FAILED, says)


def _age(way: Way, now: datetime) -> float:
    return (now - way.recovers_to).total_seconds()
