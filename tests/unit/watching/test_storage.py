"""What lies there is told by kind, as an estimate and as an upper bound, less what is free."""

from datetime import datetime

import pytest

from pgdrill.aws.snapshots import Quota
from pgdrill.planning.cost import estimate, prices
from pgdrill.points.inventory import Inventory
from pgdrill.watching.ages import measure
from pgdrill.watching.storage import Kind, Stored, left_for, monthly, stored
from tests.unit.instances import instance
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME, copied, snapshot
from tests.unit.watching.world import DAY, FIRST, HOUR, look

PLAN = plan(cost={"changed_daily": 0.1})
PRODUCTION = instance(id="shop-production", storage_gb=100, retention_days=7)
SHOP = {"name": "shop", "instance": "shop-production", "secret": "s", "storage_gb": 100}
SLOTS = [FIRST + number * 6 * HOUR for number in range(5)]


def inventory(region: str, slots: list[datetime]) -> Inventory:
    snapshots = [snapshot(slot) if region == HOME else copied(snapshot(slot), slot + HOUR) for slot in slots]
    sized = tuple(one.model_copy(update={"storage_gb": 100}) for one in snapshots)
    return Inventory(
        region=region, suffix="lab", made_at=FIRST, quota=Quota(used=0, limit=100), snapshots=sized
    )


def by_kind(region: str) -> dict[Kind, Stored]:
    return {one.kind: one for one in stored(inventory(region, SLOTS), [PRODUCTION], PLAN)}


def test_a_snapshot_after_the_first_takes_what_changed_since_and_at_most_all() -> None:
    one = by_kind(HOME)[Kind.SNAPSHOTS]
    assert (SLOTS[-1] - SLOTS[0], one.gigabytes, one.most_gigabytes) == (DAY, 110.0, 500.0)


def test_the_first_full_backup_is_shared_and_as_much_as_the_database_has_is_free_where_it_is() -> None:
    found = by_kind(HOME)
    price = prices()["backup"].at(HOME)
    assert (found[Kind.AUTOMATED].gigabytes, found[Kind.AUTOMATED].usd) == (70.0, 0)
    assert found[Kind.SNAPSHOTS].usd == round((110 + 70 - 100) * price, 2)
    nothing = stored(inventory(HOME, []), [PRODUCTION], PLAN)
    assert {one.kind: one.gigabytes for one in nothing} == {Kind.AUTOMATED: 170.0, Kind.SNAPSHOTS: 0}


def test_what_a_database_grows_by_is_counted_before_and_after_its_next_snapshot() -> None:
    grown = PRODUCTION.model_copy(update={"storage_gb": 300})
    before = {one.kind: one.gigabytes for one in stored(inventory(HOME, SLOTS[:1]), [grown], PLAN)}
    assert before == {Kind.AUTOMATED: 200 + 210, Kind.SNAPSHOTS: 100}
    two = inventory(HOME, SLOTS[::4])
    first, second = two.snapshots
    own = two.model_copy(update={"snapshots": (first, second.model_copy(update={"storage_gb": 300}))})
    after = {one.kind: one.gigabytes for one in stored(own, [grown], PLAN)}
    assert after == {Kind.AUTOMATED: 210, Kind.SNAPSHOTS: 100 + 200 + 30}


def test_what_is_kept_as_planned_costs_what_the_plan_reckons() -> None:
    kept = plan(cost={"changed_daily": 0.1}, database=[SHOP])
    for region in (HOME, AWAY):
        slots = [FIRST + n * 6 * HOUR for n in range(30 * 4 + 1)]
        (reckoned,) = [
            one for one in estimate(kept).lines if one.region == region and "snapshots" in one.what
        ]
        assert monthly(stored(inventory(region, slots), [PRODUCTION], kept)) == pytest.approx(reckoned.usd)


@pytest.mark.parametrize("ceiling", [300, 500, 2000])
def test_two_cells_that_stay_within_what_is_left_for_them_do_not_pass_the_ceiling(ceiling: float) -> None:
    asked = plan(cost={"ceiling": ceiling})
    reckoned = estimate(asked)
    planned = sum(line.usd for line in reckoned.lines if "snapshots" in line.what)
    left = [left_for(asked, region) for region in (HOME, AWAY)]
    assert reckoned.total - planned + sum(left) == pytest.approx(ceiling, abs=0.02)
    assert min(left) > planned / 2 > 0


def test_of_copies_nothing_is_free_and_there_is_no_other_kind() -> None:
    found = by_kind(AWAY)
    assert set(found) == {Kind.COPIES}
    assert found[Kind.COPIES].usd > 0
    assert round(found[Kind.COPIES].usd / found[Kind.COPIES].most_usd, 2) == round(110 / 500, 2)


def test_no_estimate_is_over_its_bound() -> None:
    for region in (HOME, AWAY):
        for one in by_kind(region).values():
            assert one.gigabytes <= one.most_gigabytes
            assert one.usd <= one.most_usd


def test_what_lies_there_is_published_by_kind_and_as_one_upper_bound() -> None:
    kept = tuple(by_kind(HOME).values())
    seen = look(HOME, FIRST + DAY).model_copy(update={"stored": kept, "dollars": monthly(kept)})
    told = {(one.name, one.dimensions.get("Kind", "")): one.value for one in measure(seen, PLAN)}
    assert told["StorageGigabytes", "snapshots"] == 110.0
    assert told["StorageDollars", "snapshots"] + told["StorageDollars", "automated backups"] == round(
        told["StorageDollars", ""], 2
    )
    assert told["StorageDollarsAtMost", ""] == sum(one.most_usd for one in kept) > told["StorageDollars", ""]


def test_without_a_listing_nothing_is_told_of_storage() -> None:
    seen = look(HOME, FIRST + DAY).model_copy(update={"stored": (), "dollars": None})
    assert [one for one in measure(seen, PLAN) if one.name.startswith("Storage")] == []
