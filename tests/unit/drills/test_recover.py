"""When a recovered instance is handed over, and what is said where it is not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgdrill.cell import Cell
from pgdrill.drills import recover
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import NotHandedOver, PlanError
from pgdrill.evidence.record import Purpose, Trigger
from pgdrill.model import Finding, Recovered, Verdict
from pgdrill.plan import Plan
from tests.unit.evidence.drills import drilled
from tests.unit.plans import SMALL, plan

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
INSTANCE = "pgdrill-lab-recovered-shop-20261122060000"
MISSED = Finding(check="rpo", verdict=Verdict.FAILED, reason="9 h would have been lost, objective 7 h")
DAMAGED = Finding(check="heap", verdict=Verdict.FAILED, reason="1 page contradicts itself")
UNREAD = Finding(check="rows", verdict=Verdict.INCONCLUSIVE, reason="1 table was not read")


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Cell.open(plan())


def recovery(verdict: Verdict | None, *, examined: bool = True, accepted: bool = False) -> Drill:
    return Drill(
        id="d1",
        database="shop",
        source="shop-production",
        wanted="latest",
        purpose=Purpose.RECOVERY,
        examined=examined,
        accepted=accepted,
        trigger=Trigger.COMMAND,
        nonce="n",
        plan_sha256="0" * 64,
        started_at=NOW,
        next=Step.HAND_OVER,
        held=Recovered(instance=INSTANCE, drill="d1", database="shop"),
        verdict=verdict,
        reason="heap: 1 page contradicts itself",
    )


def test_data_that_is_whole_is_sound_although_an_objective_was_missed() -> None:
    passed = drilled()
    assert recover.sound(passed) == (Verdict.PASSED, passed.verdict_reason)
    late = drilled(findings=(*passed.findings, MISSED), verdict=Verdict.FAILED)
    assert recover.sound(late)[0] is Verdict.PASSED


@pytest.mark.parametrize("finding", [DAMAGED, UNREAD], ids=["damaged", "unread"])
def test_data_that_is_not_whole_or_not_read_is_not_sound(finding: Finding) -> None:
    findings = (*drilled().findings, MISSED, finding)
    evidence = drilled(findings=findings, verdict=Verdict.FAILED)
    assert recover.sound(evidence) == (finding.verdict, f"{finding.check}: {finding.reason}")


@pytest.mark.parametrize(("verdict", "status"), [(Verdict.FAILED, 1), (Verdict.INCONCLUSIVE, 3), (None, 3)])
def test_what_did_not_pass_is_not_handed_over(cell: Cell, verdict: Verdict | None, status: int) -> None:
    with pytest.raises(NotHandedOver) as refused:
        recover.ready(recovery(verdict), cell)
    assert refused.value.exit_status == status
    assert refused.value.message == (
        f"recovered instance '{INSTANCE}' is not handed over: {verdict}: heap: 1 page contradicts itself"
    )
    assert refused.value.hint == (
        "it stays as it is; recover another point, or hand this one over with:"
        " pgdrill recover --database shop --resume d1 --accept"
    )


def test_the_command_that_goes_on_names_the_dr_region_where_that_is(cell: Cell) -> None:
    dr = replace(cell, place=cell.plan.dr)
    assert recover.again(recovery(None), dr) == "pgdrill recover --cell dr --database shop --resume d1"


def test_what_passed_was_not_asked_for_or_was_accepted_is_handed_over(cell: Cell) -> None:
    recover.ready(recovery(Verdict.PASSED), cell)
    recover.ready(recovery(Verdict.INCONCLUSIVE, examined=False), cell)
    recover.ready(recovery(Verdict.FAILED, accepted=True), cell)


def test_a_plan_without_a_secret_for_the_master_user_is_refused(cell: Cell) -> None:
    with pytest.raises(PlanError) as refused:
        recover.credentials(cell, "shop")
    assert refused.value.message == (
        "the plan does not say which secret the master user of 'shop' logs in with"
    )
    assert refused.value.hint == "set master_secret of the database to an existing Secrets Manager entry"


@pytest.mark.parametrize(
    ("suffix", "name", "identifier"),
    [
        ("lab", "shop", "pgdrill-lab-recovered-shop-20261122060000"),
        ("a" * 15, "b" * 25, f"pgdrill-{'a' * 15}-recovered-{'b' * 14}-20261122060000"),
        ("a" * 15, "b" * 13 + "-cd", f"pgdrill-{'a' * 15}-recovered-{'b' * 13}-20261122060000"),
    ],
)
def test_the_name_of_a_recovered_instance_keeps_to_what_rds_takes(
    suffix: str, name: str, identifier: str
) -> None:
    database = SMALL["database"][0] | {"name": name}
    made: Plan = plan(stack={"suffix": suffix}, database=[database])
    assert made.recovered(made.database(None), NOW) == identifier
    assert len(identifier) <= 63
