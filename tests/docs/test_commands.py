"""Every command that a document or an error's hint tells somebody to type is there, with those options."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from pgdrill.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if path.name != "CHANGELOG.md"]
COMMAND = re.compile(r"(?:^|[`;&|(:] ?|\$ )(?:\.venv/bin/)?(pgdrill [a-z][^`\n|>#;)]*)", re.MULTILINE)


def _in_documents() -> list[tuple[str, str]]:
    """Return (where, command) for each in code, be it a block or a word."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        words = re.findall(r"(?<!`)`(pgdrill [^`\n]+)`(?!`)", text)
        code = "\n".join([*blocks, *words])
        found += [(str(document.relative_to(ROOT)), command) for command in COMMAND.findall(code)]
    return found


def _text(node: ast.AST) -> str:
    """Return the text of a string, with VALUE for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "VALUE" for part in node.values)
    return ""


def _in_messages() -> list[tuple[str, str]]:
    """Return (where, command) for each that the program tells somebody to type: after a colon, or indented."""
    return [
        (module.name, command)
        for module in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(module.read_text()))
        for command in re.findall(r"(?:^  +|: +)(pgdrill [a-z][^;,()`]*)", _text(node))
    ]


def _unknown(command: str) -> str | None:
    """Return what in the command does not exist: a name of a command, or an option."""
    words = shlex.split(command)[1:]
    current: Any = typer.main.get_command(app)
    while hasattr(current, "commands") and words and not words[0].startswith("-"):
        inner = current.commands.get(words[0])
        if inner is None:
            return words[0]
        current, words = inner, words[1:]
    known = {
        option for parameter in current.params for option in [*parameter.opts, *parameter.secondary_opts]
    }
    known |= {"--help", "-h"}
    return next((w for w in words if w.startswith("-") and w.split("=")[0] not in known), None)


def _every_command() -> list[list[str]]:
    def walk(command: Any, path: list[str]) -> list[list[str]]:
        inner = getattr(command, "commands", {}).items()
        return [path, *(found for name, below in inner for found in walk(below, [*path, name]))]

    return walk(typer.main.get_command(app), [])


def test_every_command_in_the_documents_exists() -> None:
    commands = _in_documents()
    assert [(where, command) for where, command in commands if _unknown(command)] == []
    assert ("README.md", "pgdrill drill run") in [(where, command[:17]) for where, command in commands]


def test_every_command_in_a_message_exists() -> None:
    commands = _in_messages()
    assert [(where, command) for where, command in commands if _unknown(command)] == []
    assert ("choice.py", "pgdrill point take") in commands
    assert ("frame.py", "pgdrill evidence list") in commands


@pytest.mark.parametrize(
    ("command", "unknown"),
    [
        ("pgdrill drill walk", "walk"),
        ("pgdrill drill run --deep", "--deep"),
        ("pgdrill drill run --json", None),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(command: str, unknown: str | None) -> None:
    assert _unknown(command) == unknown


@pytest.mark.parametrize("command", _every_command(), ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(), re.MULTILINE)
    }
    assert named - targets == set()
    assert "demo" in named
