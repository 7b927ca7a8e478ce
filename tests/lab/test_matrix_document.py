"""The matrix and its document agree with each other and with the kinds of damage and the checks that there are."""

from pgdrill.checks.registry import ALL
from pgdrill.lab import sabotage

from .matrix import DOCUMENT, EXPECTED, REFUSED, SIMPLER, document


def test_the_document_is_the_one_that_the_matrix_makes() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_every_kind_of_damage_is_in_the_matrix() -> None:
    assert {*EXPECTED} == {kind.name for kind in sabotage.ALL}


def test_no_damage_passes_beside_another_restore_even_without_an_assertion() -> None:
    assert [kind for kind, one in EXPECTED.items() if not {*one.blamed} - {"assertions"}] == []


def test_the_matrix_names_checks_and_methods_that_there_are() -> None:
    checks = {name for one in [*EXPECTED.values(), *REFUSED.values()] for name in one.verdicts(compared=True)}
    assert checks - {check.name for check in ALL} == set()
    assert {method for one in EXPECTED.values() for method in one.simpler} == {*SIMPLER}
