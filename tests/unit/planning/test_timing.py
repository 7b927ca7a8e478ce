from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Quota
from pgdrill.planning import timing
from pgdrill.planning.obstacle import DatabaseFacts, Facts, Obstacle, Question, RegionFacts, Severity
from tests.unit.instances import instance
from tests.unit.plans import SMALL, plan

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SHOP: dict[str, Any] = SMALL["database"][0]


def online(found: Instance | None) -> Facts:
    nowhere = RegionFacts(quota=Quota(used=0, limit=100), points=())
    return Facts(primary=nowhere, dr=nowhere, databases={"shop": DatabaseFacts(instance=found)})


def asked(facts: Facts | None = None, **changes: Any) -> Question:
    return Question(plan=plan(**changes), now=MONDAY, facts=facts)


def windows(backup: str | None, maintenance: str | None = None, **changes: Any) -> list[Obstacle]:
    found = instance(backup_window=backup, maintenance_window=maintenance)
    return list(timing.windows(asked(online(found), **changes)))


# ----------------------------------------------------------------------------------------------- windows


def test_a_slot_clear_of_every_window_is_fine() -> None:
    assert windows("18:00-18:30", "sun:19:30-sun:20:00") == []


def test_a_slot_in_the_backup_window_is_an_error_with_an_offset_that_is_clear() -> None:
    (found,) = windows("18:45-19:15")
    assert (found.severity, found.key, found.value, found.day) == (
        Severity.ERROR,
        "points.offset",
        "1h",
        date(2026, 11, 23),
    )
    assert found.what == "the slot at 19:00 UTC lies in the backup window of shop-production, 18:45-19:15"
    assert found.remedy == 'set points.offset = "0d", which is clear of every window'


def test_a_slot_in_the_maintenance_window_is_a_warning_for_the_day_it_happens() -> None:
    (found,) = windows("18:00-18:30", "wed:06:50-wed:07:20")
    assert (found.severity, found.day) == (Severity.WARNING, date(2026, 11, 25))
    assert found.what == (
        "the slot at 07:00 UTC lies in the maintenance window of shop-production, wed:06:50-wed:07:20"
    )


@pytest.mark.parametrize(
    ("backup", "meets"),
    [
        ("00:30-01:00", False),  # ends as the slot begins
        ("00:30-01:01", True),
        ("01:14-01:44", True),  # begins while the snapshot is made
        ("01:15-01:45", False),
        ("23:50-00:20", False),
        ("23:50-01:20", True),  # over midnight
    ],
)
def test_a_window_meets_a_slot_while_its_snapshot_is_made(backup: str, meets: bool) -> None:
    assert bool(windows(backup)) is meets


def test_a_maintenance_window_reaches_over_the_end_of_the_week() -> None:
    assert windows(None, "sun:23:30-mon:01:30")
    assert not windows(None, "sun:23:30-mon:00:30")
    assert windows(None, "sun:23:30-mon:00:10", points={"offset": "0h"})


def test_where_no_offset_is_clear_that_is_said() -> None:
    (found,) = windows("00:00-23:59", points={"every": "1h", "offset": "0h"})
    assert found.remedy == "no offset is clear of every window: move the window, or take points less often"


def test_windows_are_unknown_until_rds_was_asked() -> None:
    (found,) = timing.windows(asked())
    assert (found.severity, found.what, found.remedy) == (
        Severity.UNKNOWN,
        "whether a slot lies in the backup or maintenance window of shop-production",
        "ask RDS with: pgdrill plan check --online",
    )


def test_the_windows_of_a_database_that_the_stack_makes_are_its_own_choice() -> None:
    created = [SHOP | {"origin": "created"}]
    assert list(timing.windows(asked(database=created))) == []
    assert list(timing.windows(asked(online(None), database=created))) == []


@given(st.integers(0, 1439), st.integers(30, 300), st.sampled_from(["1h", "2h", "6h", "24h"]))
def test_the_offset_that_is_proposed_is_clear(begins: int, length: int, every: str) -> None:
    ends = (begins + length) % 1440
    backup = f"{begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
    for found in windows(backup, points={"every": every, "offset": "0h"}):
        if found.remedy.startswith("set"):
            proposed = found.remedy.split('"')[1]
            assert windows(backup, points={"every": every, "offset": proposed}) == []


# ------------------------------------------------------------------------------------- drills, objectives


def recovery(size: int, **changes: Any) -> list[Obstacle]:
    return list(timing.recovery(asked(database=[SHOP | {"storage_gb": size}], **changes)))


def test_a_small_database_is_read_within_the_objective() -> None:
    assert recovery(100) == []


def test_a_database_that_may_take_longer_than_the_objective_is_a_warning() -> None:
    assert [(o.severity, o.key, o.value) for o in recovery(550)] == [
        (Severity.WARNING, "objectives.rto", "4h")
    ]


