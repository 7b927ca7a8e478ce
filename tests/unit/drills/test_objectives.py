from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.drills.objectives import judge_rpo, judge_rto, rto
from pgdrill.model import Rpo, Stage, Verdict
from tests.unit.plans import SMALL, plan

START = datetime(2026, 11, 22, 6, tzinfo=UTC)
FOUR_HOURS = timedelta(hours=4)


def stages(**after: float) -> dict[Stage, datetime]:
    return {Stage(name): START + timedelta(seconds=seconds) for name, seconds in after.items()}


def test_recovery_time_runs_from_the_request_to_the_first_query() -> None:
    measured = rto(stages(requested=0, available=100, first_query=130, examined=500), FOUR_HOURS)
    assert (measured.usable, measured.verified, measured.objective) == (130.0, 500.0, 14400.0)
    assert judge_rto(measured).verdict is Verdict.PASSED


def test_a_recovery_slower_than_the_objective_fails() -> None:
    finding = judge_rto(rto(stages(requested=0, first_query=18000), FOUR_HOURS))
    assert finding.verdict is Verdict.FAILED
    assert finding.reason == "usable 5 h after the request, objective 4 h"


def test_a_copy_that_never_answered_has_no_recovery_time() -> None:
    finding = judge_rto(rto(stages(requested=0, available=100), FOUR_HOURS))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason == "the copy never answered a query, so there is no recovery time"


@pytest.mark.parametrize(
    ("wanted", "exposure", "lag", "verdict"),
    [
        ("latest", 7 * 3600, 0, Verdict.PASSED),
        ("latest", 7 * 3600 + 1, 0, Verdict.FAILED),
        ("oldest", 30 * 86400, 60, Verdict.PASSED),
        ("oldest", 30 * 86400, 8 * 3600, Verdict.FAILED),
        ("oldest", 30 * 86400, None, Verdict.INCONCLUSIVE),
    ],
)
def test_the_newest_point_answers_for_exposure_and_any_other_for_its_own_lag(
    wanted: str, exposure: float, lag: float | None, verdict: Verdict
) -> None:
    the_plan = plan()
    measured = Rpo(lag_of_point=lag, exposure_at_start=exposure, worst_case=None, basis="")
    assert judge_rpo(measured, wanted, the_plan, the_plan.database(None)).verdict is verdict


def test_what_would_have_been_lost_is_said_in_words() -> None:
    the_plan = plan()
    measured = Rpo(lag_of_point=30, exposure_at_start=3600, worst_case=None, basis="")
    said = [
        judge_rpo(measured, wanted, the_plan, the_plan.database(None)).reason for wanted in ("latest", "p1")
    ]
    assert said == [
        "1 h would have been lost at the drill's start, objective 7 h",
        "the point lags 30 s behind its own time, objective 7 h",
    ]


def test_without_a_ledger_in_the_copy_the_finding_of_ledger_says_why() -> None:
    the_plan = plan()
    measured = Rpo(lag_of_point=None, exposure_at_start=5, worst_case=None, basis="")
    found = judge_rpo(measured, "oldest", the_plan, the_plan.database(None))
    assert found.reason == "no ledger was read in the copy, so the age of its data is unknown"
    assert found.hint == "see the finding of ledger"


def test_without_a_ledger_by_plan_the_lag_is_not_asked() -> None:
    the_plan = plan(database=[SMALL["database"][0] | {"ledger": "off"}])
    measured = Rpo(lag_of_point=None, exposure_at_start=5, worst_case=None, basis="")
    assert judge_rpo(measured, "oldest", the_plan, the_plan.database(None)).verdict is Verdict.NOT_ASKED
