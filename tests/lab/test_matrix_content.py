"""Damage to what a backup holds, or to which one it is: each is found by the checks that should, and by no other."""

from pathlib import Path

import pytest

from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Authority

from .matrix import CONTENT, EXPECTED
from .matrix_restores import Production


@pytest.fixture(scope="module")
def production(ground: Path, binaries: Binaries, authority: Authority) -> Production:
    return Production.prepare(ground, binaries, authority)


@pytest.mark.parametrize("kind", [kind for kind in CONTENT if EXPECTED[kind].starts])
def test_damage_is_found_and_named_and_nothing_else_is(production: Production, kind: str) -> None:
    came, expected = production.examined(kind), EXPECTED[kind]
    assert came.verdicts(compared=False) == expected.verdicts(compared=False)
    assert came.verdicts(compared=True) == expected.verdicts(compared=True)
    assert came.unnamed(expected.blamed) == {}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing-commit-log", "could not access status of transaction"),
        ("wal-hole", "recovery ended before configured recovery target was reached"),
    ],
)
def test_a_backup_that_does_not_start_says_why(production: Production, kind: str, reason: str) -> None:
    came = production.examined(kind)
    assert f"did not start: FATAL:  {reason}" in came.start
    assert (came.first, came.again) == ((), ())


def test_a_healthy_backup_recovers_to_the_target_that_a_hole_keeps_from(production: Production) -> None:
    measured = production.measured(production.healthy, production.archive)
    assert [one.error for one in measured.values()] == [""] * len(measured)
