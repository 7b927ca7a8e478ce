"""Tells whether an evidence bucket is shared with another suffix, so that a purge of one never deletes the other's.

Records lie by database. What names a suffix are the points and instances in them: `pgdrill-<suffix>-...`. Beats and
skipped slots name none; whoever writes only those is not seen. Reads the bucket.
"""

import re
from collections.abc import Iterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pgdrill.cell import Cell
from pgdrill.plan import PREFIX

T = TypeVar("T", bound=BaseModel)

_INVENTORIES = "inventory/"
# Kinds of record whose keys name the point.
_KEYED = ("seals", "references", "exports")


class _Inventory(BaseModel):
    suffix: str


class _Held(BaseModel):
    instance: str


class _Point(BaseModel):
    id: str


class _Drill(BaseModel):
    """As much of a drill, its evidence, its teardown or its hand-over as names an instance or a point."""

    held: _Held | None = None
    point: _Point | None = None
    instance: str | None = None

    @property
    def names(self) -> Iterator[str]:
        if self.held:
            yield self.held.instance
        if self.point:
            yield self.point.id
        if self.instance:
            yield self.instance


def suffixes(cell: Cell) -> set[str]:
    """Return the suffixes, apart from the plan's own, that records of the plan's databases name."""
    found = set(_told(cell))
    for database in cell.plan.databases:
        for name in _names(cell, database.name):
            if suffix := suffix_of(name, database.name):
                found.add(suffix)
    return found - {cell.plan.stack.suffix}


def suffix_of(name: str, database: str) -> str | None:
    """Return the suffix in the name of a point or an instance of a database; None where there is none.

    A point's name goes on with its year, which tells suffix `a` and database `b-c` from suffix `a-b` and database `c`.
    """
    found = re.fullmatch(
        rf"{PREFIX}-(?:(.+)-(?:drill|recovered)-{database}(?:-2\d+)?|(.+)-{database}-2\d.*)", name
    )
    return found and (found[1] or found[2])


def _told(cell: Cell) -> Iterator[str]:
    for key in cell.store.keys(_INVENTORIES):
        if told := _read(cell, key, _Inventory):
            yield told.suffix


def _names(cell: Cell, database: str) -> Iterator[str]:
    for kind in _KEYED:
        for key in cell.store.keys(f"{kind}/{database}/"):
            if found := re.search(rf"\b{PREFIX}-[a-z0-9-]+", key.removeprefix(f"{kind}/{database}/")):
                yield found[0]
    for kind, document in (
        ("drills", "drill"),
        ("evidence", "evidence"),
        ("evidence", "teardown"),
        ("recoveries", "hand-over"),
    ):
        for key in cell.store.keys(f"{kind}/{database}/"):
            if key.endswith(f"/{document}.json") and (drill := _read(cell, key, _Drill)):
                yield from drill.names


def _read(cell: Cell, key: str, kind: type[T]) -> T | None:
    """What another version wrote and this one cannot read names nobody."""
    body = cell.store.get(key)
    try:
        return kind.model_validate_json(body) if body else None
    except ValidationError:
        return None
