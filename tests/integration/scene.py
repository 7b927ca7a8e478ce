"""A deployed system in a lab over which time passes as a test says: looks of the watch, alarms, and what they told.

What goes on by itself in AWS goes on here as the scene is told: the watch of each cell looks at its occasions, the
beat beats and points are taken at their slots, unless the scene withholds them.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from pgdrill.lab import production, shop
from pgdrill.lab.deploy.deployment import OUTPUTS, PLAN
from pgdrill.lab.lab import Lab
from pgdrill.plan import Plan
from tests.integration.deployed import Cell, Deployment, until

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EVERY = 5 * MINUTE
# What the fast path tells of an alarm that is over.
OVER = re.compile(r"pgdrill \S+: in \S+ the alarm (\S+) is over,")
# Of what an execution that goes on for long would keep anybody from seeing the end.
LONG = frozenset({"drill"})


@dataclass(frozen=True)
class Told:
    """A letter about an alarm: `ALARM` or `OK`, of which cell, when, and what it says."""

    state: str
    name: str
    cell: str
    when: datetime
    topic: str
    text: str


@dataclass
class Scene:
    lab: Lab
    ahead: timedelta = timedelta(0)
    watched: set[str] = field(default_factory=lambda: {"primary", "dr"})
    archives: bool = True
    takes: bool = True
    flies: bool = True
    hanging: bool = False
    notes: dict[str, datetime] = field(default_factory=dict)
    _looked: datetime | None = None
    _evaluated: datetime | None = None
    _read: int = 0

    @cached_property
    def deployment(self) -> Deployment:
        return Deployment(json.loads((self.lab.directory / OUTPUTS).read_bytes()))

    @cached_property
    def primary(self) -> Cell:
        return self.deployment.cell("primary")

    @cached_property
    def dr(self) -> Cell:
        return self.deployment.cell("dr")

    @cached_property
    def plan(self) -> Plan:
        return Plan.load(self.lab.directory / PLAN)

    @property
    def instance(self) -> str:
        return self.plan.databases[0].instance

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def sql(self, database: str, *statements: str) -> None:
        """Have production's master user do something."""
        address = production.deployed(self.lab, self.plan.databases[0])
        with shop.connect(address, database) as session:
            for statement in statements:
                session.execute(statement)

    # What the system does -----------------------------------------------------------------------------------

    def name(self, thing: str) -> str:
        return f"pgdrill-{self.deployment.suffix}-{thing}"

    def fire(self, thing: str, cell: Cell | None = None, due_at: datetime | None = None) -> None:
        """Start what a schedule starts, and wait until nothing runs that ends by itself."""
        where = cell or self.primary
        fired = self.lab.door.fire(self.name(thing), due_at or self.now, region=where.region)
        assert fired["undelivered"] == "", (thing, fired)
        if thing.partition("-")[0] not in LONG:
            self.quiet()

    def take(self) -> str:
        """Take the point of the slot that it is; return its name."""
        slot = self.slot()
        if slot != self.notes.get("taken"):
            self.fire("take-shop", due_at=slot)
            self.notes["taken"] = slot
        return f"{self.plan.point_prefix(self.plan.databases[0])}{slot:%Y-%m-%dt%H}z"

    def slot(self, after: int = 0) -> datetime:
        """Return the slot that it is, or one that many after it."""
        points = self.plan.points
        midnight = datetime(self.now.year, self.now.month, self.now.day, tzinfo=UTC)
        since = self.now - midnight - points.offset
        return midnight + points.offset + (since // points.every + after) * points.every

    def start(self, machine: str, given: Any, cell: Cell | None = None) -> str:
        where = cell or self.primary
        asked = {"stateMachineArn": where[f"{machine}MachineArn"], "input": json.dumps(given)}
        return str(where.client("stepfunctions").start_execution(**asked)["executionArn"])

    def ended(self, execution: str) -> Any:
        """Wait until an execution is over; return its output."""
        states = self.primary.client("stepfunctions")
        until(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING")
        done = states.describe_execution(executionArn=execution)
        self.quiet()
        return json.loads(done.get("output") or "null")

    def temporary(self) -> str:
        """Return the status of the drill's instance, "" while there is none."""
        found = self.primary.client("rds").describe_db_instances()["DBInstances"]
        return next(
            (one["DBInstanceStatus"] for one in found if "-drill-" in one["DBInstanceIdentifier"]), ""
        )

    def quiet(self) -> None:
        """Wait until nothing runs in either cell but what goes on for long."""
        if not self.hanging:
            self.lab.door.settle()
            return
        calm = 0
        end = time.monotonic() + 60
        while calm < 2:  # what has ended may have started something
            assert time.monotonic() < end, list(self._running())
            calm = 0 if any(self._running()) else calm + 1
            time.sleep(0.02)

    def _running(self) -> Iterator[str]:
        for cell in self.deployment.cells:
            states = cell.client("stepfunctions")
            for name, arn in cell.named("MachineArn").items():
                if name.lower() not in LONG:
                    for one in states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")[
                        "executions"
                    ]:
                        yield str(one["executionArn"])

    # Time ---------------------------------------------------------------------------------------------------

    def jump(self, to: datetime) -> None:
        """Let time pass at whose end all is as ever: a point of the slot is there, the canary flew, the watch looked."""
        self._move(to - 2 * EVERY)
        if self.flies and self.now - self.notes.get("flown", self.now - DAY) > 12 * HOUR:
            self.fly()
        # Each cell tells the other by its look; what one knows of the other is as old as the look before.
        self._look(self.now)
        self._move(to)
        self._look(self.now)
        self._evaluated = self.now.replace(second=30, microsecond=0)

    def begin(self) -> None:
        """Let all begin that goes on by itself."""
        self.fire("beat")
        self.notes["first"] = self.slot()
        self.jump(self.now)

    def fly(self) -> None:
        for cell in self.deployment.cells:
            self.fire("canary", cell)
        self.notes["flown"] = self.now

    def passes(self, time_: timedelta) -> None:
        """Let minutes pass: the watch looks at its occasions, and CloudWatch at the alarms every minute."""
        end = self.now + time_
        while (occasion := self._next()) <= end:
            self._evaluate(occasion)
            self._move(occasion)
            self._look(occasion)
        self._evaluate(end)
        self._move(end)

    def _next(self) -> datetime:
        after = self._looked or self.now
        midnight = datetime(2026, 1, 1, tzinfo=UTC)
        occasion = midnight + ((after - midnight) // EVERY + 1) * EVERY
        return max(occasion, midnight + -((midnight - self.now) // EVERY) * EVERY)

    def _move(self, to: datetime) -> None:
        if to > self.now:
            self.ahead = to - datetime.now(UTC)
            self.lab.door.move_clock(self.ahead)

    def _look(self, occasion: datetime) -> None:
        self._looked = occasion
        if self.takes:
            self.take()
        if self.archives:
            self._archived()
        for cell in self.deployment.cells:
            if cell.name in self.watched:
                self.fire("watch", cell, occasion)

    def _archived(self) -> None:
        """Let production be written to, as it is all the time, and its log be archived."""
        self.sql("shop", "CALL shop.place_order(1, 1)")
        rds, since = self.primary.client("rds"), self.now - MINUTE

        def restorable() -> bool:
            (found,) = rds.describe_db_instances(DBInstanceIdentifier=self.instance)["DBInstances"]
            return bool(found.get("LatestRestorableTime", since - MINUTE) > since)

        until(restorable)

    def _evaluate(self, at: datetime) -> None:
        whole = at.replace(second=0, microsecond=0) + timedelta(seconds=30)
        since = self._evaluated or whole - MINUTE
        if whole > since:
            self.lab.door.evaluate_alarms(whole, since=since)
            self._evaluated = whole

    # What was told ------------------------------------------------------------------------------------------

    def told(self) -> list[Told]:
        """Return what alarms told since this was asked last."""
        letters = self.lab.door.inbox()
        new, self._read = letters[self._read :], len(letters)
        return [told for letter in new if (told := self._of(letter))]

    def _of(self, letter: Any) -> Told | None:
        try:
            text = json.loads(letter["text"])
        except ValueError:
            return None
        if isinstance(text, str) and (over := OVER.match(text)):
            text = {"AlarmName": over[1], "NewStateValue": "OK", "AlarmDescription": text}
        if not isinstance(text, dict) or "AlarmName" not in text:
            return None
        name = text["AlarmName"].removeprefix(self.name(""))
        cell = next(cell.name for cell in self.deployment.cells if cell.region == letter["region"])
        when = datetime.fromisoformat(letter["when"])
        topic = letter["topic"].rpartition("-")[2]
        return Told(text["NewStateValue"], name, cell, when, topic, text["AlarmDescription"])

    def letters(self) -> list[Any]:
        return list(self.lab.door.inbox())

    def states(self, cell: Cell) -> dict[str, str]:
        """Return what each alarm is, the composite ones too."""
        found = cell.client("cloudwatch").get_paginator("describe_alarms")
        pages = list(found.paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"]))
        alarms = [one for page in pages for one in page["MetricAlarms"] + page["CompositeAlarms"]]
        return {one["AlarmName"].removeprefix(self.name("")): one["StateValue"] for one in alarms}


Deed = Callable[[Scene], None]
