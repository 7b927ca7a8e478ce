"""Ranges of a heap's pages, by which a table is cut over sessions and invocations."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pages:
    """Heap pages from `start` up to but without `end`; None is the end of the table, wherever it is."""

    start: int = 0
    end: int | None = None


WHOLE = Pages()


def cuts(start: int, end: int | None, pages: int, size: int) -> list[Pages]:
    """Cut pages into ranges; the last one is open, since a table may be longer than when it was measured."""
    starts = list(range(start, max(pages if end is None else end, start + 1), size))
    return [Pages(first, after) for first, after in zip(starts, [*starts[1:], end], strict=True)]


def merged(left: Iterable[Pages]) -> tuple[tuple[int, int | None], ...]:
    """Return the fewest intervals that hold exactly these ranges."""
    merged: list[tuple[int, int | None]] = []
    for part in sorted(left, key=lambda part: part.start):
        if merged and merged[-1][1] == part.start:
            merged[-1] = (merged[-1][0], part.end)
        else:
            merged.append((part.start, part.end))
    return tuple(merged)
