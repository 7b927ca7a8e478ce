from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pgdrill import beats
from pgdrill.beats import Kind
from pgdrill.model import Beat
from tests.unit.checks.cases import NOON

MINUTE = timedelta(minutes=1)


def made(first: int, count: int, begins: timedelta = timedelta(0), history: str = "a") -> list[Beat]:
    """Beats a minute apart; `begins` is when the first of them is made."""
    return [
        Beat(
            sequence=first + index,
            beat_at=NOON + begins + index * MINUTE,
            done_at=NOON + begins + index * MINUTE + timedelta(seconds=1),
            digest=sha256(f"{history}{first + index}".encode()).hexdigest(),
        )
        for index in range(count)
    ]


def told(known: list[Beat]) -> list[tuple[Kind, int]]:
    """Return what befell the beat up to its last one, whatever the order in which the witness lists it."""
    ordered = sorted(known, key=lambda beat: (beat.beat_at, beat.sequence))
    return [(one.kind, one.sequence) for one in beats.incidents(ordered, known[-1].beat_at)]


firsts, counts = st.integers(1, 10**9), st.integers(3, 40)


@given(firsts, counts)
def test_a_beat_a_minute_is_no_incident(first: int, count: int) -> None:
    assert told(made(first, count)) == []


@given(firsts, counts, st.integers(1, 20), counts)
def test_numbers_left_out_are_a_gap_however_long_it_lasted(
    first: int, count: int, missing: int, more: int
) -> None:
    after = made(first + count + missing, more, (count + missing) * MINUTE)
    assert told(made(first, count) + after) == [(Kind.GAP, first + count + missing)]


@given(firsts, counts, st.integers(5, 5000), counts)
def test_no_number_left_out_and_no_beat_for_long_is_a_silence(
    first: int, count: int, quiet: int, more: int
) -> None:
    after = made(first + count, more, (count + quiet) * MINUTE)
    assert told(made(first, count) + after) == [(Kind.SILENCE, first + count)]


@given(firsts, counts, st.integers(1, 4), counts)
def test_a_restart_of_the_server_that_is_soon_over_is_no_incident(
    first: int, count: int, quiet: int, more: int
) -> None:
    assert told(made(first, count) + made(first + count, more, (count + quiet - 1) * MINUTE)) == []


@given(firsts, counts, st.integers(2, 600), counts)
def test_a_time_that_falls_while_the_numbers_rise_is_a_clock_set_back(
    first: int, count: int, back: int, more: int
) -> None:
    after = made(first + count, more, (count - back) * MINUTE - timedelta(seconds=1))
    assert told(made(first, count) + after) == [(Kind.CLOCK, first + count)]


@given(st.integers(2, 10**9), counts, st.data(), counts, st.integers(0, 600))
def test_numbers_beaten_again_are_a_fork_where_the_second_history_begins(
    first: int, count: int, data: st.DataObject, more: int, pause: int
) -> None:
    """Production is recovered to before its last beats, and goes on from there some time later."""
    again = data.draw(st.integers(first, first + count - 1))
    after = made(again, more, (count + pause) * MINUTE, history="b")
    assert told(made(first, count) + after) == [(Kind.FORK, again)]


@given(firsts, counts, counts, st.integers(0, 600))
def test_a_ledger_that_begins_at_one_again_was_made_anew(
    first: int, count: int, more: int, pause: int
) -> None:
    # Numbers that fit each other to one are one history.
    assume(first != more + 1)
    after = made(1, more, (count + pause) * MINUTE, history="b")
    assert told(made(first, count) + after) == [(Kind.ANEW, 1)]


def test_two_histories_keep_their_own_beats() -> None:
    old, new = made(1, 5), made(4, 4, 9 * MINUTE, history="b")
    assert beats.histories([*old, *new]) == [old, new]


def test_a_beat_that_is_listed_twice_is_one() -> None:
    known = made(1, 3)
    assert beats.histories([known[0], known[0], *known[1:]]) == [known]


@pytest.mark.parametrize(("minutes", "down"), [(5, False), (6, True)])
def test_a_beat_that_is_down_now_is_a_silence_up_to_now(minutes: int, down: bool) -> None:
    known = made(1, 3)
    found = beats.incidents(known, known[-1].beat_at + minutes * MINUTE)
    assert [(one.kind, one.sequence, one.since) for one in found] == (
        [(Kind.SILENCE, 4, known[-1].beat_at)] if down else []
    )


def test_several_incidents_are_told_in_the_order_of_time_with_what_is_missing() -> None:
    known = [*made(1, 3), *made(6, 3, 5 * MINUTE), *made(9, 2, 60 * MINUTE)]
    found = beats.incidents(known, known[-1].beat_at)
    assert [(one.kind, one.sequence, one.missing) for one in found] == [
        (Kind.GAP, 6, 2),
        (Kind.SILENCE, 9, 0),
    ]


def test_a_witness_that_knows_nothing_tells_nothing() -> None:
    assert beats.incidents((), NOON) == []
