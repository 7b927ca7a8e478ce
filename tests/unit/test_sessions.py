"""PostgreSQL sessions are opened in one place; elsewhere psycopg is imported for its errors and its SQL alone."""

import ast
from pathlib import Path

import pgdrill

SOURCE = Path(pgdrill.__file__).parent


def connects(text: str) -> bool:
    """Tell whether code calls or names a `connect` of psycopg's, however it was imported."""
    tree = ast.parse(text)
    imported = any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("psycopg")
        and any(name.name == "connect" for name in node.names)
        for node in ast.walk(tree)
    )
    return imported or any(
        isinstance(node, ast.Attribute)
        and node.attr == "connect"
        and ast.unparse(node.value).startswith("psycopg")
        for node in ast.walk(tree)
    )


def test_only_database_and_the_lab_open_sessions() -> None:
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if connects(path.read_text(encoding="utf-8"))
    }
    assert {path for path in found if not path.startswith("lab/")} == {"database.py"}


def test_a_session_opened_elsewhere_would_be_seen() -> None:
    assert connects("import psycopg\npsycopg.connect('x')")
    assert connects("import psycopg\npsycopg.Connection.connect('x')")
    assert connects("from psycopg import connect")
    assert not connects("import psycopg\npsycopg.Error")
