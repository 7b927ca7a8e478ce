from typing import Any

import pytest

from pgdrill.checks.assertions import CHECK, AssertionsFact, Result
from pgdrill.model import Judgement, Verdict
from pgdrill.plan import Assertion, Checks
from tests.unit.checks.cases import by_itself


def judged(result: Result | None, **asked: Any) -> Judgement:
    assertion = Assertion(name="orders", database="shop", sql="SELECT 1", **asked)
    fact = AssertionsFact(results={"orders": result} if result else {})
    return CHECK.judge(fact, by_itself("assertions", Checks(assertions=(assertion,))))


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (5, {"expect": 5}),
        (True, {"expect": True}),
        (False, {"expect": False}),
        (5, {"at_least": 5}),
        (5, {"at_most": 5}),
        (5, {"at_least": 1, "at_most": 9}),
        (0, {"expect": 0}),
    ],
)
def test_an_assertion_that_holds_passes(value: bool | int, asked: dict[str, Any]) -> None:
    assert judged(Result(value=value), **asked).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("value", "asked", "expected"),
    [
        (4, {"expect": 5}, "4, expected 5"),
        (True, {"expect": 1}, "True, expected 1"),
        (1, {"expect": True}, "1, expected True"),
        (4, {"at_least": 5}, "4, expected at least 5"),
        (6, {"at_least": 1, "at_most": 5}, "6, expected at least 1 and at most 5"),
        (True, {"at_least": 1}, "True, expected at least 1"),
    ],
)
def test_an_assertion_that_does_not_hold_fails_with_both_values(
    value: bool | int, asked: dict[str, Any], expected: str
) -> None:
    judgement = judged(Result(value=value), **asked)
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason == f"assertion 'orders' does not hold: {expected}"


@pytest.mark.parametrize("result", [Result(error="UndefinedTable (42P01)"), None])
def test_an_assertion_without_an_answer_is_inconclusive(result: Result | None) -> None:
    judgement = judged(result, expect=1)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    why = result.error if result else "was not asked"
    assert judgement.reason == f"assertion 'orders' has no answer: {why}"
    assert judgement.coverage == "0 of 1 assertions answered"


def test_a_plan_without_assertions_did_not_ask() -> None:
    judgement = CHECK.judge(AssertionsFact(results={}), by_itself("assertions"))
    assert judgement.verdict is Verdict.NOT_ASKED
