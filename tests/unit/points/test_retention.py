from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pgdrill import slots
from pgdrill.aws.snapshots import Quota, Snapshot
from pgdrill.messages import Level
from pgdrill.plan import Copies, Points
from pgdrill.points import retention
from pgdrill.points.retention import Deletion, Reason, moment
from tests.unit.snapshots import EPOCH, snapshot

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POINTS = Points()
PLENTY = Quota(used=0, limit=1000)


def month(days: int = 30) -> list[Snapshot]:
    """Return a point of every slot of so many days, oldest first."""
    return [snapshot(slot) for slot in slots.slots(POINTS, EPOCH, EPOCH + days * DAY)]


def retain(points: list[Snapshot], rules: Points | Copies = POINTS, **changes: object) -> list[Deletion]:
    given_: dict[str, object] = {"quota": PLENTY, "now": EPOCH + 30 * DAY, "busy": frozenset()} | changes
    return retention.retain(points, rules, **given_)  # type: ignore[arg-type] # the defaults fit


def reasons(deletions: list[Deletion]) -> dict[str, Reason]:
    return {deletion.snapshot.id: deletion.reason for deletion in deletions}


def test_a_month_of_slots_is_kept_whole() -> None:
    assert len(month()) == 120
    assert retain(month()) == []


def test_a_point_expires_when_it_is_as_old_as_the_plan_keeps() -> None:
    points = month()
    oldest = moment(points[0])
    assert retain(points, now=oldest + 30 * DAY - timedelta(seconds=1)) == []
    [deletion] = retain(points, now=oldest + 30 * DAY)
    assert (deletion.snapshot, deletion.reason, deletion.why) == (
        points[0],
        Reason.EXPIRED,
        "it is 30 days old, kept are 30 days",
    )


def test_with_tiers_the_first_point_of_a_day_stays() -> None:
    rules = POINTS.model_copy(update={"daily_after": 7 * DAY})
    left = {point.id for point in month()} - set(reasons(retain(month(), rules)))
    days = Counter(point.id.rsplit("t", 1)[0] for point in month() if point.id in left)
    assert sorted(days.values()) == [1] * 23 + [4] * 7
    assert all(identifier.endswith("t01z") for identifier in left if moment_of(identifier) < EPOCH + 23 * DAY)


def moment_of(identifier: str) -> datetime:
    slot = slots.slot_in("pgdrill-lab-shop-", identifier)
    assert slot is not None
    return slot


def test_where_the_first_point_of_a_day_failed_the_next_one_stays_for_it() -> None:
    rules = POINTS.model_copy(update={"daily_after": 7 * DAY})
    points = month()
    points[0] = points[0].model_copy(update={"status": "failed"})
    gone = reasons(retain(points, rules))
    assert gone[points[0].id] is Reason.FAILED
    assert points[1].id not in gone
    assert gone[points[2].id] is Reason.THINNED


def test_a_failed_point_stays_a_day_for_a_person_to_look_at() -> None:
    points = month(1)
    points[2] = points[2].model_copy(update={"status": "failed"})
    failed = moment(points[2])
    assert retain(points, now=failed + DAY - timedelta(seconds=1)) == []
    assert reasons(retain(points, now=failed + DAY)) == {points[2].id: Reason.FAILED}


def test_the_quota_thins_the_oldest_day_first_and_says_so() -> None:
    points = month()
    deletions = retain(points, quota=Quota(used=120, limit=118))
    assert [deletion.snapshot for deletion in deletions] == points[1:4]
    assert {deletion.reason for deletion in deletions} == {Reason.QUOTA}
    [told] = retention.messages(deletions, Quota(used=120, limit=118), "ap-southeast-1")
    assert (told.level, told.topic) == (Level.ALARM, "retention shortened")
    assert told.text == (
        "3 recovery points that the plan wants make room in ap-southeast-1: its quota is 118 manual snapshots,"
        " 120 are there; up to 2026-11-01 days hold one point each where it was needed"
    )


def test_the_quota_never_thins_below_one_a_day_and_says_what_is_missing() -> None:
    points = month()
    quota = Quota(used=120, limit=20)
    deletions = retain(points, quota=quota)
    left = [point for point in points if point.id not in reasons(deletions)]
    assert [point.id for point in left] == [*(point.id for point in points[::4]), points[-1].id]
    assert [told.topic for told in retention.messages(deletions, quota, "r")] == [
        "retention shortened",
        "quota exhausted",
    ]
    assert retention.short(deletions, quota) == 120 + 1 - 20 - len(deletions)


def test_what_failed_makes_room_before_what_is_wanted() -> None:
    points = month(2)
    points[6] = points[6].model_copy(update={"status": "failed"})
    deletions = retain(points, quota=Quota(used=8, limit=8), now=moment(points[6]) + HOUR)
    assert reasons(deletions) == {points[6].id: Reason.FAILED}


def test_an_earlier_instance_of_the_same_name_keeps_its_points_by_age_alone() -> None:
    """Its dailies and its newest are its own: a later instance's points do not stand in for them."""
    old = month(10)
    new = [snapshot(moment(point) + 10 * DAY, resource="db-2") for point in month(10)]
    rules = POINTS.model_copy(update={"daily_after": 5 * DAY})
    gone = reasons(retain([*old, *new], rules, now=EPOCH + 20 * DAY))
    left = [point.id for point in old if point.id not in gone]
    assert left == [point.id for point in old[::4]]
    far = reasons(retain([*old, *new], rules, now=EPOCH + 60 * DAY))
    assert [point.id for point in [*old, *new] if point.id not in far] == [new[-1].id]


