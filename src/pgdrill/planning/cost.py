"""What the plan costs a month, line by line, known before anything is deployed. Pure; prices are in prices.toml.

Each line has a likely sum and a highest. They differ most for snapshots: AWS bills what changed between them and
tells nobody how much that is, so the likely sum rests on `cost.changed_daily` and the highest takes each as full.
"""

import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from importlib import resources
from typing import NamedTuple

from pgdrill import slots
from pgdrill.model import Model
from pgdrill.plan import CellPlan, Plan
from pgdrill.planning import pace

HOURS = 730.0
DAYS = 365 / 12
HOUR = 3600.0
_DAY = timedelta(days=1)

# Of db.t3.medium. Source: each price doubles from micro to small to medium; db.t4g.micro is 0.025 where t3 is 0.028.
_SIZES = {"micro": 0.25, "small": 0.5, "medium": 1.0}
_FAMILIES = {"t3": 1.0, "t4g": 0.9}

# What a cell has by design: subnets in two zones; keys for storage, for messages, for signatures and for drill passwords;
# interface endpoints of rds and kms for drills, and of secretsmanager in production's network.
ZONES = 2
KEYS = 4
DRILL_ENDPOINTS = 2
PRODUCTION_ENDPOINTS = 1
# Alarms and metrics: of the primary cell or the other, and of each database in it. An alarm is billed by the metrics
# that it looks at, one that is made of others as five. Metrics are those that `watch` publishes; what is told of now
# and then is billed by the hour.
ALARMS = {True: (102, 16), False: (82, 10)}
METRICS = {True: (14, 14), False: (14, 8)}


class Round(NamedTuple):
    """What runs by itself: minutes between, seconds and GB of the function, and state transitions, publishing included."""

    minutes: float
    seconds: float
    gb: float
    transitions: int


# Of each cell; of the primary, where beats come on top; and of DR, where copies are asked for twice: a schedule does,
# and so does each telling of the other cell. Tests of the deployment hold these against what is deployed.
BEAT = Round(1, 0.5, 0.5, 3)
ROUNDS = {
    "hear": Round(5, 2.0, 0.5, 10),
    "watch": Round(5, 4.0, 1.0, 16),
    "reap": Round(15, 2.0, 0.5, 3),
    "retain": Round(60, 5.0, 0.5, 11),
    "canary": Round(1440, 0, 0, 10),
}
PRIMARY_ROUNDS = {"export": Round(15, 3.0, 0.5, 4)}
DR_ROUNDS = {"copy": Round(5, 4.0, 0.5, 11), "copy, as told": Round(5, 4.0, 0.5, 11)}
# Of a point: its steps and seals while the snapshot is made.
_POINT = Round(0, 60.0, 0.5, 90)
EXAMINE_GB = 1.0
_DRILL_TRANSITIONS_A_MINUTE = 3
# Parquet in gzip against what is stored; tables of text and numbers make a third to a half.
_PARQUET = 0.4
_EVIDENCE_GB = 1.0
_LOGS_GB = 1.0

ASSUMPTIONS = (
    "list prices on demand, before tax; no free tier, no discount",
    f"a month has {HOURS:.0f} hours",
    "storage is counted as provisioned, which is more than is used",
    "requests to S3, KMS, Secrets Manager, EventBridge and SNS are left out: together under a dollar",
    "an adopted database is paid for anyway and not counted; a created one is",
)


class Price(Model):
    """US dollars a `unit` in each region. `inferred` says how, where a region's price was not seen."""

    unit: str
    usage: str
    source: str
    seen: date
    inferred: str = ""
    usd: dict[str, float]

    def at(self, region: str) -> float:
        """Return the price there; of a region that is not listed, the dearest."""
        return self.usd.get(region, max(self.usd.values()))


class Line(Model):
    """`quantity` and `at_most` are in `unit`; `usd` and `most` are dollars a month."""

    what: str
    region: str
    quantity: float
    at_most: float
    unit: str
    usd: float
    most: float
    assumes: str
    price: str


class Estimate(Model):
    """Dollars a month. `once` is paid a single time, for the first full copies."""

    lines: tuple[Line, ...]
    total: float
    most: float
    once: float
    ceiling: float
    assumptions: tuple[str, ...] = ASSUMPTIONS


