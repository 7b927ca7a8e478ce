"""What an alarm is: what it looks at, from when it counts, how soon it is told, and how CloudWatch is asked for it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from pgdrill.messages import Kind
from pgdrill.plan import (
    PREFIX,
    Checks,
    Copies,
    Cost,
    DatabasePlan,
    DrillPlan,
    Exports,
    Notify,
    Objectives,
    Points,
    Stack,
)
from pgdrill.watching.texts import TEXTS, Text

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMESPACE = "pgdrill"
WATCH = timedelta(minutes=5)
# What a look and its publishing take at most; the time-outs of the state machines say so.
ROUND = timedelta(seconds=105)
TOLD_WITHIN = timedelta(minutes=15)
DOCUMENT = "docs/alerting.md"
WARM_UP = timedelta(minutes=15)
# Source: CloudWatch API reference, PutMetricAlarm, AlarmDescription.
LONGEST_DESCRIPTION = 1024
UNMEASURED = "Or: nothing was measured, and of all this nobody knows: see watch-silent first, then unseen."
FUNCTIONS, MACHINES = "AWS/Lambda", "AWS/States"
SCHEDULES, QUEUES, TOPICS = "AWS/Scheduler", "AWS/SQS", "AWS/SNS"
# Source: SNS Developer Guide, "Monitoring Amazon SNS topics using CloudWatch": five minutes once, one by now.
PUBLISHED = {TOPICS: 5 * MINUTE}
# For documents, which are of no account.
ACCOUNT = "ACCOUNT"


class Scope(StrEnum):
    """What there is one alarm for."""

    DATABASE = "database"
    CELL = "cell"
    FUNCTION = "function"
    MACHINE = "machine"


class Where(StrEnum):
    BOTH = "both"
    PRIMARY = "primary"
    DR = "dr"


class Somewhere(Protocol):
    """A region of a plan or of settings."""

    @property
    def region(self) -> str: ...


class Watchable(Protocol):
    """What of a plan alarms depend on; the settings of a deployment have it too, before there is a plan."""

    @property
    def stack(self) -> Stack: ...
    @property
    def primary(self) -> Somewhere: ...
    @property
    def dr(self) -> Somewhere: ...
    @property
    def objectives(self) -> Objectives: ...
    @property
    def points(self) -> Points: ...
    @property
    def copies(self) -> Copies: ...
    @property
    def exports(self) -> Exports: ...
    @property
    def databases(self) -> tuple[DatabasePlan, ...]: ...
    @property
    def drill(self) -> DrillPlan: ...
    @property
    def notify(self) -> Notify: ...
    @property
    def cost(self) -> Cost: ...
    @property
    def checks(self) -> Checks: ...


@dataclass(frozen=True)
class Subject:
    """What one alarm is for. `name` is the database's, function's or machine's, "" for the cell; `timeout` seconds.

    `account` is whose commands a description gives.
    """

    plan: Watchable
    region: str
    name: str = ""
    timeout: int = 0
    account: str = ACCOUNT

    @property
    def primary(self) -> bool:
        return self.region == self.plan.primary.region

    @property
    def database(self) -> DatabasePlan:
        return next(one for one in self.plan.databases if one.name == self.name)


Threshold = Callable[[Subject], float]


@dataclass(frozen=True)
class Alarm:
    """One kind of alarm. `metrics` of more than one are added up, gaps counting as 0.

    `counts_from` says from when its minutes count. `allowance` is what passes on purpose between that moment and the
    threshold. An alarm with `fill` takes that value for a period without data. `at_once` says that one bad data point
    is enough whatever the plan asks for, `tells` that it tells another topic than its name says, and nobody that it is
    over, `by_region` that the metric has the region for a dimension, `about_thing` which
    dimension one of AWS's has, and what follows the stem in the thing's name. `asked` says whether the plan has it for a database.
    """

    name: str
    scope: Scope
    metrics: tuple[str, ...]
    threshold: Threshold
    counts_from: str
    where: Where = Where.BOTH
    namespace: str = NAMESPACE
    statistic: str = "Maximum"
    comparison: str = "GreaterThanThreshold"
    missing: str = "breaching"
    fill: float | None = None
    datapoints: int = 0
    period: timedelta | None = None
    allowance: timedelta = timedelta(0)
    at_once: bool = False
    tells: Kind | None = None
    by_region: bool = False
    about_thing: tuple[str, str] | None = None
    asked: Callable[[Subject], bool] = lambda _: True

    def about(self, subject: Subject) -> dict[str, str]:
        """Return the dimensions; those of functions and state machines are the deployment's to tell."""
        if self.about_thing:
            dimension, thing = self.about_thing
            return {dimension: f"{PREFIX}-{subject.plan.stack.suffix}{thing}"}
        by_database = {"Database": subject.name} if self.scope is Scope.DATABASE else {}
        by_region = {"Region": subject.region} if self.by_region else {}
        return {"Suffix": subject.plan.stack.suffix} | by_database | by_region

    @property
    def topic(self) -> Kind:
        """Return the topic that is told."""
        of_drills = self.name.startswith(("drill", "recovery", "reaper"))
        return self.tells or (Kind.DRILLS if of_drills else Kind.BACKUPS)

    @property
    def text(self) -> Text:
        return TEXTS[self.name]

    @property
    def watched(self) -> bool:
        """Tell whether the watch publishes what it looks at, every five minutes."""
        return self.namespace == NAMESPACE

    @property
    def follows(self) -> bool:
        """Tell whether it speaks as well when nothing is measured, after the one that fills its gaps."""
        return self.missing == "breaching" and self.fill is None

    def length(self, plan: Watchable) -> timedelta:
        return self.period or plan.notify.period

    def points(self, plan: Watchable) -> int:
        return self.datapoints or (1 if self.at_once else plan.notify.datapoints)

    def steps(self, plan: Watchable) -> dict[str, timedelta]:
        """Return what passes between the moment that counts and the notification, at most, in its order."""
        length, points = self.length(plan), self.points(plan)
        steps = {"allowed": self.allowance}
        if self.fill is not None:
            # The last data point before the silence was one round older than the one that is missing.
            steps |= {
                "the watch and its state machine": ROUND,
                "no data in any period": length * points - WATCH,
            }
        elif self.watched:
            steps |= {"until the watch looks": WATCH, "the watch and its state machine": ROUND}
        else:
            steps["until AWS publishes it"] = PUBLISHED.get(self.namespace, 2 * MINUTE)
        steps |= {"until the minute is over": MINUTE, "until CloudWatch looks": MINUTE}
        if self.fill is None:
            steps["further data points"] = (points - 1) * length
        steps["delivery"] = MINUTE
        return {name: step for name, step in steps.items() if step}

    def told_after(self, plan: Watchable) -> timedelta:
        return sum(self.steps(plan).values(), timedelta(0))

    def description(self, subject: Subject) -> str:
        """Return what happened, since when, what it means, what to do and where to read on."""
        text = self.text
        words = {
            "name": subject.name,
            "region": subject.region,
            "cell": "primary" if subject.primary else "dr",
            "account": subject.account,
            "stem": f"{PREFIX}-{subject.plan.stack.suffix}",
            "other": (subject.plan.dr if subject.primary else subject.plan.primary).region,
            "threshold": told(self.threshold(subject), self.metrics[0]),
        }
        lines = (
            text.what,
            f"Since: {text.since}",
            f"Means: {text.means}",
            f"Do: {text.do}",
            *([UNMEASURED] if self.follows else []),
            f"Read: {DOCUMENT}#{self.name}",
        )
        return "\n".join(lines).format(**words)


