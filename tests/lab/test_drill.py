"""A drill of the shop, with one of every kind of object, from its first step to its last: it passes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.drills import conduct
from pgdrill.drills.state import Drill, Step
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence
from pgdrill.lab.lab import Lab
from pgdrill.model import Clock, Stage, Verdict
from pgdrill.plan import Assertion, Checks
from tests.lab.production import ROWS, Production, environment, looks, tick

TEMPORARY = "pgdrill-lab-drill-shop"
ASSERTION = Assertion(
    name="every-order-has-a-line",
    database="shop",
    sql="""SELECT count(*) FROM shop.orders o
        WHERE NOT EXISTS (SELECT FROM shop."Order Lines" l WHERE l."order" = o.id)""",
    expect=0,
)


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab, rows=ROWS, checks=Checks(assertions=(ASSERTION,)))


def not_passed(evidence: Evidence) -> dict[str, tuple[Verdict, str]]:
    return {f.check: (f.verdict, f.reason) for f in evidence.findings if f.verdict is not Verdict.PASSED}


def test_a_healthy_snapshot_passes_every_check(production: Production) -> None:
    evidence = production.drill()
    assert not_passed(evidence) == {}
    assert evidence.verdict is Verdict.PASSED
    stages = [stage for stage in Stage if stage not in {Stage.HANDED_OVER, Stage.GONE}]
    assert sorted(evidence.stages, key=list(Stage).index) == stages
    assert all(held.ok for held in evidence.isolation)
    assert evidence.rto.usable is not None
    assert 0 < evidence.rto.usable < (evidence.rto.verified or 0)
    teardown = archive.load_teardown(production.cell.store, evidence)
    assert teardown is not None
    assert teardown.gone_at is not None
    assert teardown.proof == f"DescribeDBInstances answered DBInstanceNotFound for {TEMPORARY}"


def test_the_second_restore_of_a_point_is_compared_with_the_first(production: Production) -> None:
    production.drill()
    evidence = production.drill()
    assert evidence.verdict is Verdict.PASSED
    assert evidence.reference is not None
    rows = next(f for f in evidence.findings if f.check == "rows")
    assert "compared 0 of" not in rows.coverage


def test_the_last_restorable_moment_passes(production: Production) -> None:
    production.beat()
    evidence = production.drill("restorable")
    assert not_passed(evidence) == {}


def test_an_examination_is_cut_into_steps_that_each_keep_to_their_time(production: Production) -> None:
    examinations = 0

    def short(wait: float) -> Clock:
        tick(wait)
        return looks(60)

    def report(drill: Drill, text: str) -> None:
        nonlocal examinations
        examinations += drill.next is Step.EXAMINE and not text

    done = conduct.run(production.begin(), production.cell, short, report)
    assert done.verdict is Verdict.PASSED
    assert examinations > 1


def test_an_examination_that_never_ends_is_judged_by_what_it_has_and_does_not_pass(
    production: Production,
) -> None:
    def hopeless(wait: float) -> Clock:
        hours = timedelta(hours=next(ticks) / 4)
        return replace(tick(wait), now=datetime.now(UTC) + hours, remaining=lambda: 1.0)

    ticks = iter(range(10_000))
    done = conduct.run(production.begin(), production.cell, hopeless, lambda *_: None)
    assert done.verdict is Verdict.INCONCLUSIVE
    evidence = archive.load(production.cell.store, done.id, done.database)
    assert {f.verdict for f in evidence.findings if f.check not in {"rto", "rpo"}} == {Verdict.INCONCLUSIVE}
