from collections.abc import Mapping

import pytest

from pgdrill.checks import bracket
from pgdrill.model import PointKind, Verdict
from tests.unit.checks.cases import case, point

Seal = Mapping[str, str] | None
SNAPSHOT = case("catalog")
PITR = case("catalog", at=point(PointKind.PITR))


def told(restored: Mapping[str, str], before: Seal, after: Seal) -> list[tuple[str, str, bool]]:
    found = bracket.differences("shop", restored, before, after, SNAPSHOT)
    return [(one.name, one.what, one.open) for one in found]


@pytest.mark.parametrize(
    ("restored", "before", "after"),
    [
        ({"a": "1"}, {"a": "1"}, {"a": "1"}),
        ({"a": "1"}, {"a": "1"}, {"a": "2"}),
        ({"a": "2"}, {"a": "1"}, {"a": "2"}),
        ({"a": "1"}, {}, {"a": "1"}),
        ({}, {}, {"a": "1"}),
        ({}, {"a": "1"}, {}),
        ({"a": "1"}, {"a": "1"}, None),
        ({"a": "1"}, None, {"a": "1"}),
        ({"a": "1"}, None, None),
    ],
)
def test_what_is_as_before_or_as_after_does_not_differ(
    restored: Mapping[str, str], before: Seal, after: Seal
) -> None:
    assert told(restored, before, after) == []


def test_what_production_did_not_change_must_be_as_it_was() -> None:
    same = {"a": "1", "b": "1"}
    assert told({"a": "1", "b": "2"}, same, same) == [("b", "differs", False)]
    assert told({"a": "1"}, same, same) == [("b", "missing", False)]
    assert told({**same, "c": "1"}, same, same) == [("c", "not there in production", False)]


def test_what_production_was_changing_may_have_been_otherwise_in_between() -> None:
    assert told({"a": "3"}, {"a": "1"}, {"a": "2"}) == [("a", "differs", True)]
    assert told({}, {"a": "1"}, {"a": "2"}) == [("a", "missing", True)]
    assert told({"a": "1", "new": "1"}, {"a": "1"}, {"a": "1", "b": "1"}) == [
        ("new", "not there in production", True)
    ]


def test_what_did_not_change_is_certain_although_something_else_did() -> None:
    assert told({"b": "1"}, {"a": "1"}, {"a": "1", "b": "1"}) == [("a", "missing", False)]


def test_one_seal_alone_decides_nothing_that_differs() -> None:
    for before, after in (({"a": "1"}, None), (None, {"a": "1"})):
        assert told({}, before, after) == [("a", "missing", True)]
        assert told({"a": "2"}, before, after) == [("a", "differs", True)]


def test_something_made_and_dropped_between_the_seals_of_a_moment_is_open() -> None:
    same = {"a": "1"}
    (found,) = bracket.differences("shop", {**same, "staging": "1"}, same, same, PITR)
    assert found.open
    (found,) = bracket.differences("shop", {}, same, same, PITR)
    assert not found.open


def test_a_judgement_counts_all_and_shows_what_a_person_reads() -> None:
    found = [bracket.Difference("shop", f"table t{n}", "missing", open=False) for n in range(30)]
    judgement = bracket.judged(found, "object", hint="look", coverage="all")
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason == "not as in production: object table t0 missing and 29 more"
    assert (len(judgement.damage), judgement.damaged) == (bracket.SHOWN, 30)


def test_what_is_open_alone_is_inconclusive_and_nothing_at_all_passes() -> None:
    found = [bracket.Difference("shop", "table t", "differs", open=True)]
    assert bracket.judged(found, "object", hint="look", coverage="all").verdict is Verdict.INCONCLUSIVE
    assert bracket.judged([], "object", hint="look", coverage="all").verdict is Verdict.PASSED
