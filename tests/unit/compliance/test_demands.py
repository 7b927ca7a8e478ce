"""Each demand: shown by evidence that shows it, contradicted by what contradicts it, a gap where there is neither."""

from datetime import timedelta
from typing import Any

import pytest

from pgdrill.compliance import demands
from pgdrill.compliance.period import Drilled, Period
from pgdrill.evidence.chain import Break, Kind
from pgdrill.evidence.record import Evidence, Isolation
from pgdrill.model import Finding, PointKind, Rpo, Rto, Verdict
from tests.unit.evidence.drills import START, damaged, drilled, torn_down

WEEK = timedelta(days=7)


def period(*drills: Evidence, gone: bool = True, weeks: int = 4, **changes: Any) -> Period:
    told: dict[str, object] = {
        "since": START - 3 * WEEK - timedelta(hours=6),
        "until": START - 3 * WEEK + weeks * WEEK,
        "databases": ("shop",),
        "every": WEEK,
        "copies_every": timedelta(days=30),
        "drills": tuple(Drilled(evidence=one, teardown=torn_down(one) if gone else None) for one in drills),
    }
    return Period.model_validate(told | changes)


def weekly(**changes: object) -> list[Evidence]:
    return [drilled(number, **changes) for number in range(4, 8)]


def copied() -> Evidence:
    point = drilled().point.model_copy(update={"kind": PointKind.COPY, "region": "ap-northeast-1"})
    return drilled(6, point=point)


def inconclusive(number: int) -> Evidence:
    return drilled(number, verdict=Verdict.INCONCLUSIVE, verdict_reason="RDS had no capacity")


def test_a_drill_a_week_shows_that_backups_are_tested() -> None:
    answer = demands.tested(period(*weekly()))
    assert answer.verdict is Verdict.PASSED
    assert answer.says == ("shop: 4 drills, the last on 2026-11-22",)
    assert answer.drills == tuple(one.drill for one in weekly())


def test_a_failed_drill_is_a_test_all_the_same() -> None:
    drills = [*weekly()[:3], damaged(drill=drilled(7).drill)]
    assert demands.tested(period(*drills)).verdict is Verdict.PASSED


def test_two_weeks_without_a_drill_are_a_gap_with_its_dates() -> None:
    answer = demands.tested(period(drilled(4), drilled(7)))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says == (
        "shop: no concluded drill of it from 2026-11-01 to 2026-11-22, 21 d, where one is due every 7 d",
    )


def test_a_drill_without_a_conclusion_tests_nothing() -> None:
    answer = demands.tested(period(drilled(4), inconclusive(5), inconclusive(6), drilled(7)))
    assert answer.verdict is Verdict.INCONCLUSIVE


def test_the_year_is_shown_by_one_drill_and_a_gap_without_any() -> None:
    year = period(drilled(), since=START - timedelta(days=300), until=START + timedelta(days=60))
    assert demands.tested_yearly(year).verdict is Verdict.PASSED
    long = period(since=START - timedelta(days=400), until=START - timedelta(days=1))
    assert demands.tested_yearly(long).says == (
        "shop: no concluded drill of it from 2025-10-18 to 2026-11-21, 399 d, where one is due every 365 d",
    )


def test_a_drill_of_a_copy_shows_the_other_region_and_one_of_a_snapshot_does_not() -> None:
    assert demands.elsewhere(period(*weekly(), copied())).verdict is Verdict.PASSED
    answer = demands.elsewhere(period(*weekly(), until=START + timedelta(days=60)))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says[0].startswith("shop: no concluded drill of a copy of it from 2026-11-01 to 2027-01-21")


def test_drills_that_read_everything_show_wholeness() -> None:
    assert demands.whole(period(*weekly())).says == ("shop: 4 drills, each restored whole",)


def test_damage_contradicts_wholeness_and_names_the_drill() -> None:
    bad = damaged(drill=drilled(7).drill)
    answer = demands.whole(period(drilled(6), bad))
    assert answer.verdict is Verdict.FAILED
    assert answer.says == (f"shop: {bad.drill} failed: {bad.verdict_reason}",)
    assert answer.drills == (bad.drill,)


