from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.checks.ledger import CHECK
from pgdrill.ledger import LedgerFact, Row
from pgdrill.model import Beat, Judgement, PointKind, Verdict
from tests.unit.checks.cases import NOON, by_itself, case, point
from tests.unit.test_ledger import MINUTE, beat_of, chain

PITR = point(PointKind.PITR, NOON + 2.5 * MINUTE)


def fact(rows: list[Row]) -> LedgerFact:
    return LedgerFact(present=True, rows=tuple(rows))


def beats(rows: list[Row]) -> tuple[Beat, ...]:
    return tuple(beat_of(row) for row in rows)


def judged(rows: list[Row], known: list[Row] | None = None) -> Judgement:
    """Judge a copy recovered to half a minute after the third beat, of a production that beat six times."""
    return CHECK.judge(
        fact(rows), case("ledger", at=PITR, witness=beats(chain(6) if known is None else known))
    )


def test_a_copy_that_ends_at_its_target_passes_and_shows_both_sides() -> None:
    judgement = judged(chain(3))
    assert judgement.verdict is Verdict.PASSED
    assert judgement.reason == "an unbroken chain up to beat 3, 30.0 s before the point"
    assert judgement.coverage == (
        "3 rows, 3 of them witnessed; beat 3, 30.0 s before the point, is there, beat 4, 30.0 s after it, is not"
    )


def test_a_copy_that_stops_early_fails_and_names_what_is_missing() -> None:
    judgement = judged(chain(2))
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason == (
        "the copy ends with beat 2 of 2026-11-22 12:01:00 UTC; beat 3 was committed before the point"
    )
    assert judgement.damaged == 1
    assert judgement.damage[0].object == "row 3 of pgdrill.ledger"


def test_a_copy_that_goes_beyond_its_target_fails() -> None:
    judgement = judged(chain(4))
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason == "the copy goes beyond the point: beat 4 of 2026-11-22 12:03:00 UTC is there"


def test_a_beat_that_was_being_committed_at_the_target_may_be_there_or_not() -> None:
    slow = (*beats(chain(2)), beat_of(chain(3)[2], took=45))
    for rows in (chain(2), chain(3)):
        assert CHECK.judge(fact(rows), case("ledger", at=PITR, witness=slow)).verdict is Verdict.PASSED


def test_a_hole_in_the_chain_fails_although_the_ends_are_right() -> None:
    rows = chain(3)
    judgement = judged([rows[0], rows[2]])
    assert (judgement.verdict, judgement.reason) == (
        Verdict.FAILED,
        "row 3 of pgdrill.ledger has a hole before it",
    )


def test_another_databases_ledger_fails() -> None:
    judgement = judged(chain(3, seed="another"))
    assert (judgement.verdict, judgement.reason) == (
        Verdict.FAILED,
        "the ledger is another database's: no row is known",
    )


def test_a_copy_that_leaves_productions_history_fails_where_it_does() -> None:
    rows = chain(2)
    forked = Row(sequence=3, beat_at=NOON + 2.1 * MINUTE, previous=rows[-1].digest, digest="")
    judgement = judged([*rows, forked.model_copy(update={"digest": forked.expected()})])
    assert (judgement.verdict, judgement.reason) == (
        Verdict.FAILED,
        "row 3 of pgdrill.ledger is where the copy leaves what production wrote",
    )


def test_a_production_that_was_itself_recovered_has_two_beats_of_one_number_and_both_are_known() -> None:
    rows = chain(2)
    again = Row(sequence=3, beat_at=NOON + 2.2 * MINUTE, previous=rows[-1].digest, digest="")
    again = again.model_copy(update={"digest": again.expected()})
    known = [*chain(3), again]
    assert judged([*rows, again], known).verdict is Verdict.PASSED


def test_rows_that_never_reached_the_witness_do_not_matter_between_those_that_did() -> None:
    known = chain(6)
    judgement = judged(chain(3), [known[0], *known[2:]])
    assert judgement.verdict is Verdict.PASSED
    assert judgement.coverage.startswith("3 rows, 2 of them witnessed")


def test_no_witness_at_all_is_inconclusive() -> None:
    judgement = judged(chain(3), [])
    assert (judgement.verdict, judgement.reason) == (
        Verdict.INCONCLUSIVE,
        "an unbroken chain up to beat 3, and no witness of what it should be",
    )


