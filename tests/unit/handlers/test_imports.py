"""A cold start loads what its function needs. Tried in a process of its own, since tests load everything."""

import subprocess
import sys
from pathlib import Path

import pgdrill.handlers

# What `pulumi` names: one module a function.
FUNCTIONS = (
    "beat",
    "choose",
    "confront",
    "copy",
    "destroy",
    "examine",
    "export",
    "hear",
    "judge",
    "observe",
    "reap",
    "restore",
    "retain",
    "seal",
    "take",
    "unlock",
    "watch",
)
SHARED = {"__init__", "boundary", "payloads", "pointing", "steps"}
# What only a person, the lab, a rendered report or an export needs.
HEAVY = (
    "typer",
    "rich",
    "click",
    "jinja2",
    "pyarrow",
    "ministack",
    "pulumi",
    "psutil",
    "pgdrill.lab",
    "pgdrill.cli",
)

PROGRAM = f"""
import importlib, sys
for name in {FUNCTIONS!r}:
    assert callable(importlib.import_module("pgdrill.handlers." + name).handler), name
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_every_module_is_a_function_or_what_they_share() -> None:
    there = {path.stem for path in Path(pgdrill.handlers.__path__[0]).glob("*.py")}
    assert there == {*FUNCTIONS, *SHARED}


def test_no_function_loads_what_it_does_not_need() -> None:
    loaded = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