@cache
def prices() -> dict[str, Price]:
    text = resources.files("pgdrill.planning").joinpath("prices.toml").read_text(encoding="utf-8")
    return {name: Price.model_validate(entry) for name, entry in tomllib.loads(text).items()}


def estimate(plan: Plan) -> Estimate:
    """Reckon what the whole plan costs a month."""
    lines = tuple(line for cell in (plan.primary, plan.dr) for line in _cell(plan, cell))
    stored = sum(database.storage_gb for database in plan.databases)
    return Estimate(
        lines=lines,
        total=round(sum(line.usd for line in lines), 2),
        most=round(sum(line.most for line in lines), 2),
        once=round(stored * prices()["transfer"].at(plan.primary.region), 2),
        ceiling=plan.cost.ceiling,
    )


def bearable(plan: Plan) -> float | None:
    """Return the largest part of the storage that may change daily before the ceiling is passed, to a percent.

    None where the ceiling is passed although nothing changes.
    """
    held = None
    for percent in range(101):
        changed = plan.cost.model_copy(update={"changed_daily": percent / 100})
        if estimate(plan.model_copy(update={"cost": changed})).total > plan.cost.ceiling:
            return held
        held = percent / 100
    return held


def _cell(plan: Plan, cell: CellPlan) -> Iterator[Line]:
    if cell is plan.primary:
        yield from _created(plan, cell.region)
        yield _snapshots(plan, cell.region)
        yield _transfer(plan, cell.region)
        yield from _exports(plan, cell.region)
    else:
        yield _copies(plan, cell.region)
    yield from _drills(plan, cell.region)
    yield from _standing(plan, cell)
    yield from _running(plan, cell)


def _line(
    what: str, region: str, price: str, quantity: float, at_most: float | None = None, *, assumes: str = ""
) -> Line:
    """Make a line; `quantity` never exceeds `at_most`, which is the same where it is not given."""
    at_most = quantity if at_most is None else at_most
    quantity = min(quantity, at_most)
    found = prices()[price]
    usd = found.at(region)
    unknown = "" if region in found.usd else f"no price of {region} is known: the dearest known is taken"
    return Line(
        what=what,
        region=region,
        quantity=round(quantity, 2),
        at_most=round(at_most, 2),
        unit=found.unit,
        usd=round(quantity * usd, 2),
        most=round(at_most * usd, 2),
        assumes="; ".join(part for part in (assumes, unknown) if part),
        price=f"{usd:.10f}".rstrip("0").rstrip("."),
    )


def _created(plan: Plan, region: str) -> Iterator[Line]:
    for database in plan.databases:
        if database.origin == "created":
            copies = 2 if database.multi_az else 1
            hours = HOURS * copies * _size(database.instance_class)
            zones = f"{database.instance_class} in {copies} zone{'s' if copies > 1 else ''}"
            yield _line(f"database {database.name}", region, "instance", hours, assumes=zones)
            yield _line(
                f"storage of {database.name}",
                region,
                "storage",
                database.storage_gb * copies,
                assumes=f"{database.storage_gb} GB in {copies} zone{'s' if copies > 1 else ''}",
            )


def _snapshots(plan: Plan, region: str) -> Line:
    """Snapshots and automated backups share one allowance: the size of the databases is free.

    Source: AWS Database Blog, "Demystifying Amazon RDS backup storage costs".
    """
    changed, points = plan.cost.changed_daily, plan.points
    kept, days, pitr = slots.most_wanted(points, points), points.keep / _DAY, points.pitr / _DAY
    stored = sum(database.storage_gb for database in plan.databases)
    return _line(
        "snapshots and automated backups",
        region,
        "backup",
        stored * (changed * max(days, pitr) + changed * pitr),
        stored * (kept + pitr - 1),
        assumes=f"{kept} points of each database, {changed:.0%} changed a day, {pitr:.0f} days of log;"
        " the first full size is free; at most: every point full",
    )


def _copies(plan: Plan, region: str) -> Line:
    kept = slots.most_wanted(plan.points, plan.copies)
    stored = sum(database.storage_gb for database in plan.databases)
    return _line(
        "copied snapshots",
        region,
        "backup",
        stored * (1 + plan.cost.changed_daily * (plan.copies.keep / _DAY)),
        stored * kept,
        assumes=f"{kept} copies of each database; nothing is free where no database is; at most: every copy full",
    )