def told(value: float, metric: str) -> str:
    """Return a threshold in words: seconds as `6 h 15 min`, milliseconds and all else as a number."""
    if not metric.endswith(SECONDS):
        return f"{value:g}{' ms' if metric == 'Duration' else ''}"
    minutes = round(value / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts) or "0 min"


SECONDS = ("Age", "Silence", "Waiting", "Running", "Took")


def request(alarm: Alarm, subject: Subject, name: str, dimensions: dict[str, str]) -> dict[str, Any]:
    """Return an alarm as PutMetricAlarm takes it, without its actions and tags."""
    plan = subject.plan
    points, period = alarm.points(plan), int(alarm.length(plan).total_seconds())
    common: dict[str, Any] = {
        "AlarmName": name,
        "AlarmDescription": alarm.description(subject),
        "EvaluationPeriods": points,
        "DatapointsToAlarm": points,
        "Threshold": float(alarm.threshold(subject)),
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": alarm.missing,
    }
    if alarm.missing == "breaching":
        # Not to breach before the watch has looked for the first time; filled gaps would end the waiting at once.
        common["WarmUpConfiguration"] = {
            "WarmUpPeriodDurationInMinutes": WARM_UP // MINUTE,
            "OnlyStartEvaluatingAfterWarmUpPeriodEnds": alarm.fill is not None,
        }
    listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    of = [
        {"Namespace": alarm.namespace, "MetricName": metric, "Dimensions": listed} for metric in alarm.metrics
    ]
    if len(of) == 1 and alarm.fill is None:
        return common | of[0] | {"Statistic": alarm.statistic, "Period": period}
    queries: list[dict[str, Any]] = [
        {
            "Id": f"m{number}",
            "MetricStat": {"Metric": each, "Period": period, "Stat": alarm.statistic},
            "ReturnData": False,
        }
        for number, each in enumerate(of, start=1)
    ]
    filled = f"FILL(m1, {alarm.fill:g})" if alarm.fill is not None else "SUM(FILL(METRICS(), 0))"
    return common | {"Metrics": [*queries, {"Id": "looked_at", "Expression": filled, "ReturnData": True}]}
