"""The chain of evidence: whole when untouched, and every touch is found and named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.evidence.chain import Break, Kind, Link, Stored, next_link, verify_chain
from pgdrill.evidence.record import Evidence, canonical, sha256
from tests.unit.evidence.drills import drilled

LENGTH = 7


def chained() -> list[Stored]:
    """Return seven drills in a chain, each with the digest that its teardown holds."""
    records: list[Stored] = []
    for _ in range(LENGTH):
        number, previous = next_link(records[-1].body if records else None, len(records))
        evidence = drilled(number, previous_sha256=previous)
        body = canonical(evidence)
        records.append(Stored(evidence.drill, body, sha256(body)))
    return records


CHAIN = chained()


@pytest.fixture(name="records")
def _records() -> list[Stored]:
    return list(CHAIN)


def test_an_untouched_chain_holds(records: list[Stored]) -> None:
    assert verify_chain(records) == []


def test_no_evidence_at_all_is_no_break() -> None:
    assert verify_chain([]) == []


def test_a_chain_holds_without_teardowns_too(records: list[Stored]) -> None:
    assert verify_chain([stored._replace(witness=None) for stored in records]) == []


def test_the_first_link_has_number_1_and_nothing_before() -> None:
    assert next_link(None, 0) == Link(1, None)


def test_the_next_link_holds_the_digest_of_the_last(records: list[Stored]) -> None:
    assert next_link(records[-1].body, LENGTH) == Link(LENGTH + 1, sha256(records[-1].body))


def test_a_damaged_last_record_is_counted_and_its_digest_kept() -> None:
    assert next_link(b"{", 4) == Link(5, sha256(b"{"))


@pytest.mark.parametrize("index", range(LENGTH - 1))
def test_a_dropped_drill_is_found_at_the_one_after_it(records: list[Stored], index: int) -> None:
    found = verify_chain(records[:index] + records[index + 1 :])
    assert found == [
        Break(
            drill=records[index + 1].drill,
            kind=Kind.DROPPED,
            what=f"is number {index + 2} and comes after number {index}; 1 between are missing",
        )
    ]


@pytest.mark.parametrize("index", range(LENGTH))
@pytest.mark.parametrize("witnessed", [True, False])
def test_an_altered_drill_is_found(records: list[Stored], index: int, witnessed: bool) -> None:
    stored = records[index]
    forged = canonical(
        Evidence.model_validate_json(stored.body).model_copy(update={"verdict_reason": "all is well"})
    )
    records[index] = Stored(stored.drill, forged, stored.witness if witnessed else None)
    found = verify_chain(records)
    # Without its teardown only the next drill knows the digest of a drill, and the last has none.
    expected = int(index < LENGTH - 1) + int(witnessed)
    assert [(one.drill, one.kind) for one in found] == [(stored.drill, Kind.ALTERED)] * expected
    for one in found:
        assert one.what.startswith(f"has SHA-256 {sha256(forged)}, ")
        assert one.what.endswith(f"says {sha256(stored.body)}")


@pytest.mark.parametrize("index", range(LENGTH - 1))
def test_two_drills_that_changed_places_are_found(records: list[Stored], index: int) -> None:
    first, second = records[index], records[index + 1]
    records[index], records[index + 1] = first._replace(body=second.body), second._replace(body=first.body)
    found = verify_chain(records)
    assert {one.drill for one in found if one.kind is Kind.REORDERED} >= {first.drill, second.drill}
    assert Kind.DROPPED not in {one.kind for one in found}


def test_a_drill_told_twice_is_found(records: list[Stored]) -> None:
    found = verify_chain([*records, records[-1]])
    assert [one.kind for one in found] == [Kind.REORDERED]
    assert found[0].what == f"is number {LENGTH} and comes after number {LENGTH}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}"])
def test_a_record_that_is_none_is_unreadable(records: list[Stored], body: bytes) -> None:
    records[2] = records[2]._replace(body=body)
    found = verify_chain(records)
    assert [(one.drill, one.kind) for one in found] == [(records[2].drill, Kind.UNREADABLE)]


def test_the_same_record_in_other_bytes_is_unreadable(records: list[Stored]) -> None:
    records[2] = records[2]._replace(body=records[2].body + b"\n")
    assert verify_chain(records) == [
        Break(drill=records[2].drill, kind=Kind.UNREADABLE, what="is not evidence in canonical form")
    ]


def test_dropping_the_newest_drills_does_not_show_in_the_chain_alone(records: list[Stored]) -> None:
    assert verify_chain(records[:-2]) == []


@given(st.data())
def test_whatever_is_done_to_the_order_is_found(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(LENGTH)))
    kept = data.draw(st.integers(min_value=1, max_value=LENGTH))
    shown = [CHAIN[index]._replace(witness=None) for index in order[:kept]]
    assert (verify_chain(shown) == []) == (list(order[:kept]) == list(range(kept)))
