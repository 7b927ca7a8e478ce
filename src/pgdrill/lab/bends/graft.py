"""Puts a function or text in the place of one of the emulator's, and refuses to where the emulator is not as expected.

The only module that changes the emulator's code; every bend goes through it.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

Function = Callable[..., Any]


class Drifted(Exception):
    """The emulator is not the version that a bend was written for. Ends the lab at its start."""


def graft(owner: ModuleType | type, signature: str, wrapper: Callable[[Function], Function]) -> None:
    """Replace a function by `wrapper(function)`. `signature` is as `evaluate(ctx, policies, *limits)`.

    Raises:
        Drifted: there is no such function, or its parameters have other names.
    """
    name = signature.partition("(")[0]
    where = f"{getattr(owner, '__module__', None) or owner.__name__}.{name}"
    found = getattr(owner, name, None)
    if not callable(found):
        raise Drifted(f"the emulator has no function {where}, which a bend replaces")
    if (there := _signature(name, found)) != signature:
        raise Drifted(f"the emulator's {where} is {there}, and a bend replaces {signature}")
    setattr(owner, name, wrapper(found))


def amend(owner: ModuleType, name: str, old: str, new: str) -> None:
    """Replace `old` by `new` in a text of the emulator's, where it must stand exactly once.

    Raises:
        Drifted: it does not.
    """
    text: str = getattr(owner, name, "")
    if (count := text.count(old)) != 1:
        where = f"{owner.__name__}.{name}"
        raise Drifted(f"the emulator's {where} has {count} times what a bend replaces: {old.strip()!r}")
    setattr(owner, name, text.replace(old, new))


def _signature(name: str, function: Function) -> str:
    """Return the name with the names of its parameters; neither annotations nor defaults, which may change."""
    marks: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    return f"{name}({', '.join(marks.get(one.kind, '') + one.name for one in parameters)})"
