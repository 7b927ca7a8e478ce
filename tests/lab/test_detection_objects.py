"""Damage to rows and objects: found by the checks that should find it, and no other check cries wolf."""

from pathlib import Path

import pytest

from pgdrill.lab import sabotage
from tests.lab.conftest import MakeCluster, ServerOf
from tests.lab.detection import DOCUMENT, FOUND, OBJECTS, PAGES, Bench, document


@pytest.fixture(scope="module")
def bench(ground: Path, make_cluster: MakeCluster, server_of: ServerOf) -> Bench:
    return Bench.prepare(ground, make_cluster, server_of).compared()


def test_every_kind_of_damage_is_in_the_table() -> None:
    assert {kind.name for kind in sabotage.ALL if kind.of == "snapshot"} == set(FOUND)
    assert {*PAGES, *OBJECTS} == set(FOUND)


def test_the_document_shows_the_table() -> None:
    assert DOCUMENT.read_text() == document()


@pytest.mark.parametrize("kind", OBJECTS)
def test_damage_is_found_by_the_checks_that_should(bench: Bench, kind: str) -> None:
    assert bench.damaged(kind) == FOUND[kind]
