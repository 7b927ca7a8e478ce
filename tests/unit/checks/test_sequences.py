import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.checks.sequences import CHECK, LOGGED_AHEAD, Position, SequencesFact
from pgdrill.model import Judgement, Verdict
from tests.unit.checks.cases import by_itself, case


def at(last: int | None, increment: int = 1, **others: bool | None) -> Position:
    position = Position(increment=increment, cache=1, cycles=False, readable=True, last=last)
    return position.model_copy(update=others)


def fact(position: Position | None) -> SequencesFact:
    return SequencesFact(databases={"shop": {"shop.orders_id_seq": position} if position else {}})


def judged(here: Position, before: Position | None, after: Position | None) -> Judgement:
    return CHECK.judge(
        fact(here), case("sequences", fact(before) if before else None, fact(after) if after else None)
    )


@given(st.integers(1, 10**12), st.integers(0, 10**6), st.integers(0, LOGGED_AHEAD), st.data())
def test_a_sequence_within_its_bracket_or_what_wal_runs_ahead_passes(
    before: int, grown: int, ahead: int, data: st.DataObject
) -> None:
    after = before + grown
    here = data.draw(st.integers(before, after + ahead))
    assert judged(at(here), at(before), at(after)).verdict is Verdict.PASSED
    assert judged(at(-here, -1), at(-before, -1), at(-after, -1)).verdict is Verdict.PASSED


@given(st.integers(1, 10**12), st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_sequence_set_back_fails_with_one_seal_or_two(before: int, grown: int, back: int) -> None:
    for after in (at(before + grown), None):
        assert judged(at(before - back), at(before), after).verdict is Verdict.FAILED
    down = at(-before - grown, -1)
    assert judged(at(-before + back, -1), at(-before, -1), down).verdict is Verdict.FAILED


def test_a_sequence_set_back_says_where_it_stands_and_stood() -> None:
    judgement = judged(at(5), at(100), at(120))
    assert judgement.reason == (
        "not where production's stood: shop.orders_id_seq stands at 5, was at 100 before the point"
    )
    assert "was at 100 before" in judged(at(None), at(100), at(100)).damage[0].what


def test_a_sequence_ahead_of_what_wal_may_run_ahead_fails() -> None:
    assert judged(at(100 + LOGGED_AHEAD + 2), at(90), at(100)).verdict is Verdict.FAILED
    assert judged(at(1), at(None), at(None)).verdict is Verdict.FAILED
    assert judged(at(100 + 10 * (LOGGED_AHEAD + 1), 10), at(90, 10), at(100, 10)).verdict is Verdict.PASSED


def test_a_sequence_that_begins_or_is_reset_between_the_seals_passes() -> None:
    assert judged(at(7), at(None), at(9)).verdict is Verdict.PASSED
    assert judged(at(3), at(500), at(8)).verdict is Verdict.PASSED


def test_a_cycling_sequence_is_told_and_not_judged() -> None:
    judgement = judged(at(1, cycles=True), at(90, cycles=True), at(99, cycles=True))
    assert judgement.verdict is Verdict.PASSED
    assert judgement.coverage == (
        "1 sequence: compared with production 0, with their column 0, cycling and not judged 1"
    )


def test_a_sequence_behind_its_column_fails_where_no_seal_shows_that_production_had_it_so() -> None:
    behind = fact(at(5, behind=True))
    judgement = CHECK.judge(behind, by_itself("sequences"))
    assert (judgement.verdict, judgement.damage[0].what) == (
        Verdict.FAILED,
        "is behind the column that it feeds",
    )
    assert judged(at(5, behind=True), at(5, readable=False), at(5, readable=False)).verdict is Verdict.FAILED
    assert judged(at(5, behind=True), at(5), at(5)).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("here", "sealed"),
    [(at(5), at(None, readable=False)), (at(None, readable=False), at(5))],
)
def test_a_sequence_that_could_not_be_read_is_inconclusive(here: Position, sealed: Position) -> None:
    judgement = judged(here, sealed, sealed)
    assert (judgement.verdict, judgement.reason) == (
        Verdict.INCONCLUSIVE,
        "not compared: shop.orders_id_seq may not be read",
    )


def test_an_unread_position_is_made_up_for_by_the_column() -> None:
    unread = at(None, readable=False)
    assert judged(at(5, behind=False), unread, unread).verdict is Verdict.PASSED


def test_a_new_sequence_is_the_catalogs_matter() -> None:
    judgement = CHECK.judge(fact(at(5)), case("sequences", fact(None), fact(None)))
    assert judgement.verdict is Verdict.PASSED


def test_a_drill_without_a_seal_is_inconclusive() -> None:
    assert CHECK.judge(fact(at(5, behind=False)), case("sequences")).verdict is Verdict.INCONCLUSIVE
    assert CHECK.judge(fact(at(5, behind=True)), case("sequences")).verdict is Verdict.FAILED
    assert CHECK.judge(fact(at(5, behind=False)), by_itself("sequences")).verdict is Verdict.PASSED
