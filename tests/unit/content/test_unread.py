"""A refusal is told by its code and PostgreSQL's own names; never by a message that may quote a row."""

from typing import cast

import psycopg
import pytest

from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection


class Diag:
    def __init__(self, primary: str, detail: str | None = None) -> None:
        self.message_primary = primary
        self.message_detail = detail


class Catalog:
    """A session that knows one relation's file."""

    def execute(self, _query: str, params: tuple[str, str]) -> "Catalog":
        if params == ("1663", "9"):
            raise psycopg.OperationalError("gone")
        self.name = {("0", "16423"): "shop.orders", ("1664", "1260"): "pg_authid"}.get(params)
        return self

    def fetchone(self) -> tuple[str | None]:
        return (self.name,)


def read(sqlstate: str | None, primary: str, detail: str | None = None) -> Unread:
    class Refusal(psycopg.Error):
        @property
        def diag(self) -> Diag:  # type: ignore[override]  # libpq's own cannot be made by hand
            return Diag(primary, detail)

    refusal = Refusal()
    refusal.sqlstate = sqlstate
    return unread(refusal, cast("Connection", Catalog()))


@pytest.mark.parametrize(
    ("sqlstate", "primary", "text"),
    [
        (
            "XX001",
            "invalid page in block 12 of relation base/5/16423",
            "invalid page: block 12 of shop.orders (XX001)",
        ),
        (
            "XX001",
            'could not read block 3 in file "base/5/16423.1": read only 0 of 8192 bytes',
            "could not read: block 3 of shop.orders (XX001)",
        ),
        (
            "58P01",
            'could not open file "global/1260": No such file',
            "could not open file: pg_authid (58P01)",
        ),
        (
            "58P01",
            'could not open file "base/5/777": No such file',
            "could not open file: base/5/777 (58P01)",
        ),
        (
            "XX001",
            "missing chunk number 0 for toast value 16424 in pg_toast_16400",
            "missing chunk number: pg_toast.pg_toast_16400 (XX001)",
        ),
        (
            "XX002",
            'index "Order Lines_pkey" contains unexpected zero page at block 1',
            "contains unexpected zero page: block 1 of index Order Lines_pkey (XX002)",
        ),
        ("42501", "permission denied for table secrets", "permission denied (42501)"),
    ],
)
def test_what_the_server_names_is_kept(sqlstate: str, primary: str, text: str) -> None:
    assert str(read(sqlstate, primary)) == text


def test_a_file_of_the_commit_log_is_named_from_the_detail() -> None:
    found = read(
        "58P01",
        "could not access status of transaction 731",
        'Could not open file "pg_xact/0000": No such file.',
    )
    assert str(found) == "could not access status of transaction: pg_xact/0000 (58P01)"


def test_a_message_that_quotes_a_row_is_not_kept() -> None:
    found = read("23505", 'duplicate key "k"', "Key (email)=(ada@example.org) already exists.")
    assert str(found) == "UniqueViolation (23505)"
    assert "ada" not in found.model_dump_json()


def test_a_lost_connection_has_no_code() -> None:
    assert str(read(None, "server closed the connection")) == "Refusal (no SQLSTATE)"


@pytest.mark.parametrize(
    ("sqlstate", "damage"),
    [
        ("XX000", True),
        ("XX001", True),
        ("XX002", True),
        ("58P01", True),
        ("58030", True),
        ("22021", True),
        ("42501", False),
        ("57014", False),
        ("53200", False),
        ("54000", False),
        (None, False),
    ],
)
def test_only_what_a_sound_database_cannot_answer_is_damage(sqlstate: str | None, damage: bool) -> None:
    assert Unread(error="e", sqlstate=sqlstate).damage is damage


@pytest.mark.parametrize(
    ("where", "relation"),
    [
        ("", ""),
        ("block 1 of shop.orders", "shop.orders"),
        ("index a_pkey", "a_pkey"),
        ("pg_xact/0000", "pg_xact/0000"),
    ],
)
def test_the_relation_to_blame_is_named(where: str, relation: str) -> None:
    assert Unread(error="e", where=where).relation == relation
