"""Damage goes the whole way: through the lab's door into a snapshot, and through a drill into its evidence."""

from collections.abc import Iterator

import pytest

from pgdrill.evidence.record import Evidence
from pgdrill.lab.lab import Lab
from pgdrill.model import Damage, Verdict
from pgdrill.plan import Checks

from .matrix import EXPECTED, LINES
from .matrix_restores import TOTALS
from .production import Production, environment

ROWS = 1_500


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab, rows=ROWS, checks=Checks(assertions=(TOTALS,)))


def drilled(production: Production, kind: str, table: str = "") -> tuple[Evidence, dict[str, str]]:
    """Damage a new snapshot and drill it; return the evidence and the verdict of every check that does not pass."""
    point = production.take()
    production.lab.door.sabotage(point.id, kind, database="shop", table=table)
    evidence = production.drill(point.id)
    verdicts = {one.check: str(one.verdict) for one in evidence.findings}
    return evidence, {check: verdict for check, verdict in verdicts.items() if verdict != Verdict.PASSED}


def test_a_drill_names_the_damage_and_what_it_kept_from_being_checked(production: Production) -> None:
    evidence, not_passed = drilled(production, "heap-bit-flip", LINES)
    assert not_passed == EXPECTED["heap-bit-flip"].verdicts(compared=False)
    assert evidence.verdict is Verdict.FAILED
    [rows] = [one for one in evidence.findings if one.check == "rows"]
    [damage] = rows.damage
    assert damage.what.startswith("invalid page: block ")
    assert damage == Damage(database="shop", object=LINES, what=damage.what)
    assert f"{LINES}: {damage.what}" in evidence.verdict_reason


def test_a_drill_of_a_backup_that_does_not_start_says_so_and_passes_nothing(production: Production) -> None:
    evidence, not_passed = drilled(production, "missing-commit-log")
    objectives = dict.fromkeys(("rto", "rpo"), "inconclusive")
    assert not_passed == EXPECTED["missing-commit-log"].verdicts(compared=False) | objectives
    assert evidence.verdict is Verdict.FAILED
    assert evidence.verdict_reason == "reachable: the instance ended in status 'restore-error'"
    assert production.leased() == []
