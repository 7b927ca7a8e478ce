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
from dataclasses import replace
from typing import cast

from pgdrill.messages import Kind
from pgdrill.plan import Plan
from pgdrill.watching import storage
from pgdrill.watching.alarm_model import (
    ACCOUNT,
    DAY,
    FUNCTIONS,
    HOUR,
    MACHINES,
    MINUTE,
    QUEUES,
    SCHEDULES,
    TOPICS,
    WATCH,
    Alarm,
    Scope,
    Subject,
    Watchable,
    Where,
)
from pgdrill.watching.thresholds import (
    BEATS,
    CANARY,
    RESTORABLE,
    SHIPPED,
    TELLINGS,
    TRIES,
    a_days_points,
    constant,
    drill_due,
    exporting,
    seconds,
    two_rounds_of_points,
)


def _exports(subject: Subject) -> bool:
    return subject.plan.exports.schedule != "off"


def _beats(subject: Subject) -> bool:
    return subject.database.ledger == "on"


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
        ("DrilledPointsFailed",),
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
