"""Points are taken once a slot, with their seals, whatever the instance and the schedule do meanwhile."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgdrill import seal
from pgdrill.checks.registry import ALL
from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab.lab import Lab
from pgdrill.model import Clock, Verdict
from pgdrill.plan import Stack
from pgdrill.points import choice, taking, telling
from pgdrill.points.taking import Step, Taking
from tests.lab import labs
from tests.lab.production import FEW, Production, environment, tick

DAY = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab, checks=FEW)


@pytest.fixture(autouse=True)
def _no_faults(production: Production) -> Iterator[None]:
    yield
    production.lab.door.clear_faults()


def begin(production: Production, slot: datetime) -> Taking:
    return taking.begin(production.plan, production.database, slot, slot)


def run(production: Production, slot: datetime, begun: Taking | None = None) -> Taking:
    """Take the point of a slot, with a clock that tells the slot's own time."""
    return taking.run(begun or begin(production, slot), production.cell, ALL, at(slot), lambda _: None)


def at(moment: datetime) -> Callable[[float], Clock]:
    """Make a `tick` for a clock that shows `moment` now and goes on from there."""
    ahead = moment - datetime.now(UTC)

    def then(wait: float) -> Clock:
        real = tick(wait)
        return replace(real, now=real.now + ahead)

    return then


def ids(production: Production) -> list[str]:
    return [snapshot.id for snapshot in production.cell.snapshots.ours("lab")]


def slot(hour: int, day: int = 0) -> datetime:
    return DAY + timedelta(days=day, hours=hour)


def test_a_point_carries_its_slot_and_all_its_tags(production: Production) -> None:
    done = run(production, slot(1))
    assert done.taken is not None
    assert (done.taken.id, done.taken.slot, done.unsealed) == (
        "pgdrill-lab-shop-2026-11-22t01z",
        "2026-11-22T01Z",
        "",
    )
    found = production.cell.snapshots.find(done.taken.id)
    instance = production.cell.rds.instance("shop-production")
    assert found is not None
    assert instance is not None
    assert found.tags == {
        "Environment": "lab",
        "Owner": "you",
        "CostCenter": "none",
        "ManagedBy": "pgdrill",
        "PgDrillRole": "point",
        "PgDrillSuffix": "lab",
        "PgDrillDatabase": "shop",
        "PgDrillResource": instance.resource_id,
        "PgDrillSlot": "2026-11-22T01Z",
    }
    before, after = seal.around(production.cell.store, "shop", done.taken)
    assert before is not None
    assert after is not None
    assert (before.point, after.point) == (done.taken.id, done.taken.id)
    assert {before.resource, after.resource} == {instance.resource_id}


def test_a_slot_asked_for_twice_is_one_point_with_the_same_seals(production: Production) -> None:
    first = run(production, slot(7))
    sealed = len(list(production.cell.store.keys("seals/shop/")))
    second = run(production, slot(7))
    assert second.taken == first.taken
    assert len(list(production.cell.store.keys("seals/shop/"))) == sealed


def test_a_slot_that_fires_twice_at_once_is_one_point(production: Production) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        first, second = pool.map(lambda _: run(production, slot(13)), range(2))
    assert first.taken == second.taken
    assert ids(production).count("pgdrill-lab-shop-2026-11-22t13z") == 1
    assert first.taken is not None
    before, after = seal.around(production.cell.store, "shop", first.taken)
    assert before is not None
    assert after is not None
    assert before.done_at <= after.taken_at


def test_a_point_deleted_and_taken_again_is_compared_with_nothing_of_the_one_before(
    production: Production,
) -> None:
    first = run(production, slot(19)).taken
    assert first is not None
    assert production.drill(first.id).verdict is Verdict.PASSED
    found = production.cell.snapshots.find(first.id)
    assert found is not None
    production.cell.snapshots.delete(found)
    labs.until(lambda: production.cell.snapshots.find(first.id) is None)
    production.execute("CREATE TABLE later AS SELECT 1 AS id; ALTER DATABASE shop SET work_mem = '5MB'")

    second = run(production, slot(19)).taken
    assert second is not None
    assert (second.id, second.created_at == first.created_at) == (first.id, False)
    again = production.drill(second.id)
    assert (again.verdict, again.reference) == (Verdict.PASSED, None)
    old, new = (seal.around(production.cell.store, "shop", point) for point in (first, second))
    assert not {one.taken_at for one in old if one} & {one.taken_at for one in new if one}
    assert production.drill(second.id).reference == again.drill


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.DONE])
def test_a_try_that_was_cut_off_is_finished_by_the_next(production: Production, step: Step) -> None:
    moment = slot(7, day=list(Step).index(step) + 1)
    then, begun = at(moment), begin(production, moment)
    while begun.next is not step:
        begun = taking.step(begun, production.cell, then(begun.wait), ALL)
    done = run(production, moment)
    assert done.taken is not None
    assert ids(production).count(done.taken.id) == 1
    assert all(seal.around(production.cell.store, "shop", done.taken))


def test_a_busy_instance_is_waited_out(production: Production) -> None:
    production.lab.door.set_faults({"latency": {"snapshot": 1.5}})
    production.lab.door.back_up("shop-production")
    said: list[str] = []
    moment = slot(1, day=5)
    done = taking.run(begin(production, moment), production.cell, ALL, at(moment), said.append)
    assert done.taken is not None
    assert f"{done.point}: instance shop-production is backing-up" in said


