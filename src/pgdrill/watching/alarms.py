"""Every alarm of a cell: what it looks at, from when it counts, how soon it is told, and what a woken person reads.

Plain data and pure functions: the deployment makes alarms of it, `docs/alerting.md` a table, and the tests hold both
against what CloudWatch does. Thresholds come from the plan.

A value that the watch publishes is told of within a few minutes of the look that shows it. Silence is another
matter: CloudWatch looks back further than an alarm's own periods before it takes data for missing, a quarter of an
hour with periods of five minutes. So one alarm of the cell, on the watch itself, fills its gaps with an expression;
all others take missing data for breaching as well, and follow a little later.
Source: CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data" and "Using math expressions".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol, cast

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
    Plan,
    Points,
    Stack,
)
from pgdrill.watching import storage
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

# ---------------------------------------------------------------------------------- thresholds of the plan

# RDS ships its log every five minutes; one shipping may be missed. Source: RDS User Guide, "Restoring a DB instance to
# a specified time".
SHIPPED = 5 * MINUTE
RESTORABLE = SHIPPED + 5 * MINUTE
# A beat a minute: a failover or a restart is over sooner.
BEATS = 5 * MINUTE
# Each cell tells its inventory every five minutes, and S3 takes a while: one telling may be missed.
TELLINGS = 10 * MINUTE
# RDS restores a snapshot before it exports it, five at a time.
EXPORTING = 12 * HOUR
# It arrives within a minute, unless a step has to be tried again.
CANARY = 5 * MINUTE
# One step is tried that often before its state machine fails; fewer errors pass by themselves.
TRIES = 6


def seconds(of: Callable[[Watchable], timedelta]) -> Threshold:
    return lambda subject: of(subject.plan).total_seconds()


def constant(value: float) -> Threshold:
    return lambda _: value


def drill_due(subject: Subject) -> float:
    """A calendar's months are up to a day longer than thirty, and a drill takes as long as its patience."""
    drill = subject.plan.drill
    every = drill.every if subject.primary else drill.dr_every
    calendar = DAY if every >= 28 * DAY else timedelta(0)
    return (every + calendar + drill.patience).total_seconds()


def a_days_points(subject: Subject) -> float:
    """The quota is near when what is still free does not take another day's points of all databases."""
    plan = subject.plan
    return len(plan.databases) * (DAY / plan.points.every)


def two_rounds_of_points(subject: Subject) -> float:
    """The queue grows when more waits than what is taken while a copy may be made, and once more."""
    plan = subject.plan
    return len(plan.databases) * (plan.copies.late_after / plan.points.every + 1)


def exporting(plan: Watchable) -> timedelta:
    return (DAY if plan.exports.schedule == "daily" else plan.points.every) + EXPORTING


def _exports(subject: Subject) -> bool:
    return subject.plan.exports.schedule != "off"


def _beats(subject: Subject) -> bool:
    return subject.database.ledger == "on"


FUNCTIONS, MACHINES = "AWS/Lambda", "AWS/States"
SCHEDULES, QUEUES, TOPICS = "AWS/Scheduler", "AWS/SQS", "AWS/SNS"
# Source: SNS Developer Guide, "Monitoring Amazon SNS topics using CloudWatch": five minutes once, one by now.
PUBLISHED = {TOPICS: 5 * MINUTE}
LOOK = "the look that first shows it"

