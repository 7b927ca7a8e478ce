"""Twelve weeks of a deployment with two databases, always the same, as CloudWatch would answer for them.

For tests and for the pictures of the documents: looks of the watch over a deployment that is well, drills as they are
judged, points as they are taken, and alarms that evaluate all of that by CloudWatch's rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pgdrill.dashboard.board import Board
from pgdrill.dashboard.cell import Cell
from pgdrill.dashboard.readings import Readings, read
from pgdrill.dashboard.sections import board
from pgdrill.drills import telling
from pgdrill.evidence.record import Evidence
from pgdrill.lab.cloudwatch import alarms as cloudwatch
from pgdrill.lab.cloudwatch.alarms import Region
from pgdrill.lab.cloudwatch.metrics import Metrics, Stretch
from pgdrill.messages import Metric, Reply
from pgdrill.model import Finding, Rpo, Rto, Stage, Verdict
from pgdrill.plan import Plan
from pgdrill.watching import alarm_model, alarms
from pgdrill.watching.ages import measure
from pgdrill.watching.alarm_model import Scope
from pgdrill.watching.storage import Kind, Stored, monthly
from tests.unit.evidence.drills import drilled
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME
from tests.unit.watching.world import DAY, FIRST, HOUR, MINUTE, look

NOW = FIRST + 84 * DAY + 3 * HOUR + 7 * MINUTE
DATABASES = ("shop", "bank")
SLOWER = {"SnapshotAge": 900.0, "RestorableAge": 90.0, "CopyAge": 1500.0, "LedgerAge": 25.0, "DrillAge": 6e3}
FUNCTIONS = {"take": 60, "watch": 60, "examine": 900, "judge": 300, "copy": 60}
MACHINES = ("take", "drill", "watch", "publish")
ACCOUNT = "111122223333"
PLAN: Plan = plan(
    database=[
        {"name": name, "instance": f"{name}-production", "secret": f"pgdrill/{name}"} for name in DATABASES
    ]
)


@dataclass
class Cloud:
    """What boto3's client of CloudWatch is to a dashboard, over the lab's metrics and alarms."""

    cell: Cell
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self._alarms = {one["AlarmName"]: one for one in self._made()}
        self._composites = {
            name: {
                "AlarmName": name,
                "AlarmArn": self.cell.arn("cloudwatch", f"alarm:{name}"),
                "AlarmRule": rule,
            }
            | _unknown()
            for name, rule in alarms.recoverable(self.cell.plan, self.cell.region, self.cell.thing)
        }
        self._region = Region(self.metrics, lambda: self._alarms, lambda: self._composites, self)

    def _made(self) -> Iterator[dict[str, Any]]:
        cell = self.cell
        for alarm, subject in alarms.of_cell(cell.plan, cell.region, cell.functions, cell.machines):
            about = {
                Scope.FUNCTION: {"FunctionName": cell.thing(subject.name)},
                Scope.MACHINE: {
                    "StateMachineArn": cell.arn("states", f"stateMachine:{cell.thing(subject.name)}")
                },
            }.get(alarm.scope, alarm.about(subject))
            name = cell.thing(alarm.name, subject.name)
            yield (
                alarm_model.request(alarm, subject, name, about)
                | {"AlarmArn": cell.arn("cloudwatch", f"alarm:{name}")}
                | _unknown()
            )

    def changed(self, alarm: dict[str, Any], _: dict[str, Any], at: float) -> None:
        alarm["StateTransitionedTimestamp"] = at

    def act(self, alarm: dict[str, Any], before: dict[str, Any], at: float) -> None:
        """Nobody is told."""

    def evaluate(self, at: datetime) -> None:
        self._region.evaluate(at.timestamp())

    def put(self, name: str, value: float, at: datetime, *, namespace: str = "pgdrill", **about: str) -> None:
        dimensions = {"Suffix": PLAN.stack.suffix} | about if namespace == "pgdrill" else about
        listed = [{"Name": key, "Value": each} for key, each in dimensions.items()]
        self.metrics.put(cloudwatch.metric(namespace, name, listed), at.timestamp(), value)

    def publish(self, told: Reply | tuple[Metric, ...], at: datetime) -> None:
        for metric in told.metrics if isinstance(told, Reply) else told:
            self.put(metric.name, metric.value, at, **metric.dimensions)

    # ------------------------------------------------------------------------ as boto3 has it

    def get_paginator(self, operation: str) -> Any:
        return _Pages({"get_metric_data": self._data, "describe_alarms": self._described}[operation])

    def _data(self, **asked: Any) -> dict[str, Any]:
        results = []
        for query in asked["MetricDataQueries"]:
            stat = query["MetricStat"]
            period = stat["Period"]
            first = asked["StartTime"].timestamp() // period * period
            over = Stretch(first, period, int((asked["EndTime"].timestamp() - first) // period) + 1)
            of = stat["Metric"]
            metric = cloudwatch.metric(of["Namespace"], of["MetricName"], of["Dimensions"])
            found = zip(over.starts(), self.metrics.vector(metric, stat["Stat"], over), strict=True)
            there = [(datetime.fromtimestamp(at, UTC), value) for at, value in found if value is not None]
            results.append(
                {
                    "Id": query["Id"],
                    "Timestamps": [at for at, _ in there],
                    "Values": [value for _, value in there],
                }
            )
        return {"MetricDataResults": results}

    def _described(self, **asked: Any) -> dict[str, Any]:
        def told(kept: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
            return [
                alarm
                | {
                    name: datetime.fromtimestamp(alarm[name], UTC)
                    for name in ("StateUpdatedTimestamp", "StateTransitionedTimestamp")
                }
                for alarm in kept.values()
                if alarm["AlarmName"].startswith(asked["AlarmNamePrefix"])
            ]

        return {"MetricAlarms": told(self._alarms), "CompositeAlarms": told(self._composites)}


@dataclass(frozen=True)
class _Pages:
    answer: Any

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        return [self.answer(**asked)]


def _unknown() -> dict[str, Any]:
    at = FIRST.timestamp()
    return {
        "StateValue": "INSUFFICIENT_DATA",
        "StateUpdatedTimestamp": at,
        "StateTransitionedTimestamp": at,
        cloudwatch.CREATED: at,
    }


# ------------------------------------------------------------------------------------------------ twelve weeks


def cell_of(region: str, of: Plan = PLAN) -> Cell:
    return Cell(of, region, ACCOUNT, f"pgdrill-lab-evidence-{ACCOUNT}-{region}", FUNCTIONS, MACHINES)


def lived(region: str) -> Cloud:
    """Return the cell's CloudWatch at NOW."""
    cloud, dice = Cloud(cell_of(region)), Random(f"pgdrill {region}")  # noqa: S311 # the same each time
    for days in range(85):
        _looked(cloud, region, FIRST + days * DAY + HOUR, days)
    for minutes in range(0, 48 * 60, 5):
        _looked(cloud, region, NOW - timedelta(minutes=minutes), 84)
    _points(cloud, region, dice)
    _drills(cloud, region, dice)
    _machinery(cloud, dice)
    for minutes in [*range(47 * 60, 180, -60), *range(180, -1, -5)]:
        cloud.evaluate(NOW - timedelta(minutes=minutes))
    return cloud


