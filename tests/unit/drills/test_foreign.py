"""Whose records lie in a bucket: told by the points and instances that they name, and by nothing less."""

import json
from dataclasses import replace

import pytest

from pgdrill.cell import Cell
from pgdrill.drills import foreign, purge
from pgdrill.errors import NotRunnable
from tests.unit.memory import Memory
from tests.unit.plans import plan


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    store = Memory()
    store.bucket = "evidence"
    return replace(Cell.open(plan()), store=store)


@pytest.mark.parametrize(
    ("name", "database", "suffix"),
    [
        ("pgdrill-lab-shop-2026-11-22t06z", "shop", "lab"),
        ("pgdrill-lab-shop-20261122t060000123z", "shop", "lab"),
        ("pgdrill-lab-shop-2026-11-22t06z-x0123456789ab", "shop", "lab"),
        ("pgdrill-lab-drill-shop-2026-11-22t06z", "shop", "lab-drill"),
        ("pgdrill-lab-shop-shop-2026-11-22t06z", "shop", "lab-shop"),
        ("pgdrill-lab-drill-shop", "shop", "lab"),
        ("pgdrill-lab-drill-drill-shop", "shop", "lab-drill"),
        ("pgdrill-lab-recovered-shop-20261122060000", "shop", "lab"),
        ("pgdrill-lab-other-2026-11-22t06z", "shop", None),
        ("rds:shop-production-2026-11-22-06-00", "shop", None),
        ("shop-production@2026-11-22T06:00:00Z", "shop", None),
    ],
)
def test_a_name_tells_its_suffix(name: str, database: str, suffix: str | None) -> None:
    assert foreign.suffix_of(name, database) == suffix


def _records(suffix: str) -> dict[str, object]:
    point = f"pgdrill-{suffix}-shop-2026-11-22t06z"
    instance = f"pgdrill-{suffix}-drill-shop"
    return {
        f"seals/shop/20261122T060000000Z-before-{point}.json": {},
        f"references/shop/{point}/d1": {},
        f"exports/shop/{point}.json": {},
        "inventory/ap-southeast-1.json": {"suffix": suffix},
        "drills/shop/d1/drill.json": {"held": {"instance": instance}, "point": None},
        "evidence/shop/d1/evidence.json": {"point": {"id": point}},
        "evidence/shop/d1/teardown.json": {"instance": instance},
        "recoveries/shop/d1/hand-over.json": {"instance": f"pgdrill-{suffix}-recovered-shop-20261122060000"},
    }


@pytest.mark.parametrize("key", _records("two"))
def test_one_record_of_another_suffix_is_enough_to_refuse(cell: Cell, key: str) -> None:
    for own, body in _records("lab").items():
        cell.store.put(own, json.dumps(body).encode())
    assert foreign.suffixes(cell) == set()
    cell.store.put(key, json.dumps(_records("two")[key]).encode())
    assert foreign.suffixes(cell) == {"two"}


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"held": null}'])
def test_what_names_nobody_is_nobodys(cell: Cell, body: bytes) -> None:
    for key in _records("two"):
        if key.endswith("1.json") or "/d1/" in key:
            cell.store.put(key.replace("pgdrill-two", "pgdrill-lab"), body)
    assert foreign.suffixes(cell) == set()


def test_the_refusal_names_the_bucket_and_what_to_do(cell: Cell) -> None:
    cell.store.put("inventory/ap-southeast-1.json", b'{"suffix": "two"}')
    with pytest.raises(NotRunnable) as refused:
        list(purge._objects(cell))
    assert refused.value.message == "bucket 'evidence' holds records of another suffix too: two"
    assert refused.value.hint == (
        "records lie by database, not by suffix, so none is deleted; give each suffix a bucket of its own,"
        " or purge without --evidence"
    )