ALARMS: tuple[Alarm, ...] = (
    # ------------------------------------------------------------------------------ backups
    Alarm(
        "snapshot-late",
        Scope.DATABASE,
        ("SnapshotAge",),
        seconds(lambda plan: plan.points.every + plan.objectives.usable_after),
        "the slot and `objectives.usable_after`",
        where=Where.PRIMARY,
    ),
    Alarm(
        "backups-shortened",
        Scope.DATABASE,
        ("RetentionDays",),
        seconds(lambda plan: plan.points.pitr / 86400),
        "the change of the instance",
        where=Where.PRIMARY,
        statistic="Minimum",
        comparison="LessThanThreshold",
    ),
    Alarm(
        "restorable-late",
        Scope.DATABASE,
        ("RestorableAge",),
        seconds(lambda _: RESTORABLE),
        "the shipping of the log that is missing",
        where=Where.PRIMARY,
        allowance=RESTORABLE - SHIPPED,
        at_once=True,
    ),
    Alarm(
        "quota-near",
        Scope.CELL,
        ("SnapshotsFree",),
        a_days_points,
        "the snapshot that takes the last room of a day",
        statistic="Minimum",
        comparison="LessThanThreshold",
    ),
    Alarm(
        "retention-shortened",
        Scope.CELL,
        ("PointsDeletedForRoom",),
        constant(0),
        "the deletion",
        statistic="Sum",
        missing="notBreaching",
        at_once=True,
        by_region=True,
    ),
    # ------------------------------------------------------------------------------ copies
    Alarm(
        "copy-late",
        Scope.DATABASE,
        ("CopyAge",),
        seconds(lambda plan: plan.points.every + plan.copies.late_after),
        "the slot and `copies.late_after`",
        where=Where.DR,
    ),
    Alarm(
        "copy-waiting",
        Scope.CELL,
        ("CopyWaiting",),
        seconds(lambda plan: plan.copies.late_after),
        "the point's creation and `copies.late_after`",
        where=Where.DR,
    ),
    Alarm(
        "copies-queue",
        Scope.CELL,
        ("CopiesQueued",),
        two_rounds_of_points,
        LOOK,
        where=Where.DR,
    ),
    # ------------------------------------------------------------------------------ exports
    Alarm(
        "export-late",
        Scope.DATABASE,
        ("ExportAge",),
        seconds(exporting),
        "the slot that is to be exported, and twelve hours",
        where=Where.PRIMARY,
        asked=_exports,
    ),
    Alarm(
        "export-incomplete",
        Scope.DATABASE,
        ("ExportTablesLost",),
        constant(0),
        "the export's conclusion",
        where=Where.PRIMARY,
        asked=_exports,
    ),
    # ------------------------------------------------------------------------------ drills
    Alarm(
        "recovery-running-long",
        Scope.DATABASE,
        ("RecoveryRunning",),
        seconds(lambda plan: plan.objectives.rto),
        "the objective's end, while the restore runs",
    ),
    Alarm(
        "recovery-too-slow",
        Scope.DATABASE,
        ("RecoveryTook",),
        seconds(lambda plan: plan.objectives.rto),
        "the drill's verdict",
        missing="notBreaching",
    ),
    Alarm(
        "drill-failed",
        Scope.DATABASE,
        ("PointsFailed",),
        constant(0),
        "the drill's verdict",
    ),
    Alarm(
        "drill-inconclusive",
        Scope.DATABASE,
        ("LastDrillInconclusive",),
        constant(0),
        "the drill's verdict",
    ),
    Alarm("drill-overdue", Scope.DATABASE, ("DrillAge",), drill_due, "the drill's due time and its patience"),
    Alarm(
        "drill-stuck",
        Scope.DATABASE,
        ("DrillRunning",),
        seconds(lambda plan: plan.drill.lease),
        "the end of its lease",
    ),
    Alarm(
        "drill-skipped",
        Scope.DATABASE,
        ("DrillsSkippedInTurn",),
        constant(1),
        "the second drill in turn that is skipped",
    ),
    Alarm(
        "reaper-acted",
        Scope.DATABASE,
        ("InstancesReaped",),
        constant(0),
        "the deletion",
        statistic="Sum",
        missing="notBreaching",
        at_once=True,
    ),
    Alarm(
        "reaper-failed",
        Scope.DATABASE,
        ("ReapsFailed",),
        constant(0),
        "the refusal",
        statistic="Sum",
        missing="notBreaching",
        at_once=True,
    ),
    # ------------------------------------------------------------------------------ ledger
    Alarm(
        "ledger-silent",
        Scope.DATABASE,
        ("LedgerAge",),
        seconds(lambda _: BEATS),
        "the first beat that is missing",
        where=Where.PRIMARY,
        allowance=BEATS - MINUTE,
        at_once=True,
        asked=_beats,
    ),
    Alarm(
        "ledger-forked",
        Scope.DATABASE,
        ("LedgerForks",),
        constant(0),
        "the beat that shows it",
        where=Where.PRIMARY,
        asked=_beats,
    ),
    # ------------------------------------------------------------------------------ the system itself
    Alarm("key-unusable", Scope.CELL, ("KeysUnusable",), constant(0), LOOK),
    Alarm("secret-unusable", Scope.CELL, ("SecretsUnusable",), constant(0), LOOK, where=Where.PRIMARY),
    Alarm("schedule-disabled", Scope.CELL, ("SchedulesDisabled",), constant(0), LOOK),
    Alarm(
        "function-errors",
        Scope.FUNCTION,
        ("Errors",),
        constant(TRIES - 1),
        "the last of a step's tries",
        namespace=FUNCTIONS,
        statistic="Sum",
        missing="notBreaching",
        period=WATCH,
        at_once=True,
    ),
    Alarm(
        "function-throttled",
        Scope.FUNCTION,
        ("Throttles",),
        constant(0),
        "the invocation",
        namespace=FUNCTIONS,
        statistic="Sum",
        missing="notBreaching",
        period=WATCH,
        at_once=True,
    ),
    Alarm(
        "function-slow",
        Scope.FUNCTION,
        ("Duration",),
        lambda subject: subject.timeout * 950,
        "the invocation's end",
        namespace=FUNCTIONS,
        missing="notBreaching",
        period=WATCH,
        at_once=True,
    ),
    Alarm(
        "machine-failed",
        Scope.MACHINE,
        ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"),
        constant(0),
        "the execution's end",
        namespace=MACHINES,
        statistic="Sum",
        missing="notBreaching",
        period=WATCH,
        at_once=True,
    ),
    Alarm(
        "schedule-failing",
        Scope.CELL,
        ("TargetErrorCount", "InvocationDroppedCount", "InvocationsSentToDeadLetterCount"),
        constant(0),
        "the start that failed",
        namespace=SCHEDULES,
        about_thing=("ScheduleGroup", ""),
        statistic="Sum",
        missing="notBreaching",
        period=WATCH,
        at_once=True,
    ),
    Alarm(
        "undelivered",
        Scope.CELL,
        ("ApproximateNumberOfMessagesVisible",),
        constant(0),
        "when SQS shows it, which it does late of a queue that nobody used for hours",
        namespace=QUEUES,
        about_thing=("QueueName", "-dead-letters"),
        missing="notBreaching",
        period=WATCH,
        at_once=True,
    ),
    *(
        Alarm(
            f"{kind}-unheard",
            Scope.CELL,
            ("NumberOfNotificationsFailed",),
            constant(0),
            "the delivery that failed",
            namespace=TOPICS,
            about_thing=("TopicName", f"-{kind}"),
            statistic="Sum",
            missing="notBreaching",
            # What is told of it may fail as well: one letter an hour, and none that it is over.
            period=HOUR,
            at_once=True,
            tells=other,
        )
        for kind, other in ((Kind.BACKUPS, Kind.DRILLS), (Kind.DRILLS, Kind.BACKUPS))
    ),
    Alarm(
        "other-cell-silent",
        Scope.CELL,
        ("OtherCellSilence",),
        seconds(lambda _: TELLINGS),
        "the telling that is missing",
        allowance=TELLINGS - WATCH,
        at_once=True,
    ),
    Alarm(
        "storage-dear",
        Scope.CELL,
        ("StorageDollars",),
        lambda subject: storage.left_for(cast("Plan", subject.plan), subject.region),
        LOOK,
    ),
    Alarm(
        "canary-missing",
        Scope.CELL,
        ("CanaryAge",),
        seconds(lambda _: DAY + CANARY),
        "the canary's due time",
        allowance=CANARY,
        at_once=True,
    ),
    Alarm("unseen", Scope.CELL, ("Unseen",), constant(0), "the look that nobody answered"),
    Alarm(
        "watch-silent",
        Scope.CELL,
        ("Watched",),
        constant(1),
        "the look that is missing",
        statistic="Minimum",
        comparison="LessThanThreshold",
        fill=0.0,
        period=WATCH,
        datapoints=2,
    ),
)

