"""Sums on the server: whether a table there holds what sums over its exported rows say, asked inside the server.

Not even a sum leaves the server, since that of a single row is the row's own value: what comes back are counts and
agreements. Composes every statement; opens a session only to list tables.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import LiteralString

import psycopg
from psycopg import sql

from pgdrill.content.relations import Column
from pgdrill.content.unread import unread
from pgdrill.database import Connection, Server, quoted
from pgdrill.errors import Broken
from pgdrill.exporting import exported
from pgdrill.exporting.parquet_types import Kind, Mapping, Sum, Sums, mapping

KEY = "(key)"
# Columns compared by one statement, below PostgreSQL's 1,664 results.
_WIDTH = 400

# What an export lists: partitions are part of their root, and what is unlogged is left out.
_TABLES = """
WITH RECURSIVE domains (oid, base) AS (
    SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd'
)
SELECT n.nspname, c.relname,
    (SELECT coalesce(json_agg(json_build_array(a.attname,
            CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname ELSE '' END,
            '', d.oid IS NOT NULL) ORDER BY a.attnum), '[]')
        FROM pg_attribute a
        LEFT JOIN (domains d JOIN pg_type b ON b.oid = d.base AND b.typtype <> 'd') ON d.oid = a.atttypid
        JOIN pg_type t ON t.oid = coalesce(d.base, a.atttypid)
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attnum = k.number
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid ORDER BY k.place),
    c.relrowsecurity,
    ARRAY(SELECT array_to_json(ARRAY[pn.nspname, pc.relname]) FROM pg_class pc
        JOIN pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE pc.relforcerowsecurity AND pc.oid IN (
            SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)
            UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""

_MOMENT: LiteralString = (
    "CASE WHEN {v} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'"
    " THEN (extract(epoch FROM {v}) * 1000000)::bigint END"
)
_HASH: LiteralString = "('x' || left(md5({v}), 16))::bit(64)::bigint"
_TEXT: LiteralString = "('x' || left(md5(convert_to({v}::text, 'UTF8')), 16))::bit(64)::bigint"
_FINITE: LiteralString = "CASE WHEN {v} NOT IN ('NaN', 'Infinity', '-Infinity') THEN {v} END"

# The number that a value adds to its column's sum; NULL for one that is odd.
_NUMBER: dict[Kind, LiteralString] = {
    Kind.INTEGER: "{v}",
    Kind.BOOLEAN: "{v}::int",
    Kind.DECIMAL: _FINITE,
    Kind.FLOAT: "('x' || encode(float4send(CASE WHEN {v} = 'NaN' THEN 'NaN' ELSE {v} END), 'hex'))::bit(32)::int",
    Kind.DOUBLE: "('x' || encode(float8send(CASE WHEN {v} = 'NaN' THEN 'NaN' ELSE {v} END), 'hex'))::bit(64)::bigint",
    Kind.MOMENT: _MOMENT,
    Kind.TEXT: _TEXT,
    Kind.PADDED: _TEXT,
    Kind.BYTES: _HASH,
}
_KEYED: dict[Kind, LiteralString] = {
    Kind.INTEGER: "{v}::text",
    Kind.TEXT: "{v}::text",
    Kind.PADDED: "{v}::text",
    Kind.MOMENT: f"coalesce(({_MOMENT})::text, 'odd')",
}


@dataclass(frozen=True)
class Table:
    """`forced` are the tables below it, itself included, whose row security hides rows even from their owner."""

    database: str
    schema: str
    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    row_security: bool
    forced: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        """The name under which an export lists it."""
        return f"{self.database}.{self.schema}.{self.name}"

    @property
    def folder(self) -> str:
        return exported.folder(self.database, self.schema, self.name)

    def mappings(self) -> dict[str, Mapping]:
        return {column.name: mapping(column) for column in self.columns}

    def key(self) -> tuple[str, ...]:
        """The primary key, if its values have one form on both sides."""
        mappings = self.mappings()
        comparable = all(mappings[name].kind in _KEYED and mappings[name].sure for name in self.primary_key)
        return self.primary_key if comparable else ()


def tables(server: Server, database: str) -> list[Table]:
    """Return what an export of this database would list.

    Raises:
        Broken: the catalog cannot be read.
    """
    with server.session(database) as session:
        try:
            found = session.execute(_TABLES).fetchall()
        except psycopg.Error as error:
            raise Broken(
                f"the catalog of database {database!r} cannot be read: {unread(error, session)}",
                hint="examine the copy with: pgdrill verify",
            ) from error
        return [
            Table(
                database,
                schema,
                name,
                tuple(Column(*column) for column in columns),
                tuple(key),
                row_security,
                tuple((one[0], one[1]) for one in forced),
            )
            for schema, name, columns, key, row_security, forced in found
        ]


def differing(session: Connection, table: Table, sums: Sums) -> tuple[int, list[str]]:
    """Return the rows of a table, and the columns, and `(key)`, in which it does not agree with the sums.

    Raises:
        psycopg.Error: the table cannot be read whole.
    """
    asked = [
        (column.name, _agreement(column, sums.columns[column.name]))
        for column in table.columns
        if column.name not in sums.absent
    ]
    if sums.key is not None and table.key():
        asked.append((KEY, _key(table, sums.key)))
    rows, differ = 0, sorted(sums.absent)
    for start in range(0, max(1, len(asked)), _WIDTH):
        part = asked[start : start + _WIDTH]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join([sql.SQL("count(*)"), *(agreement for _, agreement in part)]),
            quoted(table.schema, table.name),
        )
        rows, *agree = session.execute(query).fetchall()[0]
        differ += [name for (name, _), same in zip(part, agree, strict=True) if not same]
    return int(rows), differ


def _agreement(column: Column, known: Sum) -> sql.Composable:
    """Compose whether the values of a column, their sum, and those without one are as many as in the export."""
    value = _value(column)
    return sql.SQL(
        "(count({v}) = {values} AND coalesce(sum({n}), 0) = {total} AND count({v}) - count({n}) = {odd})"
    ).format(
        v=value,
        n=sql.SQL(_NUMBER[mapping(column).kind]).format(v=value),
        values=sql.Literal(known.values),
        total=sql.Literal(known.total),
        odd=sql.Literal(known.odd),
    )


def _key(table: Table, total: Decimal) -> sql.Composable:
    by_name = {column.name: column for column in table.columns}
    columns = [by_name[name] for name in table.key()]
    texts = [sql.SQL(_KEYED[mapping(column).kind]).format(v=_value(column)) for column in columns]
    whole = sql.SQL("concat_ws(chr(31), {})").format(sql.SQL(", ").join(texts))
    return sql.SQL("coalesce(sum({}), 0) = {}").format(sql.SQL(_TEXT).format(v=whole), sql.Literal(total))


def _value(column: Column) -> sql.Composable:
    """Compose a column's value; a domain's is of its base type, whose functions are then found."""
    value = quoted(column.name)
    if column.domain and column.type:
        return sql.SQL("{}::{}").format(value, quoted("pg_catalog", column.type))
    return value