def _looked(cloud: Cloud, region: str, at: datetime, days: int) -> None:
    kept = _stored(region, days)
    seen = look(region, at).model_copy(update={"stored": kept, "dollars": monthly(kept)})
    told = measure(seen, PLAN)
    cloud.publish(told, at)
    # The other database is a little slower in everything, and its last drill came to no conclusion.
    for one in told:
        if "Database" in one.dimensions:
            value = 1.0 if one.name == "LastDrillInconclusive" and region == HOME else one.value
            cloud.put(one.name, value + SLOWER.get(one.name, 0.0), at, Database="bank")


def _stored(region: str, days: int) -> tuple[Stored, ...]:
    """Thirty days fill what is kept; from then on it grows with the databases."""
    base, kept = 150 + 0.4 * days, min(days, 30)
    sizes = (
        {Kind.AUTOMATED: base * 1.35, Kind.SNAPSHOTS: base * (1 + 0.05 * kept)}
        if region == HOME
        else {Kind.COPIES: base * (1 + 0.05 * kept)}
    )
    free = base if region == HOME else 0.0
    return tuple(
        Stored(
            kind=kind,
            gigabytes=round(size, 1),
            most_gigabytes=base * 4 * (kept + 1),
            usd=round(max(0.0, size - free) * 0.095, 2),
            most_usd=round(base * 4 * (kept + 1) * 0.095, 2),
        )
        for kind, size in sizes.items()
    )