BY_NAME = {alarm.name: alarm for alarm in ALARMS}


def of_cell(
    plan: Watchable,
    region: str,
    functions: dict[str, int],
    machines: tuple[str, ...],
    account: str = ACCOUNT,
) -> Iterator[tuple[Alarm, Subject]]:
    """Yield every alarm of a cell with what it is for. `functions` are timeouts in seconds, by name."""
    one = Subject(plan, region, account=account)
    subjects = {
        Scope.CELL: [one],
        Scope.DATABASE: [replace(one, name=database.name) for database in plan.databases],
        Scope.FUNCTION: [replace(one, name=name, timeout=timeout) for name, timeout in functions.items()],
        Scope.MACHINE: [replace(one, name=name) for name in machines],
    }
    for alarm in ALARMS:
        for subject in subjects[alarm.scope]:
            here = Where.PRIMARY if subject.primary else Where.DR
            if alarm.where in {Where.BOTH, here} and alarm.asked(subject):
                yield alarm, subject


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


# What of a database says that it could not be recovered, and what of the cell says that nobody knows. CloudWatch takes
# a hundred alarms a rule. Source: CloudWatch API reference, PutCompositeAlarm.
MOST_CHILDREN = 100
UNRECOVERABLE = {
    True: (("snapshot-late", "restorable-late"), ("drill-failed",)),
    False: (("copy-late",), ("drill-failed",)),
}
UNKNOWN = ("key-unusable", "watch-silent")


def recoverable(plan: Watchable, region: str, named: Callable[[str, str], str]) -> list[tuple[str, str]]:
    """Return the composite alarms that say whether a cell could recover, in ALARM where it could not; the last says it.

    A list of (name, rule), in the order in which they can be made. `named` tells an alarm's name by kind and database.
    """
    ways = UNRECOVERABLE[region == plan.primary.region]
    children = sum(len(every) for every in ways)
    rules = [
        " OR ".join(
            "(" + " AND ".join(f'ALARM("{named(kind, database.name)}")' for kind in every) + ")"
            for every in ways
        )
        for database in plan.databases
    ]
    of_cell = [f'ALARM("{named(kind, "")}")' for kind in UNKNOWN]
    whole = named("unrecoverable", "")
    if len(rules) * children + len(of_cell) <= MOST_CHILDREN:
        return [(whole, " OR ".join([*rules, *of_cell]))]
    several = MOST_CHILDREN // children
    parts = [
        (f"{whole}-{number}", " OR ".join(rules[first : first + several]))
        for number, first in enumerate(range(0, len(rules), several), start=1)
    ]
    return [*parts, (whole, " OR ".join([*(f'ALARM("{name}")' for name, _ in parts), *of_cell]))]
