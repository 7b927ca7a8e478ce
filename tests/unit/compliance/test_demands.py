"""Each demand: shown by evidence that shows it, contradicted by what contradicts it, a gap where there is neither."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from pgdrill.checks import rows
from pgdrill.compliance import demands
from pgdrill.compliance.answers import Demand
from pgdrill.compliance.clauses import CLAUSES
from pgdrill.compliance.period import Drilled, Period
from pgdrill.evidence.chain import Break, Kind
from pgdrill.evidence.record import Evidence, Isolation, Teardown
from pgdrill.model import Finding, PointKind, Rpo, Rto, Verdict
from tests.unit.checks import test_rows
from tests.unit.evidence.drills import FINDINGS, KEY, START, damaged, drilled, torn_down

WEEK, SLOT = timedelta(days=7), timedelta(hours=6)
BEGIN = START - 3 * WEEK - SLOT
UNDER_ITS_KEY = Isolation(property="encryption key", expected=KEY, observed=KEY, ok=True)
KEPT_APART = (*drilled().isolation, UNDER_ITS_KEY)


def period(*drills: Evidence, weeks: int = 4, **changes: Any) -> Period:
    until = START - 3 * WEEK + weeks * WEEK
    told: dict[str, object] = {
        "since": BEGIN,
        "until": until,
        "databases": ("shop",),
        "every": WEEK,
        "copies_every": timedelta(days=30),
        "points_every": SLOT,
        "points": {"shop": every_slot()},
        "signed": True,
        "drills": tuple(Drilled(evidence=one, teardown=torn_down(one)) for one in drills),
    }
    return Period.model_validate(told | changes)


def every_slot(*, left_out: int = 0) -> tuple[datetime, ...]:
    """Return the points of four weeks; some are left out after the first."""
    times = [BEGIN + number * SLOT for number in range(1, 4 * 28 + 1)]
    return (times[0], *times[1 + left_out :])


def closed(evidence: Evidence, teardown: Teardown | None) -> Period:
    return period(drills=(Drilled(evidence=evidence, teardown=teardown),))


def weekly(**changes: object) -> list[Evidence]:
    return [drilled(number, **({"isolation": KEPT_APART} | changes)) for number in range(4, 8)]


def copied() -> Evidence:
    point = drilled().point.model_copy(update={"kind": PointKind.COPY, "region": "ap-northeast-1"})
    return drilled(6, point=point, isolation=KEPT_APART)


def compared(number: int = 7, equal: int = 34, tables: int = 34, **changes: object) -> Evidence:
    """Return a drill with another restore to compare with, in which so many of the tables were."""
    told = f"read {tables} of {tables} tables, 1,204,331 rows, 2,100.0 MB; compared {equal} of {tables}"
    findings = tuple(
        one.model_copy(update={"coverage": told}) if one.check == "rows" else one for one in FINDINGS
    )
    return drilled(
        number, **({"isolation": KEPT_APART, "reference": "another restore", "findings": findings} | changes)
    )


def found(check: str, verdict: Verdict, reason: str, *, number: int = 7, **changes: object) -> Evidence:
    """Return a drill of which one check found something else than it should."""
    finding = Finding(check=check, verdict=verdict, reason=reason)
    findings = tuple(finding if one.check == check else one for one in FINDINGS)
    judged = verdict if verdict in {Verdict.FAILED, Verdict.INCONCLUSIVE} else Verdict.PASSED
    told = {"findings": findings, "verdict": judged, "verdict_reason": f"{check}: {reason}"}
    return drilled(number, **({"isolation": KEPT_APART} | told | changes))


def all_damaged() -> list[Evidence]:
    return [
        *(damaged(drill=one.drill, started_at=one.started_at) for one in weekly()),
        damaged(drill="20261120t000000z-shop", point=copied().point),
    ]


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


def test_a_gap_before_the_first_drill_does_not_read_as_if_there_were_none() -> None:
    answer = demands.tested(period(drilled(7), until=START + timedelta(days=5)))
    first = "until the first, on 2026-11-22 at 06:05 UTC, 21 d 06 h"
    assert answer.says == (
        f"shop: no concluded drill of it from 2026-11-01 {first}, where one is due every 7 d",
    )


def test_a_drill_without_a_conclusion_tests_nothing() -> None:
    answer = demands.tested(period(drilled(4), inconclusive(5), inconclusive(6), drilled(7)))
    assert answer.verdict is Verdict.INCONCLUSIVE


def test_the_year_is_shown_by_one_drill_and_a_gap_without_any() -> None:
    year = period(drilled(), since=START - timedelta(days=300), until=START + timedelta(days=60))
    assert demands.tested_yearly(year).verdict is Verdict.PASSED
    long = period(since=START - timedelta(days=400), until=START - timedelta(days=1))
    assert demands.tested_yearly(long).says == (
        "shop: no successful drill of it from 2025-10-18 to 2026-11-21, 399 d, where one is due every 365 d",
    )


def test_a_drill_of_a_copy_shows_the_other_region_and_one_of_a_snapshot_does_not() -> None:
    assert demands.elsewhere(period(*weekly(), copied())).verdict is Verdict.PASSED
    answer = demands.elsewhere(period(*weekly(), until=START + timedelta(days=60)))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says[0].startswith(
        "shop: no successful drill of a copy of it from 2026-11-01 to 2027-01-21"
    )


@pytest.mark.parametrize(
    "demand",
    [demands.tested_yearly, demands.elsewhere, demands.in_time, demands.in_four_hours, demands.within_loss],
)
def test_drills_that_all_failed_show_no_recovery(demand: Demand) -> None:
    assert demand(period(*weekly(), copied())).verdict is Verdict.PASSED
    assert demand(period(*all_damaged())).verdict is Verdict.INCONCLUSIVE


def test_a_year_of_drills_that_all_failed_says_that_none_succeeded() -> None:
    year = period(*all_damaged(), since=START - timedelta(days=300), until=START + timedelta(days=66))
    assert demands.tested_yearly(year).says == (
        "shop: no successful drill of it from 2026-01-26 to 2027-01-27, 366 d, where one is due every 365 d",
    )
    assert demands.in_time(period(damaged())).says == (
        "shop: 20261122t060500z-shop did not pass, so it shows no recovery",
    )


@pytest.mark.parametrize("check", ["rto", "rpo"])
def test_a_drill_that_failed_by_its_objectives_alone_restored_what_it_should(check: str) -> None:
    late = found(check, Verdict.FAILED, "too much", number=6)
    for demand in (demands.tested_yearly, demands.whole):
        assert demand(period(late)).verdict is Verdict.PASSED, demand
    away = late.model_copy(update={"point": copied().point})
    assert demands.elsewhere(period(away)).verdict is Verdict.PASSED
    failed = Finding(check=check, verdict=Verdict.FAILED, reason="too much")
    for other in ("rows", "catalog"):
        unsure = found(other, Verdict.INCONCLUSIVE, "nobody knows").findings
        both = late.model_copy(update={"findings": (*unsure, failed)})
        for demand in (demands.tested_yearly, demands.whole):
            assert demand(period(both)).verdict is Verdict.INCONCLUSIVE, (demand, other)
    worse = late.model_copy(update={"findings": (*damaged().findings, failed)})
    assert demands.whole(period(worse)).verdict is Verdict.FAILED


def test_a_drill_whose_loss_nobody_could_tell_is_no_successful_one() -> None:
    unsure = found("rpo", Verdict.INCONCLUSIVE, "no ledger was read in the copy")
    assert demands.tested_yearly(period(unsure)).verdict is Verdict.INCONCLUSIVE


def test_a_drill_that_came_to_no_conclusion_shows_nothing_and_contradicts_nothing() -> None:
    one = inconclusive(7)
    for demand in (demands.apart, demands.within_loss, demands.in_time, demands.whole):
        answer = demand(period(drilled(6), one))
        assert answer.verdict is Verdict.INCONCLUSIVE, demand
        assert answer.says == (f"shop: {one.drill} came to no conclusion",)


# Points ---------------------------------------------------------------------------------------------------


def test_a_point_for_every_slot_shows_how_often_points_are_taken() -> None:
    answer = demands.frequent(period())
    assert answer.verdict is Verdict.PASSED
    assert answer.says == ("shop: 112 points, each sealed",)


def test_a_slot_without_a_point_is_a_gap_with_its_dates() -> None:
    answer = demands.frequent(period(points={"shop": every_slot(left_out=1)}))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says == (
        "shop: no sealed point of it from 2026-11-01 to 2026-11-01, 12 h, where one is due every 6 h",
    )


def test_no_point_at_all_is_a_gap_however_short_the_period() -> None:
    short = period(since=START, until=START + timedelta(hours=2), points={})
    assert demands.frequent(short).says == (
        "shop: no sealed point, and the period is too short for one to be missed",
    )


# What came back -------------------------------------------------------------------------------------------


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
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says == (f"shop: {unread.drill} did not read every table whole",)


def test_no_drill_at_all_is_a_gap_for_every_demand() -> None:
    empty = period()
    for demand in (demands.whole, demands.reconciled, demands.in_time, demands.within_loss, demands.apart):
        assert demand(empty).verdict is Verdict.INCONCLUSIVE, demand
    assert demands.unaltered(empty).says == ("shop: no drill",)


def test_content_is_reconciled_where_every_table_was_compared() -> None:
    answer = demands.reconciled(period(drilled(6), compared()))
    assert answer.verdict is Verdict.PASSED
    assert answer.says == ("shop: content compared with another restore in 1 drill",)
    assert answer.drills == (compared().drill,)


@pytest.mark.parametrize(("equal", "tables"), [(0, 34), (33, 34), (0, 0)])
def test_a_reference_that_was_not_compared_with_every_table_reconciles_nothing(
    equal: int, tables: int
) -> None:
    answer = demands.reconciled(period(compared(equal=equal, tables=tables)))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says == ("shop: no drill compared every table with another restore",)


def test_a_drill_that_compared_and_failed_reconciles_nothing() -> None:
    failed = Finding(check="heap", verdict=Verdict.FAILED, reason="a page contradicts itself")
    bad = compared(findings=(*compared().findings, failed), verdict=Verdict.FAILED)
    assert demands.reconciled(period(bad)).verdict is Verdict.INCONCLUSIVE


def test_what_the_check_says_of_its_comparison_is_understood() -> None:
    fact = test_rows.fact(orders=test_rows.table(), lines=test_rows.table())
    for case, verdict in (
        (test_rows.beside(fact), Verdict.PASSED),
        (test_rows.CASE, Verdict.INCONCLUSIVE),
    ):
        finding = Finding(check="rows", **rows.judge(fact, case).model_dump())
        others = (one for one in FINDINGS if one.check != "rows")
        assert demands.reconciled(period(drilled(findings=(*others, finding)))).verdict is verdict


# Times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usable", "objective", "within_plan", "within_four_hours"),
    [
        (15.3, 14400, Verdict.PASSED, Verdict.PASSED),
        (7200, 3600, Verdict.FAILED, Verdict.PASSED),
        (20000, 28800, Verdict.PASSED, Verdict.FAILED),
        (None, 14400, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    ],
)
def test_the_time_to_recover_is_held_against_the_plan_and_against_four_hours(
    usable: float | None, objective: float, within_plan: Verdict, within_four_hours: Verdict
) -> None:
    one = period(drilled(rto=Rto(usable=usable, verified=None, objective=objective)))
    assert demands.in_time(one).verdict is within_plan
    assert demands.in_four_hours(one).verdict is within_four_hours


def test_a_failed_drill_that_never_answered_contradicts() -> None:
    silent = Rto(usable=None, verified=None, objective=14400)
    answer = demands.in_time(period(found("reachable", Verdict.FAILED, "nobody answers", rto=silent)))
    assert answer.verdict is Verdict.FAILED
    assert answer.says == ("shop: 20261122t060500z-shop never answered a query",)


def test_the_slowest_drill_is_named_with_its_time() -> None:
    assert demands.in_four_hours(period(*weekly())).says[-1] == "the slowest took 15.3 s"


def test_a_loss_over_the_objective_contradicts() -> None:
    rpo = Rpo(lag_of_point=0, exposure_at_start=0, worst_case=90000, basis="the ledger")
    answer = demands.within_loss(period(drilled(rpo=rpo)))
    assert answer.verdict is Verdict.FAILED
    assert answer.says == (f"shop: {drilled().drill} could lose 1 d 01 h, objective 6 h 15 min",)
    assert demands.within_loss(period(*weekly())).verdict is Verdict.PASSED


def exposed(seconds: float) -> Rpo:
    return Rpo(lag_of_point=0, exposure_at_start=seconds, worst_case=22500, basis="the ledger")


def test_what_a_drill_found_lost_contradicts_whatever_the_worst_case_of_the_plan() -> None:
    said = "5 d would have been lost at the drill's start, objective 6 h 15 min"
    answer = demands.within_loss(period(found("rpo", Verdict.FAILED, said, rpo=exposed(5 * 86400))))
    assert answer.verdict is Verdict.FAILED
    assert answer.says[0] == f"shop: 20261122t060500z-shop is over its objective: {said}"


def test_drills_of_older_points_alone_do_not_show_what_could_be_lost() -> None:
    old = drilled(6, rpo=exposed(5 * 86400))
    answer = demands.within_loss(period(old))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "shop: no drill restored data younger than the RPO objective" in answer.says
    assert demands.within_loss(period(old, drilled(7))).verdict is Verdict.PASSED
    answer = demands.within_loss(period(old, damaged()))
    assert answer.says == (
        f"shop: {damaged().drill} did not pass, so it shows no recovery",
        "shop: no drill restored data younger than the RPO objective",
    )


def test_a_loss_that_nobody_measured_is_a_gap() -> None:
    off = found("rpo", Verdict.NOT_ASKED, "the ledger is off in the plan, so the age is unknown")
    answer = demands.within_loss(period(off))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says == (
        f"shop: {off.drill} measured no loss: the ledger is off in the plan, so the age is unknown",
    )
    unknown = Rpo(lag_of_point=None, exposure_at_start=None, worst_case=None, basis="nothing")
    assert demands.within_loss(period(drilled(rpo=unknown))).verdict is Verdict.INCONCLUSIVE


# Apart, and encrypted -------------------------------------------------------------------------------------


def test_an_instance_that_was_kept_apart_and_is_gone_was_apart() -> None:
    answer = demands.apart(period(*weekly()))
    assert answer.verdict is Verdict.PASSED
    assert answer.says == ("shop: 4 drills, each restored apart from production and removed",)


@pytest.mark.parametrize(
    ("teardown", "verdict", "said"),
    [
        (None, Verdict.INCONCLUSIVE, "has no record that its instance is gone"),
        ({"gone_at": None}, Verdict.FAILED, "left its instance"),
        (
            {"retained_backups": ("arn:aws:rds:ap-southeast-1:000000000000:auto-backup:ab-1",)},
            Verdict.FAILED,
            "left 1 automated backup of its instance",
        ),
        (
            {"retained_backups": None},
            Verdict.INCONCLUSIVE,
            "has no record of whether backups of its instance are left",
        ),
    ],
)
def test_what_is_left_contradicts_and_what_nobody_wrote_down_is_a_gap(
    teardown: dict[str, object] | None, verdict: Verdict, said: str
) -> None:
    one = drilled()
    answer = demands.apart(closed(one, None if teardown is None else torn_down(one, **teardown)))
    assert answer.verdict is verdict
    assert answer.says == (f"shop: {one.drill} {said}",)


def test_an_instance_that_was_open_contradicts_even_where_the_drill_came_to_no_conclusion() -> None:
    public = Isolation(property="publicly accessible", expected="no", observed="yes", ok=False)
    for leaky in (damaged(isolation=(public,)), inconclusive(7).model_copy(update={"isolation": (public,)})):
        answer = demands.apart(period(leaky))
        assert answer.verdict is Verdict.FAILED
        assert answer.says == (f"shop: {leaky.drill} was not isolated: publicly accessible",)


def test_an_instance_that_nobody_looked_at_is_a_gap_unless_it_is_still_there() -> None:
    one = drilled(isolation=())
    assert demands.apart(period(one)).verdict is Verdict.INCONCLUSIVE
    assert demands.apart(period(one)).says == (
        f"shop: {one.drill} has no record of how its instance was isolated",
    )
    assert demands.apart(closed(one, torn_down(one, gone_at=None))).verdict is Verdict.FAILED


def test_points_that_are_encrypted_and_were_restored_under_their_key_show_it() -> None:
    assert demands.encrypted(period(*weekly())).says == ("shop: 4 drills, each encrypted",)


def test_a_point_in_the_clear_or_under_another_key_contradicts_encryption() -> None:
    point = drilled().point
    bare = drilled(point=point.model_copy(update={"encrypted": False, "kms_key": None}))
    assert demands.encrypted(period(bare)).verdict is Verdict.FAILED
    assert demands.encrypted(period(bare)).says == (
        f"shop: {bare.drill} restored {point.id}, which is not encrypted",
    )
    other = UNDER_ITS_KEY.model_copy(update={"observed": "another", "ok": False})
    under = damaged(isolation=(other,))
    assert demands.encrypted(period(under)).verdict is Verdict.FAILED
    assert demands.encrypted(period(under)).says == (
        f"shop: {under.drill} was restored under another key than that of {point.id}",
    )


def test_a_key_that_no_record_compares_shows_no_encryption() -> None:
    answer = demands.encrypted(period(drilled()))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.says == (
        f"shop: {drilled().drill} has no record of the key that {drilled().point.id} was restored under",
    )


# The records themselves -----------------------------------------------------------------------------------


def test_a_broken_chain_contradicts_what_rests_on_it() -> None:
    found = Break(drill=drilled(5).drill, kind=Kind.ALTERED, what="its digest is another")
    answer = demands.unaltered(period(*weekly(), broken={"shop": (found,)}))
    assert answer.verdict is Verdict.FAILED
    assert answer.says == (f"shop: altered at {found.drill}: its digest is another",)
    assert demands.unaltered(period(*weekly())).says == (
        "shop: 4 drills, chained; each signature that is due holds",
    )
    assert demands.unaltered(period(*weekly(), signed=False)).says == (
        "shop: 4 drills, chained; no signature was checked: no key is known",
    )


@pytest.mark.parametrize("demand", sorted({one for clause in CLAUSES for one in clause.demands}, key=repr))
def test_a_database_whose_evidence_is_not_whole_shows_nothing(demand: Demand) -> None:
    drills = [*weekly(), copied(), compared()]
    bad = Break(drill="20261115t060500z-shop", kind=Kind.UNREADABLE, what="is not evidence")
    assert demand(period(*drills)).verdict is Verdict.PASSED
    answer = demand(period(*drills, broken={"shop": (bad, bad)}))
    if demand is demands.unaltered:
        assert answer.verdict is Verdict.FAILED
    else:
        assert answer.verdict is Verdict.INCONCLUSIVE
        assert answer.says[-1] == (
            "shop: its evidence is not whole: unreadable at 20261115t060500z-shop (and 1 more)"
        )


def test_a_database_of_the_plan_that_was_never_drilled_is_a_gap_beside_one_that_was() -> None:
    answer = demands.whole(period(*weekly(), databases=("shop", "bank")))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "bank: no drill" in answer.says


def test_a_recovery_is_no_drill() -> None:
    assert demands.whole(period(drilled(purpose="recovery"))).says == ("shop: no drill",)
