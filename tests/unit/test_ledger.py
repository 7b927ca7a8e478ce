from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill import ledger
from pgdrill.ledger import Break, LedgerFact, Row
from pgdrill.model import Beat, PointKind
from tests.unit.checks.cases import NOON, point
from tests.unit.memory import Memory

MINUTE = timedelta(minutes=1)


def chain(length: int, first: int = 1, start: datetime = NOON, seed: str = "seed") -> list[Row]:
    """An unbroken ledger with a beat a minute."""
    rows: list[Row] = []
    previous = sha256(seed.encode()).hexdigest()
    for number in range(length):
        row = Row(sequence=first + number, beat_at=start + number * MINUTE, previous=previous, digest="")
        rows.append(row.model_copy(update={"digest": row.expected()}))
        previous = rows[-1].digest
    return rows


def beat_of(row: Row, took: float = 0.1) -> Beat:
    return Beat(
        sequence=row.sequence,
        beat_at=row.beat_at,
        done_at=row.beat_at + timedelta(seconds=took),
        digest=row.digest,
    )


@st.composite
def chains(draw: st.DrawFn, least: int) -> list[Row]:
    return chain(draw(st.integers(least, 12)), first=draw(st.integers(1, 10**12)))


@given(chains(least=0))
def test_a_chain_as_it_was_written_has_no_break(rows: list[Row]) -> None:
    assert list(ledger.breaks(rows)) == []


@given(chains(least=3), st.data())
def test_a_row_dropped_from_the_middle_is_a_hole_before_the_next(
    rows: list[Row], data: st.DataObject
) -> None:
    gone = data.draw(st.integers(1, len(rows) - 2))
    after = rows[gone + 1].sequence
    assert list(ledger.breaks(rows[:gone] + rows[gone + 1 :])) == [(Break.HOLE, after)]


@given(chains(least=2), st.data())
def test_rows_in_another_order_break_the_order(rows: list[Row], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows).filter(lambda other: other != rows))
    assert Break.ORDER in {what for what, _ in ledger.breaks(shuffled)}


@given(chains(least=1), st.data())
def test_an_altered_row_is_found_whatever_of_it_was_altered(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    others: list[dict[str, Any]] = [
        {"beat_at": rows[index].beat_at + timedelta(microseconds=1)},
        {"previous": "0" * 64},
        {"digest": "0" * 64},
    ]
    other = data.draw(st.sampled_from(others))
    altered = [*rows[:index], rows[index].model_copy(update=other), *rows[index + 1 :]]
    assert (Break.ALTERED, rows[index].sequence) in set(ledger.breaks(altered))


@given(chains(least=2), st.data())
def test_a_row_made_up_with_a_digest_of_its_own_does_not_link(rows: list[Row], data: st.DataObject) -> None:
    index = data.draw(st.integers(1, len(rows) - 1))
    forged = rows[index].model_copy(update={"previous": "0" * 64})
    forged = forged.model_copy(update={"digest": forged.expected()})
    assert (Break.LINK, forged.sequence) in set(ledger.breaks([*rows[:index], forged, *rows[index + 1 :]]))


def test_a_row_made_up_at_the_beginning_is_for_the_witness_to_find() -> None:
    rows = chain(1, seed="another")
    assert list(ledger.breaks(rows)) == []
    assert rows[0].digest != chain(1)[0].digest


def test_a_silence_is_no_hole() -> None:
    rows = [*chain(2), *chain(4, start=NOON + 60 * MINUTE)[2:]]
    assert ledger.silences(rows, 5 * MINUTE) == [(NOON + MINUTE, NOON + 62 * MINUTE)]
    assert ledger.silences(chain(4), 5 * MINUTE) == []


def test_a_clock_set_back_is_told_and_breaks_nothing() -> None:
    first = chain(2)
    row = Row(sequence=3, beat_at=NOON - MINUTE, previous=first[-1].digest, digest="")
    rows = [*first, row.model_copy(update={"digest": row.expected()})]
    assert ledger.clock_steps(rows) == [3]
    assert list(ledger.breaks(rows)) == []
    assert ledger.clock_steps(chain(3)) == []


moments = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year > 999)
names = st.from_regex(r"[a-z][a-z0-9-]{0,24}", fullmatch=True)


@given(
    names,
    st.integers(1, 10**19),
    moments,
    moments,
    st.binary(max_size=8).map(lambda b: sha256(b).hexdigest()),
)
def test_a_beat_survives_being_a_key(
    database: str, sequence: int, beat_at: datetime, done_at: datetime, digest: str
) -> None:
    beat = Beat(sequence=sequence, beat_at=beat_at, done_at=done_at, digest=digest)
    assert ledger.parse_witness_key(ledger.witness_key(database, beat)) == beat


@pytest.mark.parametrize(
    "key", ["", "witness/shop/2026-11-22/", "seals/shop/x", "witness/shop/2026-11-22/1-2-3-4"]
)
def test_a_key_that_is_no_beat_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is not a key of the witness"):
        ledger.parse_witness_key(key)


def witnessed(rows: Iterator[Row] | list[Row], database: str = "shop") -> Memory:
    memory = Memory()
    for row in rows:
        memory.put(ledger.witness_key(database, beat_of(row)), b"")
    return memory


def test_the_witness_reads_back_what_was_put_in_the_order_of_time() -> None:
    rows = chain(3, first=9)
    memory = witnessed(reversed(rows))
    witnessed(chain(1), "other")
    assert ledger.witness(memory, "shop") == tuple(beat_of(row) for row in rows)
    assert ledger.witness(memory, "sho") == ()


def test_the_witness_reads_whole_days_from_the_one_asked_for() -> None:
    memory = witnessed([*chain(1, start=NOON - timedelta(days=1)), *chain(2)])
    assert [beat.beat_at for beat in ledger.witness(memory, "shop", since=NOON + MINUTE)] == [
        NOON,
        NOON + MINUTE,
    ]


HOUR = timedelta(hours=1)


def test_rpo_is_three_numbers_counted_from_the_last_row_in_the_copy() -> None:
    fact = LedgerFact(present=True, rows=tuple(chain(3, start=NOON - 3 * MINUTE)))
    rpo = ledger.rpo(fact, point(), NOON + HOUR, every=6 * HOUR, usable_delay=10 * MINUTE)
    assert (rpo.lag_of_point, rpo.exposure_at_start, rpo.worst_case) == (60.0, 3660.0, 6 * 3600 + 660.0)
    assert rpo.basis == "the ledger's last row in the restored copy, 2026-11-22 11:59:00 UTC"


@pytest.mark.parametrize("fact", [None, LedgerFact(present=False), LedgerFact(present=True)])
def test_without_a_ledger_rpo_is_bounded_by_the_points_own_time_and_says_so(fact: LedgerFact | None) -> None:
    rpo = ledger.rpo(fact, point(PointKind.PITR), NOON + HOUR, every=6 * HOUR, usable_delay=10 * MINUTE)
    assert (rpo.lag_of_point, rpo.exposure_at_start, rpo.worst_case) == (None, 3600.0, 6 * 3600 + 600.0)
    assert rpo.basis == "the recovery point's own time, 2026-11-22 12:00:00 UTC: no ledger in the copy"


def test_a_row_that_is_younger_than_the_snapshots_moment_does_not_make_rpo_negative() -> None:
    fact = LedgerFact(present=True, rows=tuple(chain(1, start=NOON + MINUTE)))
    rpo = ledger.rpo(fact, point(), NOON, every=6 * HOUR, usable_delay=10 * MINUTE)
    assert (rpo.lag_of_point, rpo.exposure_at_start) == (0.0, 0.0)
