"""A violated constraint fails; one that could not be checked is inconclusive; NOT VALID promises nothing."""

import pytest

from pgdrill.checks.check import Case
from pgdrill.checks.constraints import ConstraintFact, Rule, Rules, judge
from pgdrill.content.unread import Unread
from pgdrill.model import Damage, Verdict
from pgdrill.plan import Checks

CASE = Case(Checks(), frozenset({"constraints"}))
HOLDS = Rule(kind="foreign key", violations=0)


def fact(
    rules: dict[str, Rule], *, complete: bool = True, promise_nothing: int = 0, exclusions: int = 0
) -> ConstraintFact:
    one = Rules(rules=rules, promise_nothing=promise_nothing, exclusions=exclusions)
    return ConstraintFact(complete=complete, databases={"shop": one})


def test_constraints_that_hold_pass() -> None:
    found = judge(fact({"a": HOLDS, "b": Rule(kind="check", violations=0)}), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.reason == "2 constraints checked against the data itself"
    assert found.coverage == "checked 2 of 2 (1 check, 1 foreign key)"


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("foreign key", "foreign key violated by 1,234 rows"),
        ("check", "check violated by 1,234 rows"),
        ("not null", "not null violated by 1,234 rows"),
        ("unique", "unique violated by 1,234 groups of equal keys"),
    ],
)
def test_a_violated_constraint_fails(kind: str, what: str) -> None:
    found = judge(fact({"a": HOLDS, "shop.orders: x": Rule(kind=kind, violations=1234)}), CASE)
    assert found.verdict is Verdict.FAILED
    assert found.damage == (Damage(database="shop", object="shop.orders: x", what=what),)


@pytest.mark.parametrize(
    ("sqlstate", "hint"),
    [
        ("42501", "see that the master user may read the tables, and give the examination more time"),
        ("57014", "see that the master user may read the tables, and give the examination more time"),
        ("XX001", "see what `heap` and `rows` say of the tables: what cannot be read cannot be checked"),
    ],
)
def test_a_constraint_that_could_not_be_checked_is_inconclusive(sqlstate: str, hint: str) -> None:
    rule = Rule(kind="check", problem=Unread(error="E", sqlstate=sqlstate))
    found = judge(fact({"a": HOLDS, "b": rule}), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.hint == hint
    assert found.coverage == "checked 1 of 2 (1 foreign key)"


def test_what_the_time_cut_off_is_inconclusive() -> None:
    found = judge(fact({"a": HOLDS, "b": Rule(kind="check")}, complete=False), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "the time ended before every constraint was checked"


def test_constraints_that_promise_nothing_are_told() -> None:
    found = judge(fact({"a": HOLDS}, promise_nothing=2, exclusions=1), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.coverage == (
        "checked 1 of 1 (1 foreign key); 2 constraints NOT VALID, which promises nothing;"
        " 1 exclusion constraint, resting on the index alone"
    )


def test_a_database_without_constraints_passes() -> None:
    found = judge(fact({}), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.coverage == "checked 0 of 0"


@pytest.mark.parametrize(
    ("sqlstate", "verdict"), [("XX001", Verdict.FAILED), ("42501", Verdict.INCONCLUSIVE)]
)
def test_a_catalog_that_cannot_be_read_does_not_pass(sqlstate: str, verdict: Verdict) -> None:
    given = ConstraintFact(databases={"shop": Rules(unread=Unread(error="E", sqlstate=sqlstate))})
    assert judge(given, CASE).verdict is verdict