def test_two_databases_keep_their_newest_each() -> None:
    points = [*month(2), *(snapshot(moment(point), database="books") for point in month(1))]
    gone = reasons(retain(points, now=EPOCH + 90 * DAY))
    left = [point.id for point in points if point.id not in gone]
    assert left == ["pgdrill-lab-shop-2026-11-02t19z", "pgdrill-lab-books-2026-11-01t19z"]


def test_a_tag_that_somebody_changed_is_not_taken_for_a_slot() -> None:
    point = month(1)[0]
    point = point.model_copy(update={"tags": point.tags | {"PgDrillSlot": "yesterday"}})
    assert moment(point) == point.recovers_to


# ------------------------------------------------------------------------------------------- properties


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Snapshot], Points, Quota, datetime, frozenset[str]]:
    """Any mixture of points: ours and others', of two databases and instances, in any state, some in use."""
    daily_after = draw(st.none() | st.integers(1, 9))
    rules = Points(keep=timedelta(days=10), daily_after=timedelta(days=daily_after) if daily_after else None)
    points: dict[str, Snapshot] = {}
    for number in draw(st.lists(st.integers(0, 60), min_size=5, max_size=40, unique=True)):
        made = snapshot(
            EPOCH + HOUR + number * 6 * HOUR,
            database=draw(st.sampled_from(["shop", "books"])),
            resource=draw(st.sampled_from(["db-1", "db-1", "db-2"])),
            status=draw(st.sampled_from(["available"] * 5 + ["failed", "creating", "pending", "odd"])),
        )
        strange = draw(st.sampled_from([None] * 6 + ["ManagedBy", "PgDrillRole", "PgDrillSuffix"]))
        tags = {key: value for key, value in made.tags.items() if key != strange}
        points[made.id] = made.model_copy(update={"tags": tags})
    used = len(points) + draw(st.integers(0, 10))
    quota = Quota(used=used, limit=draw(st.integers(max(1, used - 30), used + 10)))
    busy = frozenset(draw(st.lists(st.sampled_from(sorted(points) or ["none"]), max_size=5)))
    return list(points.values()), rules, quota, EPOCH + draw(st.integers(0, 30)) * DAY, busy


@given(worlds())
def test_retention_never_deletes_what_it_must_not(
    world: tuple[list[Snapshot], Points, Quota, datetime, frozenset[str]],
) -> None:
    points, rules, quota, now, busy = world
    deletions = retention.retain(points, rules, quota, now, busy)
    gone = {deletion.snapshot.id for deletion in deletions}
    left = [point for point in points if point.id not in gone]
    assert len(gone) == len(deletions)
    assert not gone & busy
    for deletion in deletions:
        point = deletion.snapshot
        assert point.mark is not None
        assert point.status in {"available", "failed"}
        if deletion.reason is Reason.QUOTA:
            assert now - moment(point) < rules.keep
            assert any(_same_day(point, other) for other in left)
        elif deletion.reason is Reason.THINNED:
            assert any(_same_day(point, other) for other in left) or now - moment(point) >= rules.keep
    for database in ("shop", "books"):
        usable = [p for p in points if p.usable and p.mark and p.mark.database == database]
        if usable:
            assert max(usable, key=moment).id not in gone


def _same_day(one: Snapshot, other: Snapshot) -> bool:
    return (
        other.usable
        and other.mark is not None
        and retention.lineage(one) == retention.lineage(other)
        and moment(one).date() == moment(other).date()
    )


@given(worlds())
def test_retention_takes_from_what_is_wanted_no_more_than_the_quota_forces(
    world: tuple[list[Snapshot], Points, Quota, datetime, frozenset[str]],
) -> None:
    points, rules, quota, now, busy = world
    deletions = retention.retain(points, rules, quota, now, busy)
    forced = [deletion for deletion in deletions if deletion.reason is Reason.QUOTA]
    if forced:
        assert quota.used + 1 - len(deletions) >= quota.limit
    roomy = retention.retain(points, rules, Quota(used=0, limit=1000), now, busy)
    assert [d for d in roomy if d.reason is Reason.QUOTA] == []
    assert {d.snapshot.id for d in roomy} <= {d.snapshot.id for d in deletions}


@given(worlds())
def test_what_retention_left_it_leaves_again(
    world: tuple[list[Snapshot], Points, Quota, datetime, frozenset[str]],
) -> None:
    points, rules, quota, now, busy = world
    deletions = retention.retain(points, rules, quota, now, busy)
    gone = {deletion.snapshot.id for deletion in deletions}
    less = Quota(used=quota.used - len(gone), limit=quota.limit)
    assert retention.retain([p for p in points if p.id not in gone], rules, less, now, busy) == []


@settings(deadline=None, max_examples=15)  # each example is a season
@given(st.integers(3, 40), st.integers(1, 4), st.none() | st.integers(1, 29))
def test_a_new_snapshot_is_never_refused_where_one_a_day_fits(
    limit: int, others: int, daily_after: int | None
) -> None:
    """Sixty days of slots, one retention before each snapshot, somebody else's snapshots in the same account."""
    keep = min(30, limit - others - 2)
    if keep < 1:
        return
    after = timedelta(days=daily_after) if daily_after and daily_after < keep else None
    rules = Points(keep=keep * DAY, daily_after=after)
    there: list[Snapshot] = []
    for slot in slots.slots(rules, EPOCH, EPOCH + 60 * DAY):
        quota = Quota(used=len(there) + others, limit=limit)
        gone = {d.snapshot.id for d in retention.retain(there, rules, quota, slot, frozenset())}
        there = [point for point in there if point.id not in gone]
        assert len(there) + others < limit
        there.append(snapshot(slot))
    days = {moment(point).astimezone(UTC).date() for point in there}
    assert len(days) >= keep
