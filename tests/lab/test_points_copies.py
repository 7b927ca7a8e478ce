"""A few days of points, kept and copied by the plan's rules in two regions, whatever happens to the copies."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.drills import conduct, drill
from pgdrill.drills.state import Step
from pgdrill.errors import NotRunnable
from pgdrill.evidence import archive, audit
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.model import Clock, PointKind, Verdict
from pgdrill.plan import Copies, Stack
from pgdrill.points import copies, exchange, taking, upkeep
from pgdrill.points.retention import Reason
from tests.lab import labs
from tests.lab.production import FEW, Production, clock, environment, tick

DAY = datetime(2026, 11, 22, tzinfo=UTC)
HOURS = (1, 7, 13, 19)
NEWEST = DAY + timedelta(days=1, hours=19)
QUOTA = 12
DR = "ap-northeast-1"


@pytest.fixture(scope="module")
def production(make_lab: Callable[[], Lab]) -> Iterator[Production]:
    """A production with a point of every slot of two days, in a lab with a small quota of snapshots."""
    lab = make_lab()
    lab.up(Settings(manual_snapshots=QUOTA))
    with environment(lab):
        production = Production(lab, checks=FEW)
        lab.client("rds").delete_db_snapshot(DBSnapshotIdentifier=production.point.id)
        for day in (0, 1):
            for hour in HOURS:
                take(production, DAY + timedelta(days=day, hours=hour))
        yield production


@pytest.fixture(scope="module")
def dr(production: Production) -> Cell:
    return Cell.open(production.plan, production.plan.dr)


@pytest.fixture
def whole(production: Production, dr: Cell) -> Cell:
    """The DR cell with nothing missing."""
    production.lab.door.clear_faults()
    copies.run(dr, at(NOW), lambda _: None)
    return dr


@pytest.fixture(autouse=True)
def _no_faults(production: Production) -> Iterator[None]:
    yield
    production.lab.door.clear_faults()


def at(moment: datetime) -> Callable[[float], Clock]:
    ahead = moment - datetime.now(UTC)

    def then(wait: float) -> Clock:
        real = tick(wait)
        return replace(real, now=real.now + ahead)

    return then


def take(production: Production, slot: datetime, cell: Cell | None = None) -> None:
    """Take the point of a slot and tell of it. Only the one that is drilled needs more than an empty seal."""
    cell = cell or production.cell
    begun = taking.begin(cell.plan, production.database, slot, slot)
    taking.run(begun, cell, ALL if slot == NEWEST else (), at(slot), lambda _: None)
    tell(cell, slot)


def tell(cell: Cell, now: datetime) -> None:
    exchange.tell(cell, exchange.gather(cell, now))


def slots(cell: Cell) -> list[str]:
    found = cell.snapshots.ours(cell.plan.stack.suffix)
    return [one.mark.slot for one in found if one.usable and one.mark and one.mark.slot]


def named(day: int, hour: int) -> str:
    return f"{DAY + timedelta(days=day, hours=hour):%Y-%m-%dT%HZ}"


EVERY = [named(day, hour) for day in (0, 1) for hour in HOURS]
NOW = NEWEST + timedelta(minutes=5)


def test_nothing_is_copied_before_anything_was_heard(production: Production) -> None:
    empty = production.lab.world(DR).archive_bucket
    deaf = production.plan.dr.model_copy(update={"evidence_bucket": empty})
    with pytest.raises(NotRunnable) as refused:
        copies.run(Cell.open(production.plan, deaf), at(NOW), lambda _: None)
    assert refused.value.message == "nothing was heard of the other cell yet"


def test_copies_are_not_asked_for_in_the_primary(production: Production) -> None:
    with pytest.raises(NotRunnable) as refused:
        copies.round_(production.cell, NOW)
    assert refused.value.message == "copies go to ap-northeast-1, and are asked for there"


def test_what_is_missing_is_copied_oldest_first_and_never_more_at_once_than_planned(
    production: Production, dr: Cell
) -> None:
    for copy in dr.snapshots.ours("lab"):
        dr.snapshots.delete(copy)
    limited = replace(dr, plan=dr.plan.model_copy(update={"copies": Copies(in_flight=2)}))
    production.lab.door.set_faults({"latency": {"copy": 30}})
    first = copies.round_(limited, NOW)
    assert [identifier[-14:] for identifier in first.answers.begun] == ["2026-11-22t01z", "2026-11-22t07z"]
    assert first.flying == 2
    assert copies.round_(limited, NOW).answers.begun == ()
    production.lab.door.clear_faults()
    copied, reply = copies.run(dr, at(NOW), lambda _: None)
    assert slots(dr) == EVERY
    assert len(copied) == len(EVERY) - 2
    assert [message.topic for message in reply.messages] == ["copy done"] * len(EVERY)
    metrics = {metric.name: metric.value for metric in reply.metrics}
    assert metrics["CopiesMissing"] == 0
    again = copies.round_(dr, NOW)
    assert (again.answers.begun, again.backlog, again.flying) == ((), (), 0)


def test_a_copy_that_rds_refuses_is_an_error_with_its_reason(production: Production) -> None:
    elsewhere = production.plan.dr.model_copy(update={"storage_key": production.lab.world().storage_key})
    production.lab.client("rds", DR).delete_db_snapshot(
        DBSnapshotIdentifier=f"pgdrill-lab-shop-{named(1, 1).lower()}"
    )
    cell = Cell.open(production.plan.model_copy(update={"dr": elsewhere}), elsewhere)
    with pytest.raises(NotRunnable) as refused:
        copies.run(cell, at(NOW), lambda _: None)
    assert "KMSKeyNotAccessibleFault" in refused.value.message
    assert refused.value.message.startswith("cannot copy 'arn:aws:rds:ap-southeast-1:")


def test_a_copy_has_the_keys_and_tags_of_its_own_region(production: Production, whole: Cell) -> None:
    own = production.cell.snapshots.ours("lab")
    for copy, source in zip(
        whole.snapshots.ours("lab"), (s for s in own if s.mark and s.mark.slot), strict=True
    ):
        assert copy.tags == source.tags
        assert copy.kms_key == production.plan.dr.storage_key
        assert copy.copied_from == source.arn
        assert copy.recovers_to == source.recovers_to
        assert copy.resource == source.resource


def test_a_drill_of_a_copy_finds_its_seals_and_the_witness_in_its_own_region(
    production: Production, whole: Cell
) -> None:
    twin = production.drill("latest")
    begun = production.begin("latest")
    done = conduct.run(begun, whole, tick, lambda *_: None)
    with pytest.raises(NotRunnable) as elsewhere:
        conduct.resume(production.cell, "shop", done.id)
    assert elsewhere.value.message == f"drill {done.id!r} runs in ap-northeast-1, this is ap-southeast-1"
    evidence = archive.load(whole.store, done.id, done.database)
    assert {f.check: f.reason for f in evidence.findings if f.verdict is Verdict.FAILED} == {}
    assert evidence.verdict is Verdict.PASSED
    assert (evidence.point.kind, evidence.point.region) == (PointKind.COPY, DR)
    assert len(evidence.seals) == 2
    assert evidence.rpo.lag_of_point is not None
    # What the primary read of the same snapshot came by replication: the two restores must agree.
    assert evidence.reference == twin.drill
    assert audit.broken(whole.store, "shop") == []


def test_a_copy_that_was_ended_is_noticed_and_made_again(production: Production, whole: Cell) -> None:
    target = f"pgdrill-lab-shop-{named(1, 19).lower()}"
    rds = production.lab.client("rds", DR)
    rds.delete_db_snapshot(DBSnapshotIdentifier=target)
    production.lab.door.set_faults({"latency": {"copy": 30}})
    assert copies.round_(whole, NOW).answers.begun == (target,)
    rds.delete_db_snapshot(DBSnapshotIdentifier=target)
    production.lab.door.clear_faults()
    noticed = copies.round_(whole, NOW)
    assert [(event.kind, event.subject) for event in noticed.reply.events] == [("CopyEnded", target)]
    assert noticed.answers.begun == (target,)
    copies.run(whole, at(NOW), lambda _: None)
    assert slots(whole) == EVERY


def test_a_copy_that_failed_gives_its_name_free_and_is_made_again(
    production: Production, whole: Cell
) -> None:
    target = f"pgdrill-lab-shop-{named(1, 13).lower()}"
    production.lab.client("rds", DR).delete_db_snapshot(DBSnapshotIdentifier=target)
    production.lab.door.set_faults({"doomed": [{"identifier": target, "status": "failed"}]})
    first = copies.round_(whole, NOW)
    assert first.answers.begun == (target,)
    labs.until(lambda: (found := whole.snapshots.find(target)) is not None and found.status == "failed")
    production.lab.door.clear_faults()
    copied, told = copies.run(whole, at(NOW), lambda _: None)
    assert [snapshot.id for snapshot in copied] == [target]
    both = first.reply.messages + told.messages
    [ended] = [message.text for message in both if message.topic == "copy ended"]
    assert ended == f"the copy of {target!r} in {DR} is failed"
    assert slots(whole) == EVERY


def test_what_is_being_copied_is_not_deleted_however_old_it_is(production: Production, whole: Cell) -> None:
    target = f"pgdrill-lab-shop-{named(0, 7).lower()}"
    production.lab.client("rds", DR).delete_db_snapshot(DBSnapshotIdentifier=target)
    production.lab.door.set_faults({"latency": {"copy": 30}})
    copies.round_(whole, NOW)
    far = DAY + timedelta(days=60)
    tell(whole, far)
    doomed = [d.snapshot.id for d in upkeep.retain(production.cell, far, dry_run=True).deleted]
    newest = f"pgdrill-lab-shop-{named(1, 19).lower()}"
    expected = {f"pgdrill-lab-shop-{slot.lower()}" for slot in EVERY} - {target, newest}
    assert set(doomed) == expected
    production.lab.door.clear_faults()
    copies.run(whole, at(NOW), lambda _: None)


def test_a_source_that_was_deleted_since_it_was_told_of_holds_nothing_up(
    production: Production, whole: Cell
) -> None:
    gone = f"pgdrill-lab-shop-{named(1, 19).lower()}"
    tell(production.cell, NOW)
    for region in (None, DR):
        production.lab.client("rds", region).delete_db_snapshot(DBSnapshotIdentifier=gone)
    done = copies.round_(whole, NOW)
    assert (done.answers.gone, done.answers.begun, done.missing) == ((gone,), (), False)
    take(production, NEWEST)
    copies.run(whole, at(NOW), lambda _: None)
    assert slots(whole) == EVERY


def test_what_is_being_drilled_is_busy_in_both_cells_until_the_drill_must_be_dead(
    production: Production, whole: Cell
) -> None:
    now = datetime.now(UTC)
    begun = drill.choose(production.begin("oldest"), production.cell, clock())
    production.cell.store.put(f"drills/shop/{begun.id}/drill.json", begun.model_dump_json().encode())
    identifier = begun.restored_from().id
    for cell in (production.cell, whole):
        assert identifier in exchange.gather(cell, now).busy
        assert identifier not in exchange.gather(cell, now + timedelta(hours=7)).busy
    production.cell.store.put(
        f"drills/shop/{begun.id}/drill.json", begun.to(Step.DONE).model_dump_json().encode()
    )
    assert identifier not in exchange.gather(production.cell, now).busy


def test_what_rds_does_not_delete_is_left_and_said(production: Production) -> None:
    refusal = {
        "action": "DeleteDBSnapshot",
        "code": "InvalidDBSnapshotState",
        "message": "not now",
        "times": 99,
    }
    production.lab.door.set_faults({"failures": [refusal]})
    before = slots(production.cell)
    kept = upkeep.retain(production.cell, DAY + timedelta(days=60))
    assert (kept.deleted, len(kept.left)) == ((), len(before) - 1)
    assert {message.topic for message in kept.reply.messages} == {"point not deleted"}
    assert slots(production.cell) == before


def test_rds_that_does_not_answer_for_a_while_ends_neither_a_point_nor_a_copy(
    production: Production, whole: Cell
) -> None:
    target = f"pgdrill-lab-shop-{named(1, 19).lower()}"
    for region in (None, DR):
        production.lab.client("rds", region).delete_db_snapshot(DBSnapshotIdentifier=target)
    silence = {"action": "DescribeDBSnapshots", "code": "InvalidDBSnapshotState", "times": 3}
    production.lab.door.set_faults({"failures": [silence]})
    take(production, NEWEST)
    production.lab.door.set_faults({"failures": [silence]})
    copies.run(whole, at(NOW), lambda _: None)
    assert slots(production.cell) == slots(whole) == EVERY


def test_two_suffixes_delete_nothing_of_each_other(production: Production) -> None:
    plan = production.plan.model_copy(update={"stack": Stack(suffix="other")})
    other = replace(production.cell, plan=plan)
    take(production, NEWEST, other)
    far = DAY + timedelta(days=60)
    assert upkeep.retain(other, far, dry_run=True).deleted == ()
    doomed = upkeep.retain(production.cell, far, dry_run=True).deleted
    assert {deletion.snapshot.id.split("-")[1] for deletion in doomed} == {"lab"}
    production.lab.client("rds").delete_db_snapshot(
        DBSnapshotIdentifier=f"pgdrill-other-shop-{named(1, 19).lower()}"
    )


def test_a_quota_that_is_reached_half_way_thins_the_oldest_day_and_no_snapshot_is_refused(
    production: Production, whole: Cell
) -> None:
    taken = []
    for day, hour in ((2, 1), (2, 7), (2, 13), (2, 19), (3, 1), (3, 7)):
        slot = DAY + timedelta(days=day, hours=hour)
        kept = upkeep.retain(production.cell, slot)
        taken += [(deletion.snapshot.tags["PgDrillSlot"], deletion.reason) for deletion in kept.deleted]
        take(production, slot)
    # Eight of twelve are there: four more fit, then the oldest day is thinned.
    assert taken == [(named(0, 7), Reason.QUOTA), (named(0, 13), Reason.QUOTA)]
    assert slots(production.cell)[:3] == [named(0, 1), named(0, 19), named(1, 1)]
    assert [message.topic for message in kept.reply.messages] == [
        "retention shortened",
        "points deleted",
    ]
    copies.run(whole, at(slot), lambda _: None)
    assert slots(whole) == slots(production.cell)
    assert copies.round_(whole, slot).answers.begun == ()
