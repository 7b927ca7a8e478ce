"""Snapshots share what was not written in between, and none is changed by what happens to another."""

import time
from pathlib import Path

import psycopg
import pytest

from pgdrill.lab.lab import Lab
from tests.lab.labs import await_snapshot, await_status, connect, create

TABLE = "CREATE TABLE {} AS SELECT n, md5(n::text) AS text FROM generate_series(1, 50000) AS n"


@pytest.fixture(scope="module")
def snapshots(lab: Lab) -> list[Path]:
    """Two snapshots of one instance: a table was written before the first, another one in between."""
    create(lab, "shop")
    with connect(lab, "shop") as session:
        session.execute(psycopg.sql.SQL(TABLE).format(psycopg.sql.Identifier("before")))
    take(lab, "zeroth")  # what is dirty is written now
    time.sleep(2.1)
    take(lab, "first")
    with connect(lab, "shop") as session:
        session.execute(psycopg.sql.SQL(TABLE).format(psycopg.sql.Identifier("between")))
    take(lab, "second")
    found = sorted((lab.directory / "rds" / "snapshots").iterdir(), key=lambda path: path.stat().st_ctime)
    return found[1:]


def take(lab: Lab, name: str) -> None:
    lab.client("rds").create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier=name)
    await_snapshot(lab, name)
    await_status(lab, "shop")


def files(base: Path) -> dict[Path, Path]:
    return {path.relative_to(base): path for path in (base / "base").rglob("*") if path.is_file()}


def test_what_was_not_written_is_shared_and_what_was_is_not(snapshots: list[Path]) -> None:
    first, second = map(files, snapshots)
    shared = {name for name, path in second.items() if name in first and path.samefile(first[name])}
    size = sum(path.stat().st_size for path in second.values())
    assert sum(second[name].stat().st_size for name in shared) > size / 2
    assert {name for name in second if name not in first}  # the table in between
    differing = {
        name for name in first.keys() & second if first[name].read_bytes() != second[name].read_bytes()
    }
    assert differing
    assert differing & shared == set()


def test_a_damaged_snapshot_is_damaged_alone(lab: Lab, snapshots: list[Path]) -> None:
    first = {name: path.read_bytes() for name, path in files(snapshots[0]).items()}
    lab.door.sabotage("second", "heap-bit-flip", database="shop", table="public.before")
    assert {name: path.read_bytes() for name, path in files(snapshots[0]).items()} == first
    assert any(path.read_bytes() != first.get(name) for name, path in files(snapshots[1]).items())