def test_a_drill_that_was_not_asked_to_read_shows_no_wholeness() -> None:
    unread = drilled(
        findings=(
            Finding(check="rows", verdict=Verdict.NOT_ASKED, reason="left out"),
            *drilled().findings[:1],
        )
    )
    answer = demands.whole(period(unread))
    assert answer.says == (f"shop: {unread.drill} did not read every table whole",)


def test_no_drill_at_all_is_a_gap_for_every_demand() -> None:
    empty = period()
    for demand in (demands.whole, demands.reconciled, demands.in_time, demands.within_loss, demands.apart):
        assert demand(empty).verdict is Verdict.INCONCLUSIVE, demand
    assert demands.unaltered(empty).says == ("there is no evidence",)


def test_content_is_reconciled_where_a_drill_had_a_reference() -> None:
    compared = drilled(7, reference="another restore of the point")
    assert demands.reconciled(period(drilled(6), compared)).drills == (compared.drill,)
    assert demands.reconciled(period(drilled(6))).says == (
        "shop: no drill compared its content with a reference",
    )


@pytest.mark.parametrize(
    ("usable", "objective", "within_plan", "within_four_hours"),
    [
        (15.3, 14400, Verdict.PASSED, Verdict.PASSED),
        (7200, 3600, Verdict.FAILED, Verdict.PASSED),
        (20000, 28800, Verdict.PASSED, Verdict.FAILED),
        (None, 14400, Verdict.FAILED, Verdict.FAILED),
    ],
)
def test_the_time_to_recover_is_held_against_the_plan_and_against_four_hours(
    usable: float | None, objective: float, within_plan: Verdict, within_four_hours: Verdict
) -> None:
    one = period(drilled(rto=Rto(usable=usable, verified=None, objective=objective)))
    assert demands.in_time(one).verdict is within_plan
    assert demands.in_four_hours(one).verdict is within_four_hours


def test_the_slowest_drill_is_named_with_its_time() -> None:
    assert demands.in_four_hours(period(*weekly())).says[-1] == "the slowest took 15.3 s"


def test_a_loss_over_the_objective_contradicts() -> None:
    rpo = Rpo(lag_of_point=0, exposure_at_start=0, worst_case=90000, basis="the ledger")
    answer = demands.within_loss(period(drilled(rpo=rpo)))
    assert answer.verdict is Verdict.FAILED
    assert answer.says == (f"shop: {drilled().drill} could lose 1 d 01 h, objective 6 h 15 min",)
    assert demands.within_loss(period(*weekly())).verdict is Verdict.PASSED


def test_an_instance_that_was_open_or_is_still_there_was_not_apart() -> None:
    assert demands.apart(period(*weekly())).verdict is Verdict.PASSED
    assert demands.apart(period(drilled(), gone=False)).says == (
        f"shop: {drilled().drill} left its instance: there is no record that it is gone",
    )
    public = Isolation(property="publicly accessible", expected="no", observed="yes", ok=False)
    leaky = damaged(isolation=(public,))
    assert demands.apart(period(leaky)).says == (
        f"shop: {leaky.drill} was not isolated: publicly accessible",
    )


def test_a_point_in_the_clear_contradicts_encryption() -> None:
    bare = drilled(point=drilled().point.model_copy(update={"encrypted": False, "kms_key": None}))
    assert demands.encrypted(period(bare)).verdict is Verdict.FAILED
    assert demands.encrypted(period(*weekly())).verdict is Verdict.PASSED


def test_a_broken_chain_contradicts_what_rests_on_it() -> None:
    found = Break(drill=drilled(5).drill, kind=Kind.ALTERED, what="its digest is another")
    answer = demands.unaltered(period(*weekly(), broken={"shop": (found,)}))
    assert answer.verdict is Verdict.FAILED
    assert answer.says == (f"shop: altered at {found.drill}: its digest is another",)
    assert demands.unaltered(period(*weekly())).says == ("the chain holds over 4 records",)


def test_a_database_of_the_plan_that_was_never_drilled_is_a_gap_beside_one_that_was() -> None:
    answer = demands.whole(period(*weekly(), databases=("shop", "bank")))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "bank: no drill" in answer.says


def test_a_recovery_is_no_drill() -> None:
    assert demands.whole(period(drilled(purpose="recovery"))).says == ("shop: no drill",)
