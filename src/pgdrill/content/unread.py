"""What a server's refusal tells without quoting a row: its code, and the relation and block that it names.

A message of PostgreSQL may hold row values (`Key (email)=(...)`), so none is ever kept.
"""

import re

import psycopg
from psycopg import errors

from pgdrill.database import Connection
from pgdrill.model import Model

# Class XX is raised for what cannot be in a sound database; a missing or unreadable file and bytes that are
# no text in the database's own encoding mean the same. Source: PostgreSQL documentation, appendix A.
_DAMAGE = re.compile(r"XX...|58P01|58030|22021")
_CANCELED = "57014"

_BLOCK = re.compile(r"\bblocks? (\d+)\b")
_FILE = re.compile(r'(?:file|relation|directory) "?((?:base|global|pg_tblspc|pg_xact|pg_multixact)/[\w./]+)')
_INDEX = re.compile(r'\bindex "((?:[^"]|"")+)"')
_TOAST = re.compile(r"\b(pg_toast_\d+)\b")

# Sentences of PostgreSQL's and amcheck's own that are worth more than the code, and hold no value.
_SAYINGS = (
    "invalid page",
    "could not read",
    "could not open file",
    "could not access status of transaction",
    "missing chunk number",
    "unexpected chunk number",
    "compressed pglz data is corrupt",
    "compressed lz4 data is corrupt",
    "invalid memory alloc request size",
    "contains unexpected zero page",
    "contains corrupted page",
    "is not a btree",
    "item order invariant violated",
    "high key invariant violated",
    "cross page item order invariant violated",
    "lacks matching index tuple",
    "lacks a main relation fork",
    "left link/right link pair",
    "circular link chain",
    "index uniqueness is violated",
    "not equal to expected",
    "row-level security",
    "permission denied",
)


class Unread(Model):
    """Why something could not be read whole. `where` is in PostgreSQL's own names."""

    error: str
    sqlstate: str | None = None
    saying: str = ""
    where: str = ""
    block: int | None = None

    @property
    def damage(self) -> bool:
        """Whether the data is to blame, rather than privileges, time or the connection."""
        return bool(self.sqlstate and _DAMAGE.fullmatch(self.sqlstate))

    @property
    def relation(self) -> str:
        """The relation that is to blame; empty where the server named none."""
        return self.where.rpartition(" of ")[2].removeprefix("index ")

    @property
    def canceled(self) -> bool:
        return self.sqlstate == _CANCELED

    def __str__(self) -> str:
        what = ": ".join(part for part in (self.saying or self.error, self.where) if part)
        return f"{what} ({self.sqlstate or 'no SQLSTATE'})"


def unread(error: psycopg.Error, session: Connection) -> Unread:
    """Read an error; `session` turns a file's path into a relation's name where it still can."""
    message = " ".join(part for part in (error.diag.message_primary, error.diag.message_detail) if part)
    known = errors.lookup(error.sqlstate).__name__ if error.sqlstate else type(error).__name__
    return Unread(
        error=known,
        sqlstate=error.sqlstate,
        saying=next((saying for saying in _SAYINGS if saying in message), ""),
        where=_where(message, session),
        block=int(block[1]) if (block := _BLOCK.search(message)) else None,
    )


def _where(message: str, session: Connection) -> str:
    parts = []
    if block := _BLOCK.search(message):
        parts.append(f"block {block[1]}")
    if file := _FILE.search(message):
        parts.append(_relation_of(file[1], session))
    elif toast := _TOAST.search(message):
        parts.append(f"pg_toast.{toast[1]}")
    elif index := _INDEX.search(message):
        parts.append(f"index {index[1]}")
    return " of ".join(parts)


def _relation_of(path: str, session: Connection) -> str:
    """Return the name of the relation that a file belongs to, or its path where there is none."""
    parts = path.split("/")
    node = re.match(r"\d+", parts[-1])
    if not node or parts[0] not in {"base", "global", "pg_tblspc"}:
        return path
    tablespace = {"base": "0", "global": "1664"}.get(parts[0]) or parts[1]
    try:
        row = session.execute(
            "SELECT pg_catalog.pg_filenode_relation(%s::oid, %s::oid)::regclass::text", (tablespace, node[0])
        ).fetchone()
    except psycopg.Error:
        return path
    return str(row[0]) if row and row[0] else path
