"""What was deleted from the end of a chain is found: a drill's state knows of it, or the bucket of the other cell."""

import json
from collections.abc import Iterable

import pytest

from pgdrill.evidence import archive, audit
from pgdrill.evidence.chain import Kind
from pgdrill.evidence.comparison import Missing, compare
from pgdrill.evidence.record import Evidence, canonical, sha256
from pgdrill.model import PointKind
from tests.unit.evidence.drills import Shelf, drilled, torn_down

HOME, AWAY = "ap-southeast-1", "ap-northeast-1"
COPY = drilled().point.model_copy(update={"region": AWAY, "kind": PointKind.COPY})

Cells = dict[str, Shelf]


def leave(shelf: Shelf, number: int, **changes: object) -> Evidence:
    """Leave a drill's record, its teardown and its state, as a drill that is done does."""
    alone = drilled(number, **changes)
    link = archive.link(shelf, "shop", alone.point.region, alone.drill)
    made = drilled(number, **changes | link._asdict())
    archive.save(shelf, made)
    archive.finish(shelf, torn_down(made))
    state = {
        "id": made.drill,
        "point": made.point.model_dump(mode="json"),
        "evidence_sha256": sha256(canonical(made)),
    }
    shelf.put(f"drills/shop/{made.drill}/drill.json", json.dumps(state).encode())
    return made


def replicate(cells: Cells) -> None:
    held = cells[HOME].held | cells[AWAY].held
    for shelf in cells.values():
        shelf.held = dict(held)


@pytest.fixture(name="cells")
def _cells() -> Cells:
    """Two drills in the primary region and one of a copy, all replicated."""
    cells = {HOME: Shelf(), AWAY: Shelf()}
    leave(cells[HOME], 1)
    leave(cells[HOME], 2)
    leave(cells[AWAY], 3, point=COPY)
    replicate(cells)
    return cells


def delete(cells: Iterable[Shelf], evidence: Evidence, *, state: bool = False) -> None:
    """Delete all there is of a drill's evidence, and its state if so wanted."""
    prefix = f"evidence/shop/{evidence.point.region}/{evidence.drill}/"
    for shelf in cells:
        for key in list(shelf.keys(prefix)):
            del shelf.held[key]
        if state:
            del shelf.held[f"drills/shop/{evidence.drill}/drill.json"]


def told(cells: Cells) -> list[tuple[str, Kind, str]]:
    return [(one.drill, one.kind, one.what) for one in compare(cells, "shop").breaks]


NEWEST = drilled(2, previous_sha256=sha256(canonical(drilled(1))))
DIGEST = sha256(canonical(NEWEST))


def test_what_is_whole_in_both_cells_is_whole(cells: Cells) -> None:
    assert compare(cells, "shop") == ([], [])


def test_another_database_is_not_looked_at(cells: Cells) -> None:
    delete(cells.values(), NEWEST)
    assert compare(cells, "bank") == ([], [])


def test_the_newest_drill_is_missed_by_its_state_where_the_chain_is_whole_without_it(cells: Cells) -> None:
    delete(cells.values(), NEWEST)
    assert audit.broken(cells[HOME], "shop") == []
    says = f"is gone; the drill's state says that it was written, with SHA-256 {DIGEST}"
    assert told(cells) == [(NEWEST.drill, Kind.DROPPED, says)]
    assert told({HOME: cells[HOME]}) == [(NEWEST.drill, Kind.DROPPED, says)]


def test_the_newest_drill_is_missed_by_the_other_cell_where_its_state_is_gone_too(cells: Cells) -> None:
    delete([cells[HOME]], NEWEST, state=True)
    assert told({HOME: cells[HOME]}) == []
    assert told(cells) == [
        (
            NEWEST.drill,
            Kind.DROPPED,
            f"has no {word} in the bucket in {HOME}, where it was written; it is in that in {AWAY}",
        )
        for word in ("record", "teardown")
    ]


def test_a_drill_of_a_copy_is_missed_in_its_own_bucket_whichever_is_asked_first(cells: Cells) -> None:
    copied = drilled(3, point=COPY, number=1, previous_sha256=None)
    delete([cells[AWAY]], copied, state=True)
    turned = {AWAY: cells[AWAY], HOME: cells[HOME]}
    assert told(cells) == told(turned)
    assert [kind for _, kind, _ in told(cells)] == [Kind.DROPPED, Kind.DROPPED]


def test_what_has_not_come_to_the_other_cell_yet_is_counted_and_no_break(cells: Cells) -> None:
    leave(cells[HOME], 4)
    leave(cells[HOME], 5)
    leave(cells[AWAY], 6, point=COPY)
    assert compare(cells, "shop") == ([], [Missing(AWAY, HOME, 1), Missing(HOME, AWAY, 2)])
    replicate(cells)
    assert compare(cells, "shop") == ([], [])


def test_a_state_that_came_before_the_record_makes_no_break(cells: Cells) -> None:
    late = leave(cells[AWAY], 4, point=COPY)
    state = f"drills/shop/{late.drill}/drill.json"
    cells[HOME].held[state] = cells[AWAY].held[state]
    assert compare(cells, "shop") == ([], [Missing(AWAY, HOME, 1)])


def test_the_newest_record_altered_without_its_teardown_is_found_by_the_state(cells: Cells) -> None:
    forged = canonical(NEWEST.model_copy(update={"verdict_reason": "all is well"}))
    for shelf in cells.values():
        shelf.held[archive.key(NEWEST, archive.EVIDENCE)] = forged
        del shelf.held[archive.key(NEWEST, archive.TEARDOWN)]
    assert audit.broken(cells[HOME], "shop") == []
    assert told(cells) == [
        (NEWEST.drill, Kind.ALTERED, f"has SHA-256 {sha256(forged)}, the drill's state says {DIGEST}")
    ]


@pytest.mark.parametrize(("document", "word"), [(archive.EVIDENCE, "record"), (archive.TEARDOWN, "teardown")])
def test_what_is_not_the_same_in_both_cells_is_found(cells: Cells, document: str, word: str) -> None:
    place = archive.key(NEWEST, document)
    for shelf in cells.values():
        del shelf.held[f"drills/shop/{NEWEST.drill}/drill.json"]
    before = sha256(cells[AWAY].held[place])
    cells[HOME].held[place] = b"{}"
    assert told(cells) == [
        (
            NEWEST.drill,
            Kind.ALTERED,
            f"has a {word} with SHA-256 {before} in {AWAY} and {sha256(b'{}')} in {HOME}",
        )
    ]


@pytest.mark.parametrize("state", [b"", b"[]", b"{}", b'{"evidence_sha256": "", "point": null}'])
def test_a_drill_that_never_came_to_a_verdict_has_nothing_to_miss(cells: Cells, state: bytes) -> None:
    cells[HOME].put("drills/shop/20270101t000000000z-shop/drill.json", state)
    assert compare(cells, "shop") == ([], [])
