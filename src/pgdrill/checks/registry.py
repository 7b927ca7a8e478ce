"""The checks, in the order in which they are measured and reported."""

import inspect
import sys
from typing import Any

from pgdrill.checks import (
    assertions,
    catalog,
    collations,
    constraints,
    extensions,
    heap,
    indexes,
    large_objects,
    ledger,
    reachable,
    rows,
    sequences,
    settings,
    side_effects,
)
from pgdrill.checks.check import Check

ALL: tuple[Check[Any], ...] = (
    reachable.CHECK,
    settings.CHECK,
    ledger.CHECK,
    catalog.CHECK,
    rows.CHECK,
    heap.CHECK,
    indexes.CHECK,
    constraints.CHECK,
    sequences.CHECK,
    collations.CHECK,
    extensions.CHECK,
    large_objects.CHECK,
    assertions.CHECK,
    side_effects.CHECK,
)


def documentation() -> str:
    """Return docs/checks.md: every check's own docstring, which is its documentation."""
    parts = [
        "# The checks",
        "",
        "Written by `pgdrill check docs` from the checks themselves.",
        "A check that could not run is `inconclusive`, never `passed`; one left out of the plan is `not_asked`.",
    ]
    for check in ALL:
        text = inspect.cleandoc(sys.modules[check.judge.__module__].__doc__ or "")
        title, _, body = text.partition("\n")
        parts += ["", f"## {check.name}", "", title.removeprefix(f"{check.name}:").strip().capitalize()]
        if body.strip():
            parts += ["", "```text", body.strip("\n"), "```"]
    return "\n".join(parts) + "\n"
