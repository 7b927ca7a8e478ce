"""What another version of pgdrill wrote does not keep a cell from telling what it has."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from pgdrill.cell import Cell
from pgdrill.points import exchange
from tests.unit.memory import Memory
from tests.unit.plans import plan

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
KEY = "drills/shop/20261122t050000000z-shop/drill.json"


@pytest.mark.parametrize(
    ("step", "point", "restored"),
    [
        ("examine", {"id": "p1", "kind": "snapshot"}, {"p1"}),
        ("done", {"id": "p1"}, set()),
        ("choose", None, set()),
    ],
)
def test_the_points_that_drills_of_any_version_restore_are_told(
    step: str, point: dict[str, str] | None, restored: set[str]
) -> None:
    store = Memory()
    store.put(KEY, json.dumps({"next": step, "point": point, "a_key_of": "another version"}).encode())
    cell = cast("Cell", SimpleNamespace(store=store, plan=plan()))
    assert exchange._restored(cell, "shop", NOW) == restored
