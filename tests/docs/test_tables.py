"""What tables of the documents list is complete: every part of the repository, every command that calls AWS."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from pgdrill.cli import app

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/pgdrill"
# These call no AWS, or that of a lab alone.
LOCAL = ("check ", "compare", "demo", "evidence schema", "fingerprint", "lab ", "plan schema", "verify")
CLOCKS = re.compile(r"\b(datetime\.now|datetime\.utcnow|time\.time|date\.today)\(")


def _cells(document: str) -> str:
    """Return the first column of the document's tables."""
    return "\n".join(re.findall(r"^\| (.+?) \|", (ROOT / document).read_text(), re.MULTILINE))


def _commands(group: Any, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def test_contributing_names_every_part_of_the_repository() -> None:
    packages = [path.parent for path in SOURCE.glob("*/__init__.py")]
    tests = [path.parent for path in (ROOT / "tests").glob("*/__init__.py")]
    named = _cells("CONTRIBUTING.md")
    parts = {str(path.relative_to(ROOT)) for path in (*packages, *tests, ROOT / "infra")}
    assert {part for part in parts if f"`{part}/`" not in named and f"`{part}`" not in named} == set()
    assert "src/pgdrill/watching" in parts


def test_the_clock_is_read_where_contributing_says() -> None:
    reading = {
        path.relative_to(SOURCE).parts[0] if path.parent.name != "handlers" else f"handlers/{path.name}"
        for path in SOURCE.rglob("*.py")
        if CLOCKS.search(path.read_text())
    }
    assert reading == {"cli", "lab", "handlers/boundary.py"}


def test_the_permissions_name_every_command_that_calls_aws() -> None:
    named = _cells("docs/permissions.md")
    commands = {
        command for command in _commands(typer.main.get_command(app)) if not command.startswith(LOCAL)
    }
    assert {command for command in commands if not re.search(rf"`{command}(`| --)", named)} == set()
    assert "status" in commands