def _points(cloud: Cloud, region: str, dice: Random) -> None:
    for slots in range(9):
        at = NOW - timedelta(hours=NOW.hour % 6, minutes=NOW.minute) - slots * 6 * HOUR + 12 * MINUTE
        for database in DATABASES:
            if region == HOME:
                cloud.put("PointsTaken", 1, at, Database=database)
                cloud.put("PointSeconds", 560 + dice.uniform(0, 220), at, Database=database)
        if region == AWAY:
            cloud.put("CopyLag", 2700 + dice.uniform(0, 700), at + HOUR, Region=region)


def _drills(cloud: Cloud, region: str, dice: Random) -> None:
    every = 7 if region == HOME else 28
    for number, days in enumerate(range(3, 85, every), start=1):
        for database in DATABASES:
            at = FIRST + days * DAY + 4 * HOUR + (HOUR if database == "bank" else timedelta(0))
            verdict = {("shop", 6): Verdict.FAILED, ("bank", 12): Verdict.INCONCLUSIVE}.get(
                (database, number), Verdict.PASSED
            )
            cloud.publish(telling.judged(_judged(number, database, at, verdict, dice), "bucket"), at)
            if region == HOME:
                cloud.put("PitrProved", round(100 * (number + 1) // 2 / 28, 1), at, Database=database)


def _judged(number: int, database: str, at: datetime, verdict: Verdict, dice: Random) -> Evidence:
    grown = 1 + 0.025 * number + (0.35 if database == "bank" else 0)
    took = [2.0, *(mean * grown * dice.uniform(0.9, 1.15) for mean in (1020.0, 150.0, 14.0, 900.0, 420.0))]
    stages = (
        Stage.ACCEPTED,
        Stage.AVAILABLE,
        Stage.FIRST_LOGIN,
        Stage.FIRST_QUERY,
        Stage.HYDRATED,
        Stage.EXAMINED,
    )
    reached = {Stage.REQUESTED: at}
    for place, stage in enumerate(stages, start=1):
        reached[stage] = at + timedelta(seconds=sum(took[:place]))
    return drilled(
        database=database,
        number=number,
        previous_sha256=None if number == 1 else "b" * 64,
        stages=reached,
        rto=Rto(usable=sum(took[:4]), verified=sum(took), objective=14400),
        rpo=Rpo(
            lag_of_point=dice.uniform(20, 70),
            exposure_at_start=dice.uniform(2000, 15000),
            worst_case=22100 + dice.uniform(0, 300),
            basis="the ledger",
        ),
        examined=drilled().examined.model_copy(update={"bytes": int(61e9 * grown)}),
        findings=(Finding(check="rows", verdict=verdict, reason="as it is"),),
        verdict=verdict,
        verdict_reason="as it is",
    )


def _machinery(cloud: Cloud, dice: Random) -> None:
    for hours in range(48):
        at = NOW - hours * HOUR
        for name, limit in FUNCTIONS.items():
            about = {"FunctionName": cloud.cell.thing(name)}
            cloud.put(
                "Duration", limit * 1000 * dice.uniform(0.03, 0.12), at, namespace="AWS/Lambda", **about
            )
            for none in ("Errors", "Throttles"):
                cloud.put(none, 0, at, namespace="AWS/Lambda", **about)
        for name in MACHINES:
            arn = cloud.cell.arn("states", f"stateMachine:{cloud.cell.thing(name)}")
            cloud.put("ExecutionsFailed", 0, at, namespace="AWS/States", StateMachineArn=arn)


def shown(region: str) -> tuple[Board, Readings]:
    """Return a cell's dashboard and what it shows at NOW."""
    cloud = lived(region)
    drawn = board(cloud.cell)
    return drawn, read(cloud, drawn, cloud.cell.thing(""), NOW)
