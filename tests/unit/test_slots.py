from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill import slots
from pgdrill.errors import PlanError
from pgdrill.plan import Copies, Points

HOURS = (1, 2, 3, 4, 6, 8, 12, 24)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SIX = Points()

moments = st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # Hypothesis wants naive bounds


@st.composite
def schedules(draw: st.DrawFn) -> Points:
    every = timedelta(hours=draw(st.sampled_from(HOURS)))
    return Points(every=every, offset=draw(st.integers(0, every // MINUTE - 1)) * MINUTE)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@given(schedules(), moments)
def test_a_moment_lies_between_its_slot_and_the_next(points: Points, moment: datetime) -> None:
    slot, following = slots.slot_of(points, moment), slots.next_slot(points, moment)
    assert slot <= moment < following
    assert following - slot == points.every


@given(schedules(), moments)
def test_a_slot_is_the_slot_of_every_moment_until_the_next(points: Points, moment: datetime) -> None:
    slot = slots.slot_of(points, moment)
    assert slots.slot_of(points, slot) == slot
    assert slots.slot_of(points, slots.next_slot(points, slot) - timedelta(microseconds=1)) == slot


@given(schedules(), moments, st.integers(0, 40))
def test_a_day_has_the_same_slots_every_day(points: Points, moment: datetime, days: int) -> None:
    per_day = DAY // points.every
    found = list(slots.slots(points, moment, moment + days * DAY))
    assert len(found) == days * per_day
    assert found == sorted(set(found))
    assert all(slots.slot_of(points, slot) == slot for slot in found)
    assert all(moment <= slot < moment + days * DAY for slot in found)


@given(schedules(), moments)
def test_one_slot_of_a_day_is_its_first(points: Points, moment: datetime) -> None:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    day = list(slots.slots(points, midnight, midnight + DAY))
    assert [slots.first_of_day(points, slot) for slot in day] == [True] + [False] * (len(day) - 1)


@given(schedules(), moments)
def test_a_name_and_an_id_lead_back_to_their_slot(points: Points, moment: datetime) -> None:
    slot = slots.slot_of(points, moment)
    assert slots.named(slots.name(slot)) == slot
    assert slots.slot_in("pgdrill-lab-shop-", slots.point_id("pgdrill-lab-shop-", slot)) == slot


@given(schedules(), moments)
def test_two_slots_never_share_an_id(points: Points, moment: datetime) -> None:
    found = list(slots.slots(points, moment, moment + 3 * DAY))
    assert len({slots.point_id("p-", slot) for slot in found}) == len(found)


@given(schedules(), moments, st.integers(-14 * 60, 14 * 60))
def test_the_zone_that_a_moment_is_written_in_does_not_matter(
    points: Points, moment: datetime, minutes: int
) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert slots.slot_of(points, elsewhere) == slots.slot_of(points, moment)


def test_slots_begin_at_the_offset_after_midnight_utc() -> None:
    found = slots.slots(SIX, at("2026-11-22T00:00Z"), at("2026-11-23T00:00Z"))
    assert [slots.name(slot) for slot in found] == [
        "2026-11-22T01Z",
        "2026-11-22T07Z",
        "2026-11-22T13Z",
        "2026-11-22T19Z",
    ]


def test_a_moment_before_the_first_slot_of_its_day_belongs_to_the_day_before() -> None:
    assert slots.slot_of(SIX, at("2026-11-22T00:59Z")) == at("2026-11-21T19:00Z")


def test_a_slot_off_the_hour_has_minutes_in_its_name() -> None:
    assert slots.point_id("pgdrill-lab-shop-", at("2026-11-22T06:30Z")) == "pgdrill-lab-shop-2026-11-22t0630z"


@pytest.mark.parametrize(
    "text", ["", "2026-11-22", "2026-11-22T06", "2026-13-22T06Z", "2026-11-22T24Z", "latest"]
)
def test_what_is_not_a_slot_is_refused(text: str) -> None:
    with pytest.raises(PlanError) as refused:
        slots.named(text)
    assert refused.value.message == f"{text!r} is not a slot"
    assert refused.value.hint == "write its UTC day and hour: 2026-11-22T06Z"


@pytest.mark.parametrize(
    "identifier",
    [
        "pgdrill-lab-shop-20261122t061500z",  # taken out of schedule
        "pgdrill-lab-shop-2026-11-22t0600z",  # not how the name of 06:00 is written
        "pgdrill-lab-crm-2026-11-22t06z",
        "pgdrill-lab-shop-eu-2026-11-22t06z",
        "rds:shop-production-2026-11-22-06-10",
    ],
)
def test_an_id_that_is_not_of_a_slot_of_this_database_has_none(identifier: str) -> None:
    assert slots.slot_in("pgdrill-lab-shop-", identifier) is None


NOW = at("2026-11-22T07:00Z")


def kept(points: Points, rules: Points | Copies) -> int:
    return sum(
        slots.wanted(points, rules, slot, NOW) for slot in slots.slots(points, NOW - 60 * DAY, NOW + MINUTE)
    )


def test_every_slot_of_thirty_days_is_120_points() -> None:
    assert kept(SIX, SIX) == 120


def test_one_a_day_after_a_week_is_51_points() -> None:
    """28 of the last 7 days, and the first of each of the 23 days before."""
    assert kept(SIX, Points(daily_after=timedelta(days=7))) == 28 + 23


@pytest.mark.parametrize(
    ("points", "count"),
    [
        (SIX, 120),
        (Points(daily_after=timedelta(days=7)), 28 + 23),
        (Points(every=timedelta(hours=1), offset=timedelta(0), keep=timedelta(days=1)), 24),
        # All of a day, and the first of the day before that.
        (Points(daily_after=timedelta(days=1), keep=timedelta(days=2)), 5),
    ],
)
def test_most_wanted_is_the_number_at_the_busiest_moment(points: Points, count: int) -> None:
    assert slots.most_wanted(points, points) == count


@given(schedules(), moments, st.integers(49, 40 * 24), st.none() | st.integers(24, 48))
def test_there_are_never_more_points_wanted_than_that(
    points: Points, moment: datetime, keep: int, daily: int | None
) -> None:
    rules = Copies(keep=timedelta(hours=keep), daily_after=None if daily is None else timedelta(hours=daily))
    found = slots.slots(points, moment - rules.keep - DAY, moment + MINUTE / 60)
    assert sum(slots.wanted(points, rules, slot, moment) for slot in found) <= slots.most_wanted(
        points, rules
    )


def test_copies_are_kept_by_their_own_rules() -> None:
    assert kept(SIX, Copies(keep=timedelta(days=7))) == 28


@given(schedules(), moments, st.integers(0, 40 * 24))
def test_a_point_that_is_no_longer_wanted_is_never_wanted_again(
    points: Points, moment: datetime, hours: int
) -> None:
    tiered = points.model_copy(update={"daily_after": timedelta(days=7)})
    slot = slots.slot_of(points, moment)
    now = slot + timedelta(hours=hours)
    later = slots.wanted(tiered, tiered, slot, now + DAY)
    assert slots.wanted(tiered, tiered, slot, now) or not later
