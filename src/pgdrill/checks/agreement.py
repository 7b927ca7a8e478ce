"""Whether an index and its table hold the same, by what each answers alone; without amcheck."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgdrill.checks.access import unforced
from pgdrill.content.expression import expression
from pgdrill.content.relations import Relation, qualified
from pgdrill.content.unread import unread
from pgdrill.database import Connection, Server, quoted

_THROUGH = (
    "SELECT set_config('enable_seqscan', '{0}', false), set_config('enable_indexscan', '{1}', false),"
    " set_config('enable_indexonlyscan', '{1}', false)"
)
_THROUGH_INDEX = _THROUGH.format("off", "on")
_THROUGH_HEAP = _THROUGH.format("on", "off")


@dataclass(frozen=True)
class Target:
    """An index as the catalog has it. `keys` is None where an expression is one of them.

    It is `cheap` to count where its table is small, or mostly all-visible and so not visited.
    """

    oid: int
    schema: str
    name: str
    table: int
    method: str
    valid: bool
    pages: int
    keys: list[str] | None
    predicate: str | None
    cheap: bool

    def __str__(self) -> str:
        return qualified(self.schema, self.name)


def counts(server: Server, session: Connection, tables: Sequence[Relation]) -> list[str]:
    """Count the rows of tables through an index alone and from the heap; return what differs in each.

    Where a page is not marked all-visible the count looks into the table; a page beyond its end is a row lost.
    """
    statements = [
        sql.SQL("SELECT count(*) FROM ONLY {}").format(quoted(table.schema, table.name)) for table in tables
    ]
    hidden = [name for table in tables for name in table.hidden]
    try:
        answers = _both(server, session, hidden, [(statement, statement) for statement in statements])
    except psycopg.errors.DataCorrupted as error:
        why = unread(error, session)
        if (
            len(tables) > 1
            or why.block is None
            or why.block < tables[0].pages
            or why.relation != str(tables[0])
        ):
            raise
        return [f"keys for block {why.block:,}, the table ends before block {tables[0].pages:,}"]
    return [
        ""
        if index is None or keys == rows
        else f"{keys[0]:,} keys in {qualified(index)}, {rows[0]:,} rows in the table"
        for index, keys, rows in answers
    ]


def sums(server: Server, session: Connection, table: Relation, target: Target) -> tuple[str, str]:
    """Count and sum the keys through the index alone and from the heap; return why not, what differs."""
    columns = [column for key in target.keys or () for column in table.columns if column.name == key]
    keys = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(column.name)) for column in columns)
    where = sql.SQL(f" WHERE {target.predicate}" if target.predicate else "")
    source = sql.SQL("SELECT {} FROM ONLY {} AS t{}").format(keys, quoted(table.schema, table.name), where)
    summed = sql.SQL("SELECT count(*), coalesce(sum({}), 0) FROM ({}{}) AS t")
    hashed = expression(columns, exact=True)
    # The order is the index's own: it makes the planner choose this one among several that hold the keys.
    ordered = summed.format(hashed, source, sql.SQL(" ORDER BY {}").format(keys))
    from_heap = summed.format(hashed, source, sql.SQL(""))
    ((index, through, heap),) = _both(server, session, table.hidden, [(ordered, from_heap)])
    if index != target.name:
        return "no plan reads it alone, without amcheck", ""
    if through[0] != heap[0]:
        return "", f"{through[0]:,} keys in the index, {heap[0]:,} in the table"
    return "", "" if through == heap else "same number of keys, different content"


def _both(
    server: Server,
    session: Connection,
    hidden: Sequence[tuple[str, str]],
    statements: Sequence[tuple[sql.Composed, sql.Composed]],
) -> list[tuple[str | None, tuple[Any, ...], tuple[Any, ...]]]:
    """Return what an index alone and what the heap answer, all at one moment, and that index's name.

    A statement of each pair goes through the index, the other through the heap. None is no index: the planner
    has no way to read one alone.
    """
    session.execute("SET default_transaction_isolation = 'repeatable read'")
    with unforced(server, session, hidden), session.transaction():
        with session.pipeline():
            session.execute(_THROUGH_INDEX)
            explained = [
                session.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(through))
                for through, _ in statements
            ]
            indexes = [_only_through(plan.fetchall()[0][0][0]["Plan"]) for plan in explained]
        with session.pipeline():
            read = [
                session.execute(through) if index else None
                for index, (through, _) in zip(indexes, statements, strict=True)
            ]
            session.execute(_THROUGH_HEAP)
            counted = [
                session.execute(heap) if index else None
                for index, (_, heap) in zip(indexes, statements, strict=True)
            ]
            return [
                (index, through.fetchall()[0] if through else (), heap.fetchall()[0] if heap else ())
                for index, through, heap in zip(indexes, read, counted, strict=True)
            ]


def _only_through(plan: dict[str, Any]) -> str | None:
    """Return the index that a plan's one leaf reads alone."""
    while children := plan.get("Plans"):
        plan = children[0]
    return str(plan["Index Name"]) if plan["Node Type"] == "Index Only Scan" else None
