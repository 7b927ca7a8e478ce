"""The alarms of one cell, made as they are deployed, over the metrics of looks, with time passing as a test says."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill.lab.cloudwatch import alarms as cloudwatch
from pgdrill.lab.cloudwatch.alarms import Alarm as Deployed
from pgdrill.lab.cloudwatch.alarms import Region
from pgdrill.lab.cloudwatch.metrics import Metrics
from pgdrill.messages import Metric
from pgdrill.plan import Plan
from pgdrill.watching import alarm_model, alarms
from pgdrill.watching.ages import measure
from pgdrill.watching.alarm_model import Alarm, Scope, Subject
from pgdrill.watching.sighting import Sighting
from tests.unit.watching.world import FIRST, MINUTE, look

FUNCTIONS, MACHINES = {"take": 60, "examine": 900}, ("take", "drill")
# What AWS's own metrics are about; of one alarm there is one subject in these tests.
NAMED = {Scope.FUNCTION: "FunctionName", Scope.MACHINE: "StateMachineArn"}


class Watchman:
    """Looks are published `delay` after they are made; alarms are looked at when a minute is nearly over."""

    delay = timedelta(seconds=45)

    def __init__(self, plan: Plan, region: str, made_at: datetime) -> None:
        self.plan = plan
        self._made_at = made_at.timestamp()
        self.metrics = Metrics()
        self.fired: dict[str, datetime] = {}
        made = alarms.of_cell(plan, region, FUNCTIONS, MACHINES)
        self._alarms = {
            one["AlarmName"]: one for alarm, subject in made for one in [self._made(alarm, subject)]
        }
        self._region = Region(self.metrics, lambda: self._alarms, dict, self)

    def _made(self, alarm: Alarm, subject: Subject) -> Deployed:
        name = f"{alarm.name}/{subject.name}" if subject.name else alarm.name
        request = alarm_model.request(alarm, subject, name, dimensions(alarm, subject))
        cloudwatch.definition(request)
        state = {"StateValue": "INSUFFICIENT_DATA", "StateUpdatedTimestamp": self._made_at}
        return request | state | {"AlarmArn": f"arn:{name}", cloudwatch.CREATED: self._made_at}

    def changed(self, alarm: Deployed, _: Deployed, at: float) -> None:
        if alarm["StateValue"] == "ALARM":
            self.fired.setdefault(alarm["AlarmName"], datetime.fromtimestamp(at, UTC))

    def act(self, alarm: Deployed, before: Deployed, at: float) -> None:
        """Nobody is told; `changed` has written it down."""

    def publish(self, metrics: Iterable[Metric], at: datetime) -> None:
        for metric in metrics:
            about = {"Suffix": self.plan.stack.suffix} | metric.dimensions
            self.put("pgdrill", metric.name, about, metric.value, at)

    def put(self, namespace: str, name: str, about: dict[str, str], value: float, at: datetime) -> None:
        listed: list[dict[str, Any]] = [{"Name": key, "Value": each} for key, each in about.items()]
        self.metrics.put(cloudwatch.metric(namespace, name, listed), at.timestamp(), value)

    def look(self, seen: Sighting) -> None:
        self.publish(measure(seen, self.plan), seen.now + self.delay)

    def evaluate(self, at: datetime) -> None:
        self._region.evaluate(at.timestamp())


def dimensions(alarm: Alarm, subject: Subject) -> dict[str, str]:
    return {NAMED[alarm.scope]: subject.name} if alarm.scope in NAMED else alarm.about(subject)


def watch(plan: Plan, region: str, days: int) -> dict[str, datetime]:
    """Let days pass in which all is well, from the deployment on; return what fired."""
    man = Watchman(plan, region, FIRST)
    for minutes in range(2, days * 1440, 5):
        now = FIRST + minutes * MINUTE
        man.look(look(region, now))
        man.evaluate(now + 2 * MINUTE)
    return man.fired