def test_an_instance_that_stays_busy_ends_the_slot_with_an_error_and_what_to_tell(
    production: Production,
) -> None:
    production.lab.door.set_faults({"stuck": [{"identifier": "shop-production", "status": "backing-up"}]})
    production.lab.door.back_up("shop-production")
    labs.until(lambda: labs.instance(production.lab, "shop-production")["DBInstanceStatus"] == "backing-up")
    moment = slot(1, day=6)
    waiting = taking.step(begin(production, moment), production.cell, at(moment)(0), ALL)
    assert (waiting.next, waiting.wait > 0) == (Step.CHECK, True)
    over = at(moment + timedelta(hours=6, minutes=1))(0)
    with pytest.raises(Broken) as ended:
        taking.step(waiting, production.cell, over, ALL)
    production.lab.door.clear_faults()
    labs.await_status(production.lab, "shop-production")
    assert ended.value.message == (
        "instance 'shop-production' was too busy for a snapshot until 2026-11-28 07:00 UTC:"
        " instance shop-production is backing-up"
    )
    reply = telling.failed(waiting, ended.value)
    assert [(metric.name, metric.value, metric.dimensions) for metric in reply.metrics] == [
        ("PointsFailed", 1, {"Database": "shop"})
    ]
    assert [(event.kind, event.subject, event.detail["slot"]) for event in reply.events] == [
        ("PointFailed", "pgdrill-lab-shop-2026-11-28t01z", "2026-11-28T01Z")
    ]


def test_a_snapshot_that_fails_is_told(production: Production) -> None:
    production.lab.door.set_faults({"doomed": [{"identifier": "*-2026-11-29t01z", "status": "failed"}]})
    with pytest.raises(Broken) as ended:
        run(production, slot(1, day=7))
    assert ended.value.message == "snapshot 'pgdrill-lab-shop-2026-11-29t01z' is failed"


def test_a_production_that_cannot_be_sealed_is_backed_up_all_the_same_and_it_is_said(
    production: Production,
) -> None:
    closed = production.database.model_copy(update={"secret": "shop/nothing"})
    plan = production.plan.model_copy(update={"databases": (closed,)})
    cell = replace(production.cell, plan=plan)
    moment = slot(1, day=8)
    begun = taking.begin(plan, closed, moment, moment)
    done = taking.run(begun, cell, ALL, at(moment), lambda _: None)
    assert done.taken is not None
    assert "shop/nothing" in done.unsealed
    told = telling.taken(done, moment).messages
    assert [(message.level.value, message.topic) for message in told] == [("warning", "point unsealed")]
    assert done.point not in {one.point for one in seal.stored(production.cell.store, "shop")}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "plain-1",
            {"StorageEncrypted": False, "KmsKeyId": None},
            "instance 'plain-1' is not encrypted, and so would be its snapshots",
        ),
        (
            "plain-2",
            {"StorageEncrypted": True, "KmsKeyId": None},
            "instance 'plain-2' is encrypted with AWS's own key 'arn:aws:kms:ap-southeast-1:000000000000:alias/aws/rds'",
        ),
    ],
)
def test_a_source_that_cannot_be_copied_is_refused(
    production: Production, name: str, changes: dict[str, Any], message: str
) -> None:
    arguments = production.lab.world().production_instance() | {"BackupRetentionPeriod": 0} | changes
    production.lab.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        MasterUsername="master",
        MasterUserPassword="correct-horse-battery",
        **{key: value for key, value in arguments.items() if value is not None},
    )
    plain = production.database.model_copy(update={"instance": name})
    plan = production.plan.model_copy(update={"databases": (plain,)})
    begun = taking.begin(plan, plain, slot(19), slot(19))
    with pytest.raises(NotRunnable) as refused:
        taking.step(begun, replace(production.cell, plan=plan), at(slot(19))(0), ALL)
    assert refused.value.message == message


def test_two_suffixes_in_one_account_keep_apart(production: Production) -> None:
    plan = production.plan.model_copy(update={"stack": Stack(suffix="other")})
    other = replace(production.cell, plan=plan)
    begun = taking.begin(plan, production.database, slot(1), slot(1))
    done = taking.run(begun, other, ALL, at(slot(1)), lambda _: None)
    assert done.taken is not None
    assert done.taken.id == "pgdrill-other-shop-2026-11-22t01z"
    assert done.taken.id not in ids(production)
    assert [snapshot.id for snapshot in other.snapshots.ours("other")] == [done.taken.id]
    assert choice.choose(other, production.database, "latest").id == done.taken.id
    assert choice.choose(production.cell, production.database, "latest").id in ids(production)
    third = replace(other, plan=plan.model_copy(update={"stack": Stack(suffix="third")}))
    assert choice.choose(third, production.database, "latest").id.startswith("rds:shop-production-")
    assert choice.choose(third, production.database, done.taken.id).id == done.taken.id


def test_a_database_replaced_under_the_same_name_is_told_and_not_mixed(production: Production) -> None:
    old = choice.choose(production.cell, production.database, "latest")
    rds = production.lab.client("rds")
    rds.delete_db_instance(DBInstanceIdentifier="shop-production", SkipFinalSnapshot=True)
    labs.until(lambda: production.cell.rds.instance("shop-production") is None)
    labs.create(production.lab, "shop-production")
    instance = production.cell.rds.instance("shop-production")
    assert instance is not None
    with pytest.raises(NotRunnable) as told:
        run(production, slot(1))
    assert told.value.message == (
        f"slot 2026-11-22T01Z of database 'shop' holds a snapshot of {old.resource}, an earlier instance of the"
        f" name 'shop-production', which is {instance.resource_id} now"
    )
    with pytest.raises(NotRunnable) as empty:
        choice.choose(production.cell, production.database, "latest")
    assert empty.value.message == "database 'shop' has no snapshot to restore from in ap-southeast-1"
    assert choice.choose(production.cell, production.database, old.id) == old
