from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pgdrill import slots
from pgdrill.aws.snapshots import Quota, Snapshot
from pgdrill.messages import Reply
from pgdrill.plan import Copies, Points
from pgdrill.points import inventory, retention
from pgdrill.points.inventory import Inventory, busy, changes, reconcile
from tests.unit.snapshots import AWAY, EPOCH, HOME, copied, snapshot

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POINTS, COPIES = Points(), Copies()
NOW = EPOCH + 2 * DAY


def days(number: int) -> tuple[Snapshot, ...]:
    return tuple(snapshot(slot) for slot in slots.slots(POINTS, EPOCH, EPOCH + number * DAY))


def inv(
    region: str, snapshots: tuple[Snapshot, ...] = (), *, at: datetime = NOW, limit: int = 100
) -> Inventory:
    return Inventory(
        region=region,
        suffix="lab",
        made_at=at,
        quota=Quota(used=len(snapshots), limit=limit),
        snapshots=snapshots,
        busy=frozenset(one.id for one in snapshots if one.under_way),
    )


def ids(snapshots: tuple[Snapshot, ...]) -> list[str]:
    return [one.id for one in snapshots]


def test_what_is_missing_is_begun_oldest_first_up_to_the_limit() -> None:
    actions = reconcile(inv(AWAY), inv(HOME, days(2)), Copies(in_flight=3), NOW)
    assert (actions.due, actions.room) == (days(2), 3)
    assert actions.backlog == days(2)
    assert actions.discard == ()


def test_copies_in_flight_count_against_the_limit_whatever_rds_calls_their_state() -> None:
    sources = days(1)
    flying = tuple(
        copied(one, NOW, status=status) for one, status in zip(sources, ("pending", "copying"), strict=False)
    )
    actions = reconcile(inv(AWAY, flying), inv(HOME, sources), Copies(in_flight=3), NOW)
    assert (actions.due, actions.room) == (sources[2:], 1)
    assert actions.backlog == sources


def test_nothing_is_done_where_all_is_there() -> None:
    sources = days(2)
    here = tuple(copied(one, NOW) for one in sources)
    actions = reconcile(inv(AWAY, here), inv(HOME, sources), COPIES, NOW)
    assert actions == inventory.Actions(room=COPIES.in_flight)


def test_a_failed_copy_is_discarded_before_it_is_asked_for_again() -> None:
    sources = days(1)
    failed = copied(sources[1], NOW, status="failed")
    here = (copied(sources[0], NOW), failed, *(copied(one, NOW) for one in sources[2:]))
    actions = reconcile(inv(AWAY, here), inv(HOME, sources), COPIES, NOW)
    assert (actions.discard, actions.due, actions.backlog) == ((failed,), (), (sources[1],))


def test_what_is_not_ours_or_not_usable_or_a_copy_itself_is_not_copied() -> None:
    one, two, three, four = days(1)
    offered = (
        one.model_copy(update={"tags": {}}),
        two.model_copy(update={"status": "creating"}),
        three.model_copy(update={"copied_from": "arn:aws:rds:elsewhere:0:snapshot:x"}),
        snapshot(EPOCH + HOUR, suffix="other"),
        four,
    )
    assert reconcile(inv(AWAY), inv(HOME, offered), COPIES, NOW).due == (four,)


def test_what_retention_would_delete_again_is_not_copied() -> None:
    sources = days(20)
    tiers = Copies(keep=10 * DAY, daily_after=2 * DAY)
    now = EPOCH + 20 * DAY
    backlog = reconcile(inv(AWAY, at=now), inv(HOME, sources, at=now), tiers, now).backlog
    gone = {d.snapshot.id for d in retention.retain(sources, tiers, Quota(used=0, limit=1000), now, set())}
    assert ids(backlog) == [one.id for one in sources if one.id not in gone]
    assert len(backlog) < len(sources)


def test_what_the_quota_leaves_no_room_for_is_not_copied() -> None:
    sources = days(5)
    backlog = reconcile(inv(AWAY, limit=12), inv(HOME, sources), COPIES, NOW).backlog
    assert len(backlog) == 12
    assert sources[-1] in backlog
    assert {retention.moment(one).date() for one in backlog} == {
        retention.moment(one).date() for one in sources
    }


