"""Rounds of copies, one after the other and beside each other: what came of a copy is told, and told once."""

from collections import Counter
from datetime import datetime, timedelta

import pytest

from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable
from pgdrill.model import Clock
from pgdrill.points import copies, exchange
from pgdrill.points.inventory import Inventory
from tests.unit.memory import Memory
from tests.unit.points.regions import Region
from tests.unit.snapshots import EPOCH, copied, snapshot

NOW = EPOCH + timedelta(hours=1)
POINT = snapshot(EPOCH)


@pytest.fixture
def region() -> Region:
    return Region(now=NOW, offered={POINT.id: POINT})


@pytest.fixture
def store(region: Region) -> Memory:
    region.told(store := Memory(), NOW)
    return store


@pytest.fixture
def cell(region: Region, store: Memory) -> Cell:
    return region.cell(store)


def events(cell: Cell) -> list[tuple[str, str]]:
    """Return what one round tells has happened."""
    return [(event.kind, event.subject) for event in copies.round_(cell, NOW).reply.events]


@pytest.mark.parametrize(
    ("becomes", "told"), [("available", "CopyDone"), ("failed", "CopyEnded"), (None, "CopyEnded")]
)
def test_what_came_of_a_copy_is_told_once_whoever_tells_the_inventory_in_between(
    region: Region, cell: Cell, becomes: str | None, told: str
) -> None:
    assert copies.round_(cell, NOW).answers.begun == (POINT.id,)
    if becomes:
        region.become(POINT.id, becomes)
    else:
        del region.there[POINT.id]
    exchange.announce(cell, NOW)  # as the watch does
    assert events(cell) == [(told, POINT.id)]
    exchange.announce(cell, NOW)
    assert events(cell) == []


def test_how_late_a_copy_was_is_measured_once(region: Region, cell: Cell) -> None:
    copies.round_(cell, NOW)
    region.become(POINT.id, "available")
    exchange.announce(cell, NOW)
    lags = [
        [metric.value for metric in copies.round_(cell, NOW).reply.metrics if metric.name == "CopyLag"]
        for _ in range(2)
    ]
    assert lags == [[3600.0], []]


def test_a_run_of_rounds_tells_the_lag_of_every_copy_and_the_ages_of_the_last(
    region: Region, store: Memory, cell: Cell
) -> None:
    later = snapshot(EPOCH + timedelta(minutes=30))
    region.offered[later.id] = later
    region.told(store, NOW)
    # Of each copy the round, in which it is usable; they are asked for in the first.
    done = iter([[], [], [POINT.id], [later.id]])

    def tick(_: float) -> Clock:
        for identifier in next(done, []):
            region.become(identifier, "available")
        return Clock(now=NOW, remaining=lambda: 60.0, budget=60.0)

    copied, reply = copies.run(cell, tick, lambda _: None)
    assert [one.id for one in copied] == [POINT.id, later.id]
    values: dict[str, list[float]] = {}
    for metric in reply.metrics:
        values.setdefault(metric.name, []).append(metric.value)
    assert (values["CopyLag"], values["CopiesMissing"]) == ([3600.0, 1800.0], [0.0])
    assert [(event.kind, event.subject) for event in reply.events] == [
        ("CopyDone", POINT.id),
        ("CopyDone", later.id),
    ]


@pytest.mark.parametrize("faster", ["available", "failed"])
def test_of_two_rounds_at_once_one_tells_what_came_of_a_copy(
    region: Region, cell: Cell, faster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.round_(cell, NOW)
    region.become(POINT.id, faster)
    other: list[list[tuple[str, str]]] = []
    gather = exchange.gather

    def overtaken(cell: Cell, now: datetime) -> Inventory:
        """The other round begins and ends while this one gathers."""
        monkeypatch.setattr(exchange, "gather", gather)
        own = gather(cell, now)
        other.append(events(cell))
        return own

    monkeypatch.setattr(exchange, "gather", overtaken)
    told = events(cell) + other[0]
    kind = "CopyDone" if faster == "available" else "CopyEnded"
    assert told == [(kind, POINT.id)]
    assert events(cell) == []


def test_a_copy_that_a_slower_round_alone_saw_done_is_told_by_the_next(
    region: Region, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.round_(cell, NOW)
    later = snapshot(EPOCH + timedelta(minutes=30))
    swap, written = cell.store.swap, list[bool]()

    def overtaken(key: str, body: bytes, tag: str | None) -> bool:
        """Another round, which had seen no more than a second copy begin, writes first."""
        if not written:
            last = exchange.seen(cell)
            assert last.inventory is not None
            begun = copied(later, NOW, status="creating")
            less = last.inventory.model_copy(update={"snapshots": (*last.inventory.snapshots, begun)})
            written.append(swap(key, less.model_dump_json().encode(), last.tag))
        return swap(key, body, tag)

    region.become(POINT.id, "available")
    monkeypatch.setattr(cell.store, "swap", overtaken)
    assert events(cell) == []
    assert ("CopyDone", POINT.id) in events(cell)
    assert written == [True]


def test_a_copy_that_was_done_while_others_were_asked_for_is_told(
    region: Region, store: Memory, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a round sees more than its beginning."""
    copies.round_(cell, NOW)
    later = snapshot(EPOCH + timedelta(minutes=30))
    region.offered[later.id] = later
    region.told(store, NOW)
    copy = region.copy

    def slow(*asked: str) -> object:
        region.become(POINT.id, "available")
        return copy(*asked)

    monkeypatch.setattr(region, "copy", slow)
    assert events(cell) == [("CopyDone", POINT.id)]
    assert events(cell) == []


# -------------------------------------------------------------------------------------------------- calls


def test_a_round_with_nothing_to_do_asks_each_question_once(region: Region, cell: Cell) -> None:
    copies.round_(cell, NOW)
    region.become(POINT.id, "available")
    region.calls.clear()
    copies.round_(cell, NOW)
    assert region.calls == Counter(ours=1, quota=1)


def test_a_round_that_asked_for_copies_looks_once_more(region: Region, cell: Cell) -> None:
    assert copies.round_(cell, NOW).answers.begun == (POINT.id,)
    assert region.calls == Counter(ours=2, quota=2, copy=1)


def test_a_round_that_is_refused_does_not_look_again(region: Region, cell: Cell) -> None:
    region.refusing["copy"] = NotRunnable("not with this key", hint="see the key")
    assert copies.round_(cell, NOW).answers.refused == (POINT.id,)
    assert region.calls == Counter(ours=1, quota=1, copy=1)