def test_seals_around_the_point_stand_for_a_witness() -> None:
    rows = chain(6)
    before, after = fact(rows[1:2]), fact(rows[3:4])
    for length, verdict in ((1, Verdict.FAILED), (3, Verdict.PASSED), (5, Verdict.FAILED)):
        judgement = CHECK.judge(fact(rows[:length]), case("ledger", before, after, at=point()))
        assert judgement.verdict is verdict, judgement.reason


def test_a_stale_snapshot_passed_off_as_new_fails_by_the_witness_alone() -> None:
    known = beats(chain(60, start=NOON - 60 * MINUTE))
    stale = fact(chain(20, start=NOON - 60 * MINUTE))
    judgement = CHECK.judge(stale, case("ledger", witness=known))
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason.endswith("beat 58 was committed before the point")


def test_a_beat_that_was_down_at_the_point_is_inconclusive_and_down_earlier_is_told() -> None:
    silent = point(PointKind.PITR, NOON + 30 * MINUTE)
    judgement = CHECK.judge(fact(chain(3)), case("ledger", at=silent, witness=beats(chain(3))))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == (
        "nobody beat for 1680.0 s before the point, so nothing shows what was written then"
    )
    rows = chain(2, start=NOON - 60 * MINUTE)
    row = Row(sequence=3, beat_at=NOON + 2 * MINUTE, previous=rows[-1].digest, digest="")
    rows.append(row.model_copy(update={"digest": row.expected()}))
    judgement = judged(rows, rows)
    assert judgement.verdict is Verdict.PASSED
    assert "silences of the beat: 1" in judgement.coverage


@pytest.mark.parametrize("absent", [LedgerFact(present=False), LedgerFact(present=True)])
def test_a_ledger_that_production_had_before_the_point_must_be_there(absent: LedgerFact) -> None:
    for known in (
        case("ledger", at=PITR, witness=beats(chain(3))),
        case("ledger", fact(chain(1))),
    ):
        assert CHECK.judge(absent, known).verdict is Verdict.FAILED
    later = beats(chain(3, start=NOON + 60 * MINUTE))
    assert CHECK.judge(absent, case("ledger", at=PITR, witness=later)).verdict is Verdict.INCONCLUSIVE
    assert CHECK.judge(absent, by_itself("ledger")).verdict is Verdict.INCONCLUSIVE


def test_without_a_point_the_chain_is_judged_by_itself() -> None:
    assert CHECK.judge(fact(chain(3)), by_itself("ledger")).verdict is Verdict.PASSED
    assert CHECK.judge(fact(chain(3)[::2]), by_itself("ledger")).verdict is Verdict.FAILED


def test_a_clock_set_back_in_production_is_told() -> None:
    rows = chain(2, start=NOON + 2 * MINUTE)
    row = Row(sequence=3, beat_at=NOON + timedelta(seconds=140), previous=rows[-1].digest, digest="")
    rows.append(row.model_copy(update={"digest": row.expected()}))
    judgement = CHECK.judge(fact(rows), case("ledger", witness=beats(rows)))
    assert "production's clock set back: 1" in judgement.coverage


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.1, 59.9))
def test_only_the_copy_that_ends_with_the_last_beat_before_its_target_passes(
    target: int, length: int, seconds: float
) -> None:
    """A target between two beats, and copies that stop early, are right, or go too far."""
    production = chain(13)
    at = point(PointKind.PITR, NOON + (target - 1) * MINUTE + timedelta(seconds=seconds))
    judgement = CHECK.judge(fact(production[:length]), case("ledger", at=at, witness=beats(production)))
    assert judgement.verdict is (Verdict.PASSED if length == target else Verdict.FAILED)


@given(st.integers(3, 12), st.data())
def test_a_row_left_out_replaced_or_of_another_ledger_fails_wherever_it_is(
    length: int, data: st.DataObject
) -> None:
    rows = chain(length)
    index = data.draw(st.integers(1, length - 2))
    other = data.draw(st.sampled_from([[], [chain(length, seed="another")[index]]]))
    copy = [*rows[:index], *other, *rows[index + 1 :]]
    at = point(PointKind.PITR, NOON + length * MINUTE)
    judgement = CHECK.judge(fact(copy), case("ledger", at=at, witness=beats(rows)))
    assert judgement.verdict is Verdict.FAILED
    assert judgement.damaged >= 1
