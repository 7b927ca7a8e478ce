"""A look of the deployed watch publishes what every alarm of its cell looks at, and sees what was done to the system."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill.plan import Plan
from pgdrill.watching import alarms
from pgdrill.watching.alarm_model import NAMESPACE, Alarm, Scope, Subject
from tests.integration.deployed import Cell, Deployment, execute, until

# What others publish when it happens, and what there is once a drill has ended.
NOT_OF_THE_WATCH = {"PointsDeletedForRoom", "InstancesReaped", "ReapsFailed", "RecoveryTook"}
HOUR = timedelta(hours=1)


def look(cell: Cell) -> datetime:
    """Have the watch look; return when that was."""
    began = datetime.now(UTC)
    ended = execute(cell, "Watch", {"due_at": began.isoformat()})
    assert ended["status"] == "SUCCEEDED", ended
    return began


def values(cell: Cell, name: str, about: dict[str, str], since: datetime) -> list[Any]:
    """Return a metric's datapoints since the minute of a moment, minute by minute, the newest first."""
    answer = cell.client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in about.items()],
        StartTime=since.replace(second=0, microsecond=0),
        EndTime=since + HOUR,
        Period=60,
        Statistics=["Maximum", "SampleCount"],
    )
    return sorted(answer["Datapoints"], key=lambda point: point["Timestamp"], reverse=True)


def counted(cell: Cell, name: str) -> float:
    """Have the watch look; return what it counts in its cell. An earlier look may have counted in the same minute."""
    about, since = {"Suffix": cell.suffix}, datetime.now(UTC)

    def samples() -> float:
        return float(sum(point["SampleCount"] for point in values(cell, name, about, since)))

    before = samples()
    look(cell)
    until(lambda: samples() > before)
    return float(values(cell, name, about, since)[0]["Maximum"])


def test_a_look_publishes_what_every_alarm_looks_at(deployment: Deployment, cell: Cell) -> None:
    plan = Plan.model_validate(deployment.plan)
    wanted = {
        (metric, tuple(sorted(alarm.about(subject).items())))
        for alarm, subject in _watched(plan, cell.region)
        for metric in alarm.metrics
        if metric not in NOT_OF_THE_WATCH
    }
    assert len(wanted) > 10
    since = look(cell)
    missing = wanted

    def all_there() -> bool:
        nonlocal missing
        missing = {one for one in missing if not values(cell, one[0], dict(one[1]), since)}
        return not missing

    until(all_there)


def _watched(plan: Plan, region: str) -> Iterator[tuple[Alarm, Subject]]:
    for alarm, subject in alarms.of_cell(plan, region, {}, ()):
        if alarm.scope in {Scope.CELL, Scope.DATABASE} and alarm.watched:
            yield alarm, subject


def test_nothing_is_unseen(cell: Cell) -> None:
    """Every question is allowed, and gets through."""
    assert counted(cell, "Unseen") == 0


@contextmanager
def disabled(cell: Cell, name: str) -> Iterator[None]:
    """Disable a schedule of the cell for a while."""
    scheduler = cell.client("scheduler")
    found: dict[str, Any] = scheduler.get_schedule(Name=name, GroupName=cell["ScheduleGroup"])
    kept = {
        key: found[key]
        for key in (
            "Name", "GroupName", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Target",
            "KmsKeyArn",
        )
    }  # fmt: skip
    scheduler.update_schedule(**kept, State="DISABLED")
    try:
        yield
    finally:
        scheduler.update_schedule(**kept, State="ENABLED")


def test_a_schedule_that_somebody_disabled_is_seen(cell: Cell) -> None:
    assert counted(cell, "SchedulesDisabled") == 0
    with disabled(cell, f"pgdrill-{cell.suffix}-retain"):
        assert counted(cell, "SchedulesDisabled") == 1