def _transfer(plan: Plan, region: str) -> Line:
    stored = sum(database.storage_gb for database in plan.databases)
    copies = DAYS * (_DAY / plan.points.every)
    return _line(
        "transfer to the DR region",
        region,
        "transfer",
        stored * plan.cost.changed_daily * DAYS,
        stored * copies,
        assumes=f"{plan.cost.changed_daily:.0%} changed a day; at most: every copy full, as after a change of key",
    )


def _exports(plan: Plan, region: str) -> Iterator[Line]:
    if plan.exports.schedule == "off":
        return
    daily = 1.0 if plan.exports.schedule == "daily" else _DAY / plan.points.every
    stored = sum(database.storage_gb for database in plan.databases)
    made = stored * daily * DAYS
    yield _line("exports", region, "export", made, assumes="billed by the size of the snapshot")
    kept = stored * daily * (plan.exports.keep / _DAY)
    yield _line(
        "exports in S3",
        region,
        "objects",
        kept * _PARQUET,
        kept,
        assumes=f"Parquet takes {_PARQUET:.0%} of the size; at most: all of it",
    )


def _drills(plan: Plan, region: str) -> Iterator[Line]:
    every = plan.drill.every if region == plan.primary.region else plan.drill.dr_every
    count = DAYS * (_DAY / every)
    size = _size(plan.drill.instance_class)
    spans = [(database, pace.drilling(plan, database)) for database in plan.databases]
    hours = [sum(getattr(span, which) for _, span in spans) / HOUR for which in ("middle", "most")]
    yield _line(
        "drills",
        region,
        "instance",
        count * hours[0] * size,
        count * hours[1] * size,
        assumes=f"{count:.1f} drills of each database, {hours[0] / len(spans):.1f} h each on {plan.drill.instance_class}",
    )
    months = [
        sum(database.storage_gb * getattr(span, which) for database, span in spans) / HOUR / HOURS
        for which in ("middle", "most")
    ]
    yield _line("storage of drills", region, "storage", count * months[0], count * months[1])


def _standing(plan: Plan, cell: CellPlan) -> Iterator[Line]:
    """Yield what costs by existing."""
    region, databases = cell.region, len(plan.databases)
    endpoints = DRILL_ENDPOINTS + (PRODUCTION_ENDPOINTS if cell is plan.primary else 0)
    yield _line(
        "interface endpoints",
        region,
        "endpoint",
        endpoints * ZONES * HOURS,
        assumes=f"{endpoints} in {ZONES} zones; the one of S3 is free",
    )
    yield _line("keys", region, "key", KEYS, assumes="storage, messages, signatures, drill passwords")
    for what, counts in ("alarm", ALARMS), ("metric", METRICS):
        of_cell, of_each = counts[cell is plan.primary]
        yield _line(f"{what}s", region, what, of_cell + of_each * databases)
    yield _line("dashboard", region, "dashboard", 1)
    yield _line("logs", region, "logs", _LOGS_GB)
    yield _line("evidence in S3", region, "objects", _EVIDENCE_GB)


def _running(plan: Plan, cell: CellPlan) -> Iterator[Line]:
    """Yield functions and the state machines around them."""
    primary = cell is plan.primary
    beats = any(database.ledger == "on" for database in plan.databases) and primary
    points = DAYS * (_DAY / plan.points.every) * len(plan.databases) if primary else 0
    every = plan.drill.every if primary else plan.drill.dr_every
    seconds = sum(pace.drilling(plan, database).most for database in plan.databases) * DAYS * (_DAY / every)
    rounds = [*ROUNDS.values(), *(PRIMARY_ROUNDS if primary else DR_ROUNDS).values(), *([BEAT] * beats)]
    runs = [*((DAYS * 1440 / one.minutes, one) for one in rounds), (points, _POINT)]
    yield _line(
        "functions",
        cell.region,
        "compute",
        sum(count * run.seconds * run.gb for count, run in runs) + seconds * EXAMINE_GB,
        assumes="rounds by their schedules, points, and drills that read all the time",
    )
    yield _line(
        "state transitions",
        cell.region,
        "transition",
        sum(count * run.transitions for count, run in runs) + seconds / 60 * _DRILL_TRANSITIONS_A_MINUTE,
        assumes="the same",
    )


def _size(instance_class: str) -> float:
    """Return the price of a class against db.t3.medium's."""
    _, family, size = instance_class.split(".")
    return _FAMILIES[family] * _SIZES[size]
