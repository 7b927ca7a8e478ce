"""What holds rows in a database, and how each column is typed: one query of the catalog, no table is read."""

from dataclasses import dataclass, field
from typing import NamedTuple

from pgdrill.database import Connection

_RELATIONS = """
WITH RECURSIVE domains (oid, base) AS (
    SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd'
), relations AS (
    SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'f') AND c.relpersistence <> 't'
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
), columns AS (
    SELECT a.attrelid, json_agg(json_build_array(
               a.attname,
               CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname ELSE '' END,
               CASE WHEN e.typnamespace = 'pg_catalog'::regnamespace AND e.typtype = 'b' THEN e.typname ELSE '' END,
               d.oid IS NOT NULL) ORDER BY a.attnum) AS list
    FROM pg_attribute a JOIN relations ON relations.oid = a.attrelid
    LEFT JOIN (domains d JOIN pg_type b ON b.oid = d.base AND b.typtype <> 'd') ON d.oid = a.atttypid
    JOIN pg_type t ON t.oid = coalesce(d.base, a.atttypid)
    LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
    GROUP BY a.attrelid
)
SELECT c.oid, c.nspname, c.relname, c.relkind::text, c.relpersistence::text, c.relispopulated,
       pg_get_userbyid(c.relowner), c.relrowsecurity, c.relforcerowsecurity,
       coalesce(am.amname, ''), c.reltoastrelid,
       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::bigint,
       CASE WHEN c.reltoastrelid <> 0 THEN coalesce(pg_relation_size(c.reltoastrelid), 0) ELSE 0 END
       / current_setting('block_size')::bigint,
       current_setting('block_size')::int,
       coalesce(columns.list, '[]')
FROM relations c LEFT JOIN columns ON columns.attrelid = c.oid LEFT JOIN pg_am am ON am.oid = c.relam
ORDER BY c.nspname COLLATE "C", c.relname COLLATE "C"
"""


class Column(NamedTuple):
    """`type` is a built-in type's name, or empty; `element` the same for an array's element."""

    name: str
    type: str
    element: str = ""
    domain: bool = False


@dataclass(frozen=True)
class Relation:
    """What holds rows of its own: a table, a partition, a materialized view; a foreign table, to name it.

    `pages` is the length of the heap; `bytes` is heap and TOAST.
    """

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    populated: bool
    owner: str
    row_security: bool
    forced: bool
    method: str
    toast: int
    pages: int
    toast_pages: int
    page_size: int
    columns: tuple[Column, ...] = field(repr=False, kw_only=True)

    def __str__(self) -> str:
        return qualified(self.schema, self.name)

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Schema and name, if row security hides rows even from the owner."""
        return [(self.schema, self.name)] if self.row_security and self.forced else []

    @property
    def bytes(self) -> int:
        return (self.pages + self.toast_pages) * self.page_size

    @property
    def unreadable(self) -> str:
        """Why there is nothing to read here, in words; empty for what is read."""
        if self.kind == "f":
            return "foreign: reading it would act on another server"
        if self.persistence == "u":
            return "unlogged: known to be empty after a restore"
        return "" if self.populated else "materialized view without data"


def qualified(*names: str) -> str:
    """Return a name as PostgreSQL writes it, but the same in every release (keywords differ)."""
    return ".".join(
        name
        if name.replace("_", "a").isalnum() and name.isascii() and name.islower() and not name[0].isdigit()
        else '"{}"'.format(name.replace('"', '""'))
        for name in names
    )


def relations(session: Connection) -> list[Relation]:
    """Return what holds rows in a database, system schemas and temporary tables excepted, in name order."""
    return [
        Relation(*row, columns=tuple(Column(*column) for column in columns))
        for *row, columns in session.execute(_RELATIONS)
    ]
