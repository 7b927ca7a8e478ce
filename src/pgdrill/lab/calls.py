"""What roles asked of AWS in a lab that enforces policies: written by a bend, read by whoever holds policies to it.

One JSON object a line in the lab's directory. A call that needs more than one action or resource is as many lines:
one for each that the role had to be allowed.
"""

import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pgdrill.errors import Broken
from pgdrill.model import Model

FILE = "calls.jsonl"


class Call(Model):
    """`role` is a role's name, or a service's (`events.amazonaws.com`) where it acts for itself.

    `session` tells the sessions of a role apart: a function's or state machine's name. `context` holds the request's
    condition keys, in lower case. `at` is in seconds since 1970, on the lab's own unmoved clock.
    """

    at: float
    role: str
    session: str
    action: str
    resource: str
    region: str
    allowed: bool
    context: dict[str, Any] = Field(default_factory=dict)


class Recorder:
    """Appends to the file, from any thread; a line is on disk when the call is answered."""

    def __init__(self, directory: Path) -> None:
        self._file = (directory / FILE).open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        line = json.dumps(call.model_dump(), default=str, separators=(",", ":")) + "\n"
        with self._lock:
            self._file.write(line)


def read(directory: Path) -> Iterator[Call]:
    """Yield the calls since the lab began, oldest first; none where there is no record.

    Raises:
        Broken: a line is no call. The last one may be half a line, which is being written.
    """
    path = directory / FILE
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith("\n"):
                    return
                yield _call(line, number, path)
    except FileNotFoundError:
        return


def _call(line: str, number: int, path: Path) -> Call:
    try:
        return Call.model_validate_json(line)
    except ValidationError as error:
        raise Broken(
            f"line {number} of {str(path)!r} is no call of a role",
            hint="see who else writes there; end this lab with: pgdrill lab down",
        ) from error


def distinct(calls: Iterable[Call]) -> list[tuple[str, str, str, bool, int]]:
    """Return (role, action, resource, allowed, how often), sorted."""
    counted: dict[tuple[str, str, str, bool], int] = {}
    for call in calls:
        key = call.role, call.action, call.resource, call.allowed
        counted[key] = counted.get(key, 0) + 1
    return sorted((*key, count) for key, count in counted.items())
