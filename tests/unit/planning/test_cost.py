from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.plan import Plan
from pgdrill.planning import cost
from pgdrill.planning.cost import Estimate, Line
from tests.unit.plans import SMALL, plan

SHOP: dict[str, Any] = SMALL["database"][0]


def databases(**changes: Any) -> list[dict[str, Any]]:
    return [SHOP | changes]


def line(what: str, region: str = "ap-southeast-1", of: Plan | None = None) -> Line:
    found = [line for line in estimate(of).lines if (line.what, line.region) == (what, region)]
    assert len(found) == 1, what
    return found[0]


def estimate(of: Plan | None = None) -> Estimate:
    return cost.estimate(of or plan())


def test_every_price_names_a_source_and_a_day() -> None:
    for name, price in cost.prices().items():
        assert price.source.startswith("https://aws.amazon.com/"), name
        assert date(2025, 1, 1) <= price.seen <= date(2026, 12, 31), name
        assert all(usd > 0 for usd in price.usd.values()), name


def test_every_price_is_used() -> None:
    used = {line.unit for line in estimate(plan(database=databases(origin="created"))).lines}
    assert {price.unit for price in cost.prices().values()} == used


def test_the_total_is_the_sum_of_the_lines() -> None:
    found = estimate()
    assert found.total == pytest.approx(sum(line.usd for line in found.lines))
    assert found.most == pytest.approx(sum(line.most for line in found.lines))


def test_interface_endpoints_are_paid_by_the_hour_in_each_zone() -> None:
    assert line("interface endpoints").usd == pytest.approx(3 * 2 * 730 * 0.013)
    assert line("interface endpoints", "ap-northeast-1").usd == pytest.approx(2 * 2 * 730 * 0.014)


def test_snapshots_are_at_most_all_full_and_likely_what_changed() -> None:
    found = line("snapshots and automated backups", of=plan(database=databases(storage_gb=100)))
    # 120 points and 7 automated backups, of which one full size is free.
    assert found.at_most == 100 * (120 + 7 - 1)
    # 5 % a day for 30 days, and 7 days of log.
    assert found.quantity == pytest.approx(100 * 0.05 * (30 + 7))
    assert found.usd == pytest.approx(found.quantity * 0.095, abs=0.01)


def test_copies_have_no_free_allowance() -> None:
    unchanged = plan(cost={"changed_daily": 0.0})
    assert line("snapshots and automated backups", of=unchanged).usd == 0
    assert line("copied snapshots", "ap-northeast-1", of=unchanged).quantity == 20


def test_only_what_changed_is_sent_again_and_the_first_time_all() -> None:
    assert line("transfer to the DR region").quantity == pytest.approx(20 * 0.05 * 365 / 12, abs=0.01)
    assert estimate().once == pytest.approx(20 * 0.09)


def test_an_adopted_database_is_not_counted_and_a_created_one_is() -> None:
    assert not [line for line in estimate().lines if line.what.startswith("database ")]
    created = plan(database=databases(origin="created"))
    assert line("database shop", of=created).usd == pytest.approx(2 * 730 * 0.112)
    assert line("storage of shop", of=created).usd == pytest.approx(2 * 20 * 0.138)
    single = plan(database=databases(origin="created", multi_az=False, instance_class="db.t3.micro"))
    assert line("database shop", of=single).usd == pytest.approx(730 * 0.112 / 4)


def test_exports_cost_nothing_when_they_are_off_and_more_at_every_slot() -> None:
    assert not [line for line in estimate(plan(exports={"schedule": "off"})).lines if "export" in line.what]
    daily, every = line("exports"), line("exports", of=plan(exports={"schedule": "slot"}))
    assert every.quantity == pytest.approx(4 * daily.quantity, abs=0.02)


def test_drills_cost_by_how_often_and_how_long_they_run() -> None:
    weekly, daily = line("drills"), line("drills", of=plan(drill={"every": "1d"}))
    assert daily.quantity == pytest.approx(7 * weekly.quantity, abs=0.05)
    large = plan(database=databases(storage_gb=1000))
    assert line("drills", of=large).usd > 10 * weekly.usd
    assert line("drills", "ap-northeast-1").quantity < weekly.quantity


def test_a_ledger_costs_a_beat_every_minute() -> None:
    silent = line("state transitions", of=plan(database=databases(ledger="off")))
    assert line("state transitions").quantity - silent.quantity == pytest.approx(3 * 1440 * 365 / 12)


def test_a_region_without_prices_is_reckoned_with_the_dearest() -> None:
    elsewhere = plan(dr=SMALL["dr"] | {"region": "eu-north-1"})
    found = line("interface endpoints", "eu-north-1", of=elsewhere)
    assert found.price == "0.014"
    assert found.assumes.endswith("no price of eu-north-1 is known: the dearest known is taken")
    assert "no price" not in line("interface endpoints").assumes


@given(st.integers(20, 65536), st.floats(0, 1), st.sampled_from(["6h", "1h", "24h"]), st.booleans())
def test_what_is_likely_is_never_more_than_what_is_at_most(
    storage_gb: int, changed: float, every: str, tiered: bool
) -> None:
    rules = {"every": every, "offset": "0h"} | ({"daily_after": "7d"} if tiered else {})
    some = plan(database=databases(storage_gb=storage_gb), cost={"changed_daily": changed}, points=rules)
    for found in estimate(some).lines:
        assert 0 <= found.usd <= found.most
        assert found.quantity <= found.at_most


@given(st.floats(0.01, 0.99))
def test_more_change_never_costs_less(changed: float) -> None:
    less, more = (estimate(plan(cost={"changed_daily": each})).total for each in (changed / 2, changed))
    assert less <= more


def test_bearable_is_the_change_that_just_keeps_the_ceiling() -> None:
    dear = plan(database=databases(storage_gb=200))
    bearable = cost.bearable(dear)
    assert bearable is not None
    at = dear.model_copy(update={"cost": dear.cost.model_copy(update={"changed_daily": bearable})})
    over = dear.model_copy(update={"cost": dear.cost.model_copy(update={"changed_daily": bearable + 0.01})})
    assert estimate(at).total <= dear.cost.ceiling < estimate(over).total


def test_bearable_is_nothing_where_the_ceiling_is_passed_anyway_and_all_where_it_never_is() -> None:
    assert cost.bearable(plan(cost={"ceiling": 10.0})) is None
    assert cost.bearable(plan(cost={"ceiling": 100_000.0})) == 1.0
