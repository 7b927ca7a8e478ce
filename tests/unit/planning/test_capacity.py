from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgdrill import slots
from pgdrill.aws.snapshots import Quota, Snapshot
from pgdrill.plan import Points, duration
from pgdrill.planning import capacity
from pgdrill.planning.obstacle import Facts, Obstacle, Question, RegionFacts, Severity
from pgdrill.points import retention
from pgdrill.points.retention import Reason
from tests.unit.plans import SMALL, plan
from tests.unit.snapshots import snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SHOP: dict[str, Any] = SMALL["database"][0]
TIERED = {"daily_after": "7d"}


def shops(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [SHOP | {"name": f"shop{n}", "instance": f"shop-{n}"} | changes for n in range(count)]


def region(limit: int = 100, used: int = 0, points: tuple[datetime, ...] = ()) -> RegionFacts:
    return RegionFacts(quota=Quota(used=used, limit=limit), points=points)


def facts(**primary: Any) -> Facts:
    return Facts(primary=region(**primary), dr=region(limit=1000), databases={})


def asked(online: Facts | None = None, **changes: Any) -> Question:
    return Question(plan=plan(**changes), now=NOW, facts=online)


# ------------------------------------------------------------------------------------------------- quota


def test_every_slot_of_thirty_days_runs_out_of_the_default_quota_on_a_named_day() -> None:
    found = list(capacity.quota(asked()))
    assert [(o.severity, o.key, o.value, o.day) for o in found] == [
        (Severity.WARNING, "points.keep", "30d", date(2026, 12, 18)),
        (Severity.WARNING, "copies.keep", "30d", date(2026, 12, 18)),
    ]
    assert found[0].what == (
        "120 snapshots are kept in ap-southeast-1, the quota is 100 unless it was raised:"
        " full at the slot 2026-12-18T13Z, and retention is shortened from then on"
    )
    assert found[0].remedy == (
        "raise the quota L-272F1212 in ap-southeast-1 to 120 or more, or keep one a day after a week:"
        ' points.daily_after = "7d"'
    )


def test_tiered_retention_fits_the_default_quota() -> None:
    assert list(capacity.quota(asked(points=TIERED, copies=TIERED))) == []


def test_a_raised_quota_is_enough_and_one_less_is_not() -> None:
    assert list(capacity.quota(asked(facts(limit=120)))) == []
    found = list(capacity.quota(asked(facts(limit=119))))
    assert [(o.severity, o.key) for o in found] == [(Severity.ERROR, "points.keep")]
    assert found[0].what.startswith(
        "120 snapshots are kept in ap-southeast-1, the quota is 119: full at the slot"
    )


def test_snapshots_of_others_take_their_room() -> None:
    assert list(capacity.quota(asked(facts(limit=150, used=30)))) == []
    found = list(capacity.quota(asked(facts(limit=150, used=31))))
    assert found[0].what.startswith(
        "120 snapshots are kept in ap-southeast-1 beside 31 others, the quota is 150"
    )
    assert found[0].remedy.startswith("raise the quota L-272F1212 in ap-southeast-1 to 151 or more")


def test_what_is_there_already_brings_the_day_nearer() -> None:
    there = tuple(slots.slots(Points(), NOW - 10 * DAY, NOW))
    empty = next(capacity.quota(asked(facts())))
    begun = next(capacity.quota(asked(facts(used=len(there), points=there))))
    assert (empty.day, begun.day) == (date(2026, 12, 18), date(2026, 12, 8))


def test_a_plan_that_does_not_even_fit_thinned_is_an_error_without_asking() -> None:
    found = list(capacity.quota(asked(database=shops(4))))
    assert found[0].severity is Severity.ERROR
    assert found[0].what.endswith("; not even 120 fit, one a day")
    assert found[0].remedy == "raise the quota L-272F1212 in ap-southeast-1 to 480 or more"


@settings(max_examples=40)
@given(
    st.sampled_from(["1h", "3h", "6h", "24h"]),
    st.integers(1, 40),
    st.none() | st.integers(1, 20),
    st.integers(1, 3),
)
def test_a_quota_of_what_is_wanted_never_runs_out_and_one_less_always_does(
    every: str, keep: int, daily: int | None, databases: int
) -> None:
    """From a day's first slot on; begun in the middle of a day, that day may keep one more."""
    points = Points(
        every=duration(every),
        offset=timedelta(0),
        keep=keep * DAY,
        daily_after=None if daily is None or daily >= keep else daily * DAY,
    )
    needed = databases * slots.most_wanted(points, points)

    def full(room: int, now: datetime) -> datetime | None:
        return capacity.runs_out(points, points, databases=databases, room=room, there=(), now=now)

    assert full(needed, NOW.replace(hour=0)) is None
    assert full(needed - 1, NOW.replace(hour=0)) is not None
    assert full(needed + databases, NOW) is None


@pytest.mark.parametrize("rules", [Points(), Points(daily_after=7 * DAY, keep=60 * DAY)])
def test_the_slot_that_is_named_is_the_first_at_which_retention_deletes_what_the_plan_wants(
    rules: Points,
) -> None:
    room = slots.most_wanted(rules, rules) - 20
    named = capacity.runs_out(rules, rules, databases=1, room=room, there=(), now=NOW)
    held: list[Snapshot] = []
    for slot in slots.slots(rules, NOW, NOW + rules.keep + 2 * DAY):
        deleted = retention.retain(held, rules, Quota(used=len(held), limit=room), slot, ())
        if any(deletion.reason is Reason.QUOTA for deletion in deleted):
            assert slot == named
            break
        gone = {deletion.snapshot.id for deletion in deleted}
        held = [point for point in held if point.id not in gone] + [snapshot(slot)]
    else:
        pytest.fail("retention was never shortened")


def test_what_retention_leaves_is_what_the_plan_promises() -> None:
    """From a day's first slot on: begun in the middle of a day, that day has another first point."""
    rules = Points(daily_after=7 * DAY)
    midnight = NOW.replace(hour=0)
    enough = Quota(used=0, limit=1000)
    held: list[Snapshot] = []
    most = 0
    for slot in slots.slots(rules, midnight, midnight + 40 * DAY):
        gone = {deletion.snapshot.id for deletion in retention.retain(held, rules, enough, slot, ())}
        held = [point for point in held if point.id not in gone] + [snapshot(slot)]
        most = max(most, len(held))
    assert most == slots.most_wanted(rules, rules) == 51


# ------------------------------------------------------------------------------------------------ copies


def copying(**changes: Any) -> list[Obstacle]:
    return list(capacity.copying(asked(**changes)))


def test_small_copies_are_in_time() -> None:
    assert copying() == []


def test_copies_slower_than_slots_let_the_backlog_grow() -> None:
    patient = {"late_after": "90d"}
    assert copying(database=shops(1, storage_gb=16000), copies=patient) == []
    (slow,) = copying(database=shops(1, storage_gb=65536), copies=patient)
    assert (slow.severity, slow.key, slow.value) == (Severity.WARNING, "copies.in_flight", "5")
    assert slow.what == (
        "the copies of a slot take 2 h 31 min to 12 h 43 min, and the next slot comes after 6h: the backlog grows"
    )
    (hopeless,) = copying(database=shops(1, storage_gb=65536), copies=patient, cost={"changed_daily": 1.0})
    assert (hopeless.severity, hopeless.key) == (Severity.ERROR, "copies.in_flight")


def test_copies_that_wait_for_each_other_are_slower_than_slots() -> None:
    many = shops(12, storage_gb=1000)
    hourly = {"every": "1h", "offset": "0h"}
    assert copying(database=many, points=hourly, copies={"in_flight": 12, "late_after": "90d"}) == []
    found = copying(database=many, points=hourly, copies={"in_flight": 1, "late_after": "90d"})
    assert "copies.in_flight" in [o.key for o in found]


def test_a_limit_shorter_than_a_copy_makes_every_copy_late() -> None:
    assert [(o.severity, o.key, o.value) for o in copying(copies={"late_after": "4m"})] == [
        (Severity.ERROR, "copies.late_after", "4m")
    ]
    assert [(o.severity, o.key) for o in copying(copies={"late_after": "10m"})] == [
        (Severity.WARNING, "copies.late_after")
    ]


def test_a_large_first_copy_is_announced_once() -> None:
    found = copying(database=shops(1, storage_gb=500))
    assert [(o.severity, o.key, o.day) for o in found] == [
        (Severity.WARNING, "copies.late_after", date(2026, 11, 23))
    ]
    assert found[0].what.startswith("the first copy is of all 500 GB and takes 1 h 34 min to 7 h 57 min")


# ---------------------------------------------------------------------------- exports, retention, ceiling


ARCHIVE = {"archive_bucket": "archive", "export_role": "arn:aws:iam::1:role/export"}


def test_exports_need_a_bucket_and_a_role() -> None:
    assert list(capacity.exports(asked(primary=SMALL["primary"] | ARCHIVE))) == []
    (none,) = capacity.exports(asked())
    assert (none.severity, none.key, none.what) == (
        Severity.ERROR,
        "exports.schedule",
        "exports are planned, but primary.archive_bucket and primary.export_role are not given",
    )
    (half,) = capacity.exports(asked(primary=SMALL["primary"] | {"archive_bucket": "archive"}))
    assert half.what == "exports are planned, but primary.export_role is not given"
    assert list(capacity.exports(asked(exports={"schedule": "off"}))) == []


def test_more_exports_at_once_than_an_account_runs_wait_for_each_other() -> None:
    primary = SMALL["primary"] | ARCHIVE
    assert list(capacity.exports(asked(database=shops(5), primary=primary))) == []
    (found,) = capacity.exports(asked(database=shops(6), primary=primary))
    assert (found.severity, found.what) == (
        Severity.WARNING,
        "6 exports fall due at once, and an account runs 5 at a time: the rest wait",
    )


def test_what_was_required_is_not_remarked_upon() -> None:
    assert list(capacity.retention(asked())) == []
    longer = {"every": "3h", "keep": "60d", "pitr": "35d"}
    assert list(capacity.retention(asked(points=longer, exports={"keep": "90d"}))) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("points", "every", "8h"),
        ("points", "keep", "29d"),
        ("points", "pitr", "6d"),
        ("points", "daily_after", "7d"),
        ("exports", "keep", "29d"),
        ("exports", "schedule", "off"),
    ],
)
def test_less_than_was_required_is_said(section: str, key: str, value: str) -> None:
    changes: dict[str, Any] = {section: {key: value}}
    (found,) = capacity.retention(asked(**changes))
    assert (found.severity, found.key, found.value) == (Severity.WARNING, f"{section}.{key}", value)


def test_a_plan_over_its_ceiling_is_an_error_and_one_under_is_not() -> None:
    assert list(capacity.ceiling(asked())) == []
    (found,) = capacity.ceiling(asked(cost={"ceiling": 100}))
    assert (found.severity, found.key, found.value) == (Severity.ERROR, "cost.ceiling", "100.00")
    assert found.what == (
        "the plan costs 197.68 dollars a month, most of it for interface endpoints in ap-southeast-1: 56.94"
    )
