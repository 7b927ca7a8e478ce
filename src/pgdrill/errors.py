"""Every error an operator can act on; anything else is a bug and keeps its traceback.

DrillError                  what happened, with the values; `hint` names the next thing to look at
├── NotRunnable             the request cannot be carried out as asked (exit status 2)
│   ├── PlanError           the plan, or a value given on the command line, is wrong
│   ├── NotOurs             the thing carries no lease of pgdrill's; it is never modified or deleted
│   └── Busy                another drill of the same database holds the lease
├── NotHandedOver           a recovered instance did not pass its examination (exit status 1, or 3)
├── Unavailable             a service or server refused or did not answer; the same call may pass later
└── Broken                  a thing reached a state it does not leave by itself

A class name is an interface: state machines match on it.
"""

import json


class DrillError(Exception):
    """Something an operator can act on. `str()` is the message alone; `hint` is one sentence."""

    exit_status = 3

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotRunnable(DrillError):
    exit_status = 2


class PlanError(NotRunnable):
    pass


class NotOurs(NotRunnable):
    pass


class Busy(NotRunnable):
    pass


class NotHandedOver(DrillError):
    pass


class Unavailable(DrillError):
    pass


class Broken(DrillError):
    pass


def said(error: str, cause: str) -> tuple[str, str]:
    """Return message and hint of what a state machine caught: the error's name, and what its function's runtime wrote.

    A function appends the hint to the message, in brackets. Of an error that is not of these classes only the name is
    known: its message may quote anything.
    """
    if error not in _names(DrillError):
        return f"{error} ended the step", "see the log of the function that ran it"
    try:
        text = str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return f"{error} ended the step", "see the log of the function that ran it"
    return _parted(text)


def _parted(text: str) -> tuple[str, str]:
    """Part `message (hint)` at the bracket that the last one closes; either may hold brackets of its own."""
    depth = 0
    for place in range(len(text) - 1, 0, -1):
        depth += {")": 1, "(": -1}.get(text[place], 0)
        if depth == 0:
            return (text[: place - 1], text[place + 1 : -1]) if text[place] == "(" else (text, "")
    return text, ""


def _names(kind: type[DrillError]) -> set[str]:
    return {kind.__name__}.union(*(_names(below) for below in kind.__subclasses__()))
