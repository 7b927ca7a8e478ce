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
        number, previous = next_link([stored.body for stored in records])
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
    assert next_link([]) == Link(1, None)


def test_the_next_link_holds_the_digest_of_the_last(records: list[Stored]) -> None:
    bodies = [stored.body for stored in records]
    assert next_link(bodies) == Link(LENGTH + 1, sha256(bodies[-1]))


def test_the_last_is_what_was_written_last_whichever_drill_began_last(records: list[Stored]) -> None:
    bodies = [stored.body for stored in records]
    assert next_link([bodies[-1], *bodies[:-1]]) == Link(LENGTH + 1, sha256(bodies[-1]))


def test_a_damaged_last_record_is_counted_and_its_digest_kept(records: list[Stored]) -> None:
    bodies = [stored.body for stored in records[:3]]
    assert next_link([*bodies, b"{"]) == Link(5, sha256(b"{"))
    assert next_link([b"{", *bodies[1:]]) == Link(4, sha256(bodies[-1]))


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


def test_a_record_that_lies_there_twice_is_found(records: list[Stored]) -> None:
    last = records[-1]
    assert [
        (one.drill, one.kind, one.what) for one in verify_chain([*records, last._replace(drill="copy")])
    ] == [
        ("copy", Kind.REORDERED, f"holds the evidence of drill {last.drill}"),
        ("copy", Kind.REORDERED, f"holds the very record of drill {last.drill}, number {LENGTH}"),
    ]


def beside(stored: Stored, drill: str, **changes: object) -> Stored:
    """Return another record with the number of this one."""
    evidence = Evidence.model_validate_json(stored.body).model_copy(update={"drill": drill, **changes})
    return Stored(drill, canonical(evidence))


@pytest.mark.parametrize("index", range(LENGTH))
def test_two_records_after_the_same_one_are_a_fork(records: list[Stored], index: int) -> None:
    stored = records[index]
    assert verify_chain([*records, beside(stored, "z")]) == [
        Break(
            drill="z",
            kind=Kind.FORKED,
            what=f"is number {index + 1} after the same record as drill {stored.drill}",
        )
    ]


def test_a_chain_goes_on_after_a_fork_from_either_record_and_from_no_other(records: list[Stored]) -> None:
    fork = beside(records[2], "z")
    after = beside(records[3], records[3].drill, previous_sha256=sha256(fork.body))
    forked = [*records[:3], fork]
    assert [one.kind for one in verify_chain([*forked, after])] == [Kind.FORKED]
    assert [one.kind for one in verify_chain([*forked, records[3]])] == [Kind.FORKED]
    stranger = beside(records[3], records[3].drill, previous_sha256="f" * 64)
    assert {one.kind for one in verify_chain([*forked, stranger])} == {Kind.ALTERED, Kind.FORKED}


def test_two_records_of_one_number_after_different_ones_are_found(records: list[Stored]) -> None:
    other = beside(records[2], "z", previous_sha256="f" * 64)
    assert [(one.drill, one.kind, one.what) for one in verify_chain([*records[:3], other])] == [
        (
            records[1].drill,
            Kind.ALTERED,
            f"has SHA-256 {sha256(records[1].body)}, drill z after it says {'f' * 64}",
        ),
        ("z", Kind.REORDERED, f"is number 3, as drill {records[2].drill} is"),
    ]


def test_a_record_that_cannot_be_read_stands_for_one_that_is_missing_and_no_more(
    records: list[Stored],
) -> None:
    broken = records[2]._replace(body=b"{}")
    assert [one.kind for one in verify_chain([*records[:2], broken, *records[3:]])] == [Kind.UNREADABLE]
    assert [(one.kind, one.what) for one in verify_chain([*records[:2], broken, *records[4:]])] == [
        (Kind.UNREADABLE, "is not evidence in canonical form"),
        (Kind.DROPPED, "is number 5 and comes after number 2; 1 between are missing"),
    ]


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
def test_whatever_is_kept_in_whatever_order_only_a_beginning_of_the_chain_is_whole(
    data: st.DataObject,
) -> None:
    order = data.draw(st.permutations(range(LENGTH)))
    kept = data.draw(st.integers(min_value=1, max_value=LENGTH))
    shown = [CHAIN[index]._replace(witness=None) for index in order[:kept]]
    assert (verify_chain(shown) == []) == (set(order[:kept]) == set(range(kept)))


@given(st.permutations(range(LENGTH)))
def test_whatever_lies_in_the_place_of_another_is_found(order: list[int]) -> None:
    shown = [CHAIN[at]._replace(body=CHAIN[index].body, witness=None) for at, index in enumerate(order)]
    moved = {CHAIN[at].drill for at, index in enumerate(order) if at != index}
    assert {(one.drill, one.kind) for one in verify_chain(shown)} == {
        (drill, Kind.REORDERED) for drill in moved
    }