def test_copies_that_are_late_are_told_with_the_oldest() -> None:
    sources = days(1)
    at = sources[0].created_at
    assert at is not None
    in_time = reconcile(inv(AWAY), inv(HOME, sources[:1], at=at + 6 * HOUR), COPIES, at + 6 * HOUR)
    assert in_time.messages == ()
    late = at + 6 * HOUR + MINUTE
    [told] = reconcile(inv(AWAY), inv(HOME, sources[:1], at=late), COPIES, late).messages
    assert told.text == (
        "1 recovery points are not copied to ap-northeast-1 within 6 h 0 min; the oldest is"
        " pgdrill-lab-shop-2026-11-01t01z, made 2026-11-01 01:01 UTC"
    )


def test_a_silent_cell_is_told_and_what_it_said_last_still_counts() -> None:
    actions = reconcile(inv(AWAY), inv(HOME, days(1), at=NOW - 3 * HOUR), Copies(late_after=DAY * 9), NOW)
    assert [told.text for told in actions.messages] == [
        "nothing was heard of ap-southeast-1 since 2026-11-02 21:00 UTC, 3 h 0 min ago"
    ]
    assert actions.backlog == days(1)
    never = reconcile(inv(AWAY), None, COPIES, NOW)
    assert [told.text for told in never.messages] == ["nothing was heard of the other cell yet"]


def test_a_copy_of_an_earlier_instance_under_the_same_name_is_told_and_kept() -> None:
    [source, *_] = days(1)
    old = copied(snapshot(EPOCH + HOUR, resource="db-0"), NOW)
    actions = reconcile(inv(AWAY, (old,)), inv(HOME, (source,)), COPIES, NOW)
    assert (actions.due, actions.discard) == ((), ())
    assert [told.topic for told in actions.messages] == ["copy of another instance"]


def test_copies_that_were_done_and_that_were_ended_are_told() -> None:
    one, two, three, four = days(1)
    flying = [copied(each, NOW, status="creating", progress=40) for each in (one, two, three)]
    before = inv(AWAY, (*flying, copied(four, NOW)))
    done = copied(one, NOW + 3 * HOUR)
    failed = flying[2].model_copy(update={"status": "failed"})
    now = inv(AWAY, (done, failed, copied(four, NOW)))
    reply = changes(before, now)
    assert [(event.kind, event.subject, event.detail.get("status")) for event in reply.events] == [
        ("CopyEnded", two.id, "gone"),
        ("CopyDone", one.id, None),
        ("CopyEnded", three.id, "failed"),
    ]
    assert [(metric.name, metric.value) for metric in reply.metrics] == [
        ("CopyLag", (NOW + 3 * HOUR - (EPOCH + HOUR)).total_seconds())
    ]
    assert changes(None, before) == changes(before, before) == changes(now, now) == Reply()
    assert changes(now, inv(AWAY, (done,))) == Reply()


def test_what_either_cell_uses_is_busy() -> None:
    own = inv(HOME, days(1)).model_copy(update={"busy": frozenset({"mine"})})
    heard = inv(AWAY).model_copy(update={"busy": frozenset({"theirs"})})
    assert busy(own, heard, NOW) == {"mine", "theirs"}
    assert busy(own, None, NOW) == {"mine"}


def test_while_the_other_cell_is_silent_whatever_it_may_be_copying_is_busy_for_a_day() -> None:
    sources = days(1)
    there = (copied(sources[0], NOW),)
    for age, expected in (
        (15 * MINUTE, set()),
        (16 * MINUTE, set(ids(sources[1:]))),
        (24 * HOUR, set(ids(sources[1:]))),
        (24 * HOUR + MINUTE, set()),
    ):
        assert busy(inv(HOME, sources), inv(AWAY, there, at=NOW - age), NOW) == expected


