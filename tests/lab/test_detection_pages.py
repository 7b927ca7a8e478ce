"""Damage to files and pages: found by the checks that should find it, and no other check cries wolf."""

from pathlib import Path

import pytest

from tests.lab.conftest import MakeCluster, ServerOf
from tests.lab.detection import FOUND, PAGES, Bench


@pytest.fixture(scope="module")
def bench(ground: Path, make_cluster: MakeCluster, server_of: ServerOf) -> Bench:
    return Bench.prepare(ground, make_cluster, server_of).compared()


def test_a_healthy_backup_passes_every_check(bench: Bench) -> None:
    assert bench.failed(bench.newer) == (set(), set())


@pytest.mark.parametrize("kind", PAGES)
def test_damage_is_found_by_the_checks_that_should(bench: Bench, kind: str) -> None:
    assert bench.damaged(kind) == FOUND[kind]
