"""What a plan makes in a year and keeps at once, as numbers and as a picture of its retention. Pure.

The picture's ages are whole days, today first. It is drawn at the moment of a day's first slot.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from pgdrill import ledger, slots
from pgdrill.evidence import report
from pgdrill.model import Kept, Model
from pgdrill.plan import Copies, Plan, Points, spelled

DAY = timedelta(days=1)
YEAR = 365 * DAY
_BEAT = timedelta(minutes=1)
# Eighths of a character's height.
_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDEST = 60


class Count(Model):
    """`kept` is how many there are at once, None where nothing is deleted."""

    what: str
    where: str
    a_year: int
    kept: int | None


def counts(plan: Plan) -> tuple[Count, ...]:
    """Return how many of each thing the plan makes in a year of 365 days, without freezes and failures."""
    databases, primary, dr = len(plan.databases), plan.primary.region, plan.dr.region
    points = YEAR // plan.points.every * databases
    exports = _exports_a_day(plan)
    ledgers = sum(database.ledger == "on" for database in plan.databases)
    drills = [YEAR // every * databases for every in (plan.drill.every, plan.drill.dr_every)]
    made = (
        ("recovery points", primary, points, databases * slots.most_wanted(plan.points, plan.points)),
        ("copies", dr, points, databases * slots.most_wanted(plan.points, plan.copies)),
        ("automated backups of RDS", primary, 365 * databases, databases * (plan.points.pitr // DAY)),
        ("exports", primary, 365 * exports * databases, databases * exports * -(-plan.exports.keep // DAY)),
        ("drills", primary, drills[0], None),
        ("drills", dr, drills[1], None),
        ("seals", primary, 2 * points, None),
        ("beats of the ledger", primary, YEAR // _BEAT * ledgers, ledger.RETAINED * ledgers),
    )
    return tuple(Count(what=what, where=where, a_year=year, kept=kept) for what, where, year, kept in made)


def retention(plan: Plan) -> tuple[Kept, ...]:
    """Return what is kept of one database, by age."""
    primary, dr = plan.primary.region, plan.dr.region
    pitr = plan.points.pitr
    found = [
        Kept(what="PITR", region=primary, keep=spelled(pitr), every_moment=True, days=(1,) * (pitr // DAY)),
        _aged(plan, "points", primary, plan.points),
        _aged(plan, "copies", dr, plan.copies),
    ]
    if plan.exports.schedule != "off":
        days = (_exports_a_day(plan),) * -(-plan.exports.keep // DAY)
        found.append(Kept(what="exports", region=primary, keep=spelled(plan.exports.keep), days=days))
    return tuple(found)


def _aged(plan: Plan, what: str, where: str, kept: Points | Copies) -> Kept:
    now = slots.slot_of(plan.points, datetime(2000, 1, 1, tzinfo=UTC)) + plan.points.every
    ages = range(-(-kept.keep // DAY))
    days = tuple(sum(1 for _ in _wanted(plan, kept, now - age * DAY, now)) for age in ages)
    return Kept(what=what, region=where, keep=spelled(kept.keep), days=days)


def _wanted(plan: Plan, kept: Points | Copies, until: datetime, now: datetime) -> Iterator[datetime]:
    """Yield the slots of the day that ends with `until`, that moment included, whose points are wanted at `now`."""
    for slot in slots.slots(plan.points, until - DAY + plan.points.every, until + plan.points.every):
        if slots.wanted(plan.points, kept, slot, now):
            yield slot


def _exports_a_day(plan: Plan) -> int:
    return {"daily": 1, "slot": DAY // plan.points.every, "off": 0}[plan.exports.schedule]


def blocks(kept: Kept, span: int, most: int) -> str:
    """Draw it in characters, today at the left; `most` a day is a full block. Older days share a character."""
    width = min(span, _WIDEST)
    edges = [column * span // width for column in range(width + 1)]
    drawn = ""
    for begins, ends in pairwise(edges):
        days = kept.days[begins:ends]
        if kept.every_moment:
            drawn += "━" if days else " "
        else:
            height = sum(days) / (ends - begins) / most * 8
            drawn += _BLOCKS[max(1, round(height)) if days and height else 0]
    return drawn


def axis(span: int) -> str:
    """Return the line under what `blocks` draws: today at the left, the oldest day at the right."""
    width = min(span, _WIDEST)
    return "now" + f"{span} d ago".rjust(max(0, width - 3))


def svg(plan: Plan) -> str:
    """Draw the retention as a picture for documents; the report of a drill has it as well."""
    return report.retention(retention(plan))