def test_an_inventory_survives_its_way() -> None:
    made = inv(HOME, days(2))
    assert Inventory.model_validate_json(made.model_dump_json()) == made


# ------------------------------------------------------------------------------------------ the exchange


@dataclass
class World:
    """Two regions. Inventories travel with any delay, or not at all; copies take time, and some are ended."""

    now: datetime = EPOCH
    here: dict[str, Snapshot] = field(default_factory=dict)
    there: dict[str, Snapshot] = field(default_factory=dict)
    ready: dict[str, datetime] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    travelling: list[tuple[datetime, Inventory]] = field(default_factory=list)
    heard: Inventory | None = None
    most_flying: int = 0

    def tell(self, delays: list[int]) -> None:
        """Send the primary's inventory once for each delay in minutes; with none it is lost."""
        self.now += timedelta(seconds=1)  # no two are made at the same moment
        made = inv(HOME, tuple(self.here.values()), at=self.now, limit=1000)
        self.travelling += [(self.now + delay * MINUTE, made) for delay in delays]

    def hear(self) -> None:
        for at, made in list(self.travelling):
            if at <= self.now:
                self.travelling.remove((at, made))
                # What comes late or twice does not count.
                if self.heard is None or made.made_at > self.heard.made_at:
                    self.heard = made

    def end(self, chosen: int) -> None:
        """Somebody ends a copy in flight: it is gone, or left as failed."""
        flying = [one for one in self.there.values() if one.under_way]
        if flying:
            one = flying[chosen % len(flying)]
            self.ended[one.id] += 1
            del self.there[one.id]
            if chosen % 2:
                self.there[one.id] = one.model_copy(update={"status": "failed"})

    def round(self) -> None:
        for identifier, at in list(self.ready.items()):
            if at <= self.now and identifier in self.there and self.there[identifier].under_way:
                self.there[identifier] = self.there[identifier].model_copy(
                    update={"status": "available", "created_at": at}
                )
        own = inv(AWAY, tuple(self.there.values()), at=self.now, limit=1000)
        actions = reconcile(own, self.heard, COPIES, self.now)
        for failed in actions.discard:
            del self.there[failed.id]
        for source in actions.due[: actions.room]:
            assert source.id not in self.there
            self.asked[source.id] += 1
            self.there[source.id] = copied(source, self.now, status="pending", created_at=None)
            self.ready[source.id] = self.now + 20 * MINUTE
        self.most_flying = max(self.most_flying, sum(one.under_way for one in self.there.values()))


EVENT = st.one_of(
    st.tuples(st.just("tell"), st.lists(st.integers(0, 90), max_size=3)),
    st.tuples(st.just("wait"), st.integers(1, 120)),
    st.tuples(st.just("round"), st.just(0)),
    st.tuples(st.just("slot"), st.just(0)),
    st.tuples(st.just("end"), st.integers(0, 9)),
)


@settings(deadline=None)
@given(st.lists(EVENT, min_size=25, max_size=60))
def test_every_point_is_copied_once_whatever_happens_to_the_inventories(
    events: list[tuple[str, object]],
) -> None:
    world = World()
    coming = slots.slots(POINTS, EPOCH, EPOCH + 100 * DAY)
    for kind, value in events:
        if kind == "tell" and isinstance(value, list):
            world.tell(value)
        elif kind == "wait" and isinstance(value, int):
            world.now += value * MINUTE
        elif kind == "end" and isinstance(value, int):
            world.end(value)
        elif kind == "slot":
            made = snapshot(next(coming))
            world.now = max(world.now, retention.moment(made) + MINUTE)
            world.here[made.id] = made
        world.hear()
        if kind == "round":
            world.round()
    # In the end it is calm for a while: one inventory arrives, and rounds go on.
    world.tell([0])
    for _ in range(3 * (len(world.here) + 2)):
        world.now += 10 * MINUTE
        world.hear()
        world.round()
    assert {one.id for one in world.there.values() if one.usable} == set(world.here)
    assert all(world.asked[identifier] == 1 + world.ended[identifier] for identifier in world.here)
    assert world.most_flying <= COPIES.in_flight
