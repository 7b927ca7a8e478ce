"""A bend is put in the place of the function that it was written for, or the lab does not start."""

from types import ModuleType

import pytest

from pgdrill.lab.bends.graft import Drifted, Function, graft


@pytest.fixture
def emulator() -> ModuleType:
    def answer(question: str, *others: str, loud: bool = False) -> str:
        return question.upper() if loud else question

    module = ModuleType("emulator")
    module.answer = answer  # type: ignore[attr-defined]
    return module


def twice(original: Function) -> Function:
    return lambda question, **how: original(question, **how) * 2


def test_a_function_is_replaced_by_one_that_has_it(emulator: ModuleType) -> None:
    graft(emulator, "answer(question, *others, loud)", twice)
    assert emulator.answer("a", loud=True) == "AA"


def test_a_function_that_is_not_there_is_drift(emulator: ModuleType) -> None:
    with pytest.raises(
        Drifted, match=r"^the emulator has no function emulator\.reply, which a bend replaces$"
    ):
        graft(emulator, "reply(question)", twice)


def test_a_function_with_other_parameters_is_drift(emulator: ModuleType) -> None:
    said = (
        r"^the emulator's emulator\.answer is answer\(question, \*others, loud\),"
        r" and a bend replaces answer\(question, loud\)$"
    )
    with pytest.raises(Drifted, match=said):
        graft(emulator, "answer(question, loud)", twice)
    assert emulator.answer("a") == "a"
