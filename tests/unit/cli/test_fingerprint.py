"""`compare` reads files, prints differences and tells them from what could not be read."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pgdrill.cli import fingerprint as command
from pgdrill.content.fingerprint import Contents, Fingerprint, Table
from pgdrill.content.unread import Unread
from pgdrill.errors import NotRunnable

app = typer.Typer()
command.register(app)

A = Table(rows=3, sum=5, pages=1, bytes=8192)
B = Table(rows=4, sum=6, pages=1, bytes=8192)
REFUSED = Unread(error="InsufficientPrivilege", sqlstate="42501", saying="permission denied")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    contents = {
        "a": {"shop": Contents(tables={"s.t": A, "s.u": A})},
        "b": {"shop": Contents(tables={"s.t": B, "s.u": A})},
        "blind": {"shop": Contents(tables={"s.t": A}, unread={"s.u": REFUSED})},
        "more": {"shop": Contents(tables={"s.t": A, "s.u": A}), "other": Contents()},
    }
    for name, databases in contents.items():
        (tmp_path / name).write_text(Fingerprint(databases=databases).model_dump_json())
    (tmp_path / "no").write_text("{}, or not")
    return {name: str(tmp_path / name) for name in (*contents, "no")}


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("a", "a"), 0, "no difference, 2 tables compared"),
        (("a", "b"), 1, "3 rows in A, 4 rows in B"),
        (("a", "more"), 1, "database only in B"),
        (("a", "more", "--database", "shop"), 0, "no difference, 2 tables compared"),
        (("a", "blind"), 3, "not read: shop: s.u: permission denied (42501)"),
        (("b", "blind"), 1, "not read: shop: s.u: permission denied (42501)"),
    ],
)
def test_the_status_tells_equal_different_and_unread_apart(
    files: dict[str, str], arguments: tuple[str, ...], status: int, text: str
) -> None:
    result = CliRunner().invoke(app, ["compare", *(files.get(one, one) for one in arguments)])
    assert result.exit_code == status, result.output
    assert text in result.output


def test_differences_are_printed_for_machines(files: dict[str, str]) -> None:
    result = CliRunner().invoke(app, ["compare", files["a"], files["b"], "--json"])
    found = json.loads(result.output)
    assert [one["table"] for one in found["differences"]] == ["s.t"]
    assert found["unread"] == []


def test_a_file_that_is_no_fingerprint_is_named(files: dict[str, str]) -> None:
    result = CliRunner().invoke(app, ["compare", files["a"], files["no"]])
    assert isinstance(result.exception, NotRunnable)
    assert result.exception.message == f"{files['no']!r} is not a fingerprint"
    assert result.exception.hint == "make one with: pgdrill fingerprint DSN --output FILE"


def test_what_is_neither_a_file_nor_a_connection_string_is_named() -> None:
    result = CliRunner().invoke(app, ["compare", "a.json", "b.json"])
    assert isinstance(result.exception, NotRunnable)
    assert result.exception.message == "'a.json' is neither a file nor a connection string"