def test_a_terabyte_cannot_be_read_within_four_hours() -> None:
    """As facts have it: 1 TB needs more than 4 hours on db.t3.medium, however the bursts fall."""
    assert [(o.severity, o.key) for o in recovery(1000)] == [
        (Severity.ERROR, "objectives.rto"),
        (Severity.WARNING, "drill.patience"),
    ]
    assert recovery(1000)[0].what == (
        "restoring and reading 1000 GB of shop on db.t3.medium takes 4 h 30 min to 7 h 22 min:"
        " a recovery is verified after the objective"
    )
    assert [(o.severity, o.key) for o in recovery(1500)] == [
        (Severity.ERROR, "objectives.rto"),
        (Severity.ERROR, "drill.patience"),
    ]


def test_a_smaller_class_reads_slower_and_the_larger_is_the_remedy() -> None:
    found = recovery(200, drill={"instance_class": "db.t3.micro"})
    assert [(o.severity, o.key) for o in found] == [
        (Severity.WARNING, "objectives.rto"),
        (Severity.WARNING, "drill.patience"),
    ]
    assert found[0].remedy == "set drill.instance_class to db.t3.medium, which reads faster"


def test_a_drill_that_does_not_read_everything_is_in_time() -> None:
    assert recovery(65536, checks={"skip": ["rows", "heap"]}) == []


def patience(**drill: Any) -> list[Obstacle]:
    return list(timing.patience(asked(drill=drill)))


def test_a_drill_must_outlast_the_objective_and_end_before_the_next() -> None:
    assert patience() == []
    (short,) = patience(patience="4h")
    assert (short.severity, short.key, short.value) == (Severity.WARNING, "drill.patience", "4h")
    (often,) = patience(every="6h")
    assert (often.severity, often.key) == (Severity.ERROR, "drill.every")
    (often,) = patience(dr_every="5h")
    assert (often.severity, often.key) == (Severity.ERROR, "drill.dr_every")
    assert patience(every="7h", dr_every="7h") == []


def test_the_age_of_the_newest_point_must_fit_the_objective() -> None:
    assert list(timing.objective(asked(objectives={"rpo": "375m"}))) == []
    (found,) = timing.objective(asked(objectives={"rpo": "374m"}))
    assert (found.severity, found.key, found.value) == (Severity.WARNING, "objectives.rpo", "374m")
    assert "the one before it is 375m old" in found.what


# ------------------------------------------------------------------------------------------------ alarms


@pytest.mark.parametrize(
    ("period", "datapoints", "found"),
    [
        ("5m", 1, []),
        ("5m", 2, []),
        ("10m", 1, []),
        ("5m", 3, [("warning", "notify.datapoints")]),
        ("11m", 1, [("warning", "notify.datapoints")]),
        ("4m", 1, [("error", "notify.period")]),
        ("330s", 1, [("error", "notify.period")]),
        # A day for short periods, a week from an hour on.
        ("5m", 288, [("warning", "notify.datapoints")]),
        ("5m", 289, [("error", "notify.datapoints")]),
        ("1h", 168, [("warning", "notify.datapoints")]),
        ("1h", 169, [("error", "notify.datapoints")]),
        ("7d", 1, [("warning", "notify.datapoints")]),
        ("8d", 1, [("error", "notify.datapoints")]),
    ],
)
def test_alarms_are_told_in_time_and_held_by_cloudwatch(
    period: str, datapoints: int, found: list[tuple[str, str]]
) -> None:
    notify = {"period": period, "datapoints": datapoints}
    assert [(o.severity.value, o.key) for o in timing.alarms(asked(notify=notify))] == found


# ----------------------------------------------------------------------------------------------- freezes


def freeze(begins: str, ends: str) -> dict[str, str]:
    return {
        "begins": f"2026-12-{begins}T00:00:00Z",
        "ends": f"2026-12-{ends}T00:00:00Z",
        "reason": "year's end",
    }


def frozen(*found: dict[str, str], **drill: Any) -> list[Obstacle]:
    return list(timing.freezes(asked(drill={"freeze": list(found)} | drill)))


def test_a_freeze_of_a_week_is_fine_and_a_longer_one_is_a_gap() -> None:
    assert frozen(freeze("20", "27")) == []
    (found,) = frozen(freeze("20", "28"))
    assert (found.severity, found.key, found.day) == (Severity.WARNING, "drill.freeze", date(2026, 12, 20))
    assert found.what == (
        "no drill is begun for 8 d, longer than the 7d between drills: nothing is proved in that time"
    )


def test_freezes_that_meet_count_as_one() -> None:
    assert frozen(freeze("10", "15"), freeze("16", "20")) == []
    (found,) = frozen(freeze("14", "20"), freeze("10", "15"))
    assert found.value == "2026-12-10T00:00Z to 2026-12-20T00:00Z"


def test_a_freeze_that_is_over_does_not_matter() -> None:
    past = {"begins": "2026-10-01T00:00:00Z", "ends": "2026-11-01T00:00:00Z", "reason": "a move of racks"}
    assert frozen(past) == []
