"""Damage to a backup's files, restored for real: each is found by the checks that should, and by no other."""

from pathlib import Path

import pytest

from pgdrill.checks.registry import ALL
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Authority
from pgdrill.model import Verdict

from .matrix import EXPECTED, FILES, REFUSED
from .matrix_restores import Production


@pytest.fixture(scope="module")
def production(ground: Path, binaries: Binaries, authority: Authority) -> Production:
    return Production.prepare(ground, binaries, authority)


def test_a_healthy_backup_passes_every_check(production: Production) -> None:
    came = production.examined("")
    for findings in (came.first, came.again):
        assert {one.check: one.verdict for one in findings} == {one.name: Verdict.PASSED for one in ALL}


@pytest.mark.parametrize("kind", FILES)
def test_damage_is_found_and_named_and_nothing_else_is(production: Production, kind: str) -> None:
    came, expected = production.examined(kind), EXPECTED[kind]
    assert came.verdicts(compared=False) == expected.verdicts(compared=False)
    assert came.verdicts(compared=True) == expected.verdicts(compared=True)
    assert came.unnamed(expected.blamed) == {}


def test_a_healthy_backup_passes_without_amcheck_and_says_what_stood_in_for_it(
    production: Production,
) -> None:
    came = production.examined("", amcheck=False)
    assert came.verdicts(compared=True) == {}
    assert came.coverage("heap").startswith("amcheck of 0 of ")
    assert "full read under checksums of " in came.coverage("heap")
    assert " by sums of their keys, amcheck being refused; not checkable: " in came.coverage("indexes")


@pytest.mark.parametrize("kind", REFUSED)
def test_damage_is_found_without_amcheck_as_far_as_reading_shows_it(
    production: Production, kind: str
) -> None:
    came, expected = production.examined(kind, amcheck=False), REFUSED[kind]
    assert came.verdicts(compared=False) == expected.verdicts(compared=False)
    assert came.verdicts(compared=True) == expected.verdicts(compared=True)
    assert came.unnamed(expected.blamed) == {}
