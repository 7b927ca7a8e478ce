"""Whether an index and its table hold the same, by what each answers alone; without amcheck."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgdrill.checks.access import unforced
from pgdrill.database import Connection, Server, quoted
from pgdrill.expression import expression
from pgdrill.relations import Relation, qualified
from pgdrill.unread import unread

_THROUGH_INDEX = "SET enable_seqscan = off; SET enable_indexscan = on; SET enable_indexonlyscan = on"
_THROUGH_HEAP = "SET enable_seqscan = on; SET enable_indexscan = off; SET enable_indexonlyscan = off"


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


def count(server: Server, session: Connection, table: Relation) -> str:
    """Count a table's rows through an index alone and from the heap; return what differs.

    Where a page is not marked all-visible the count looks into the table; a page beyond its end is a row lost.
    """
    statement = sql.SQL("SELECT count(*) FROM ONLY {}").format(quoted(table.schema, table.name))
    try:
        index, keys, rows = _both(server, session, table, statement, statement)
    except psycopg.errors.DataCorrupted as error:
        why = unread(error, session)
        if why.block is None or why.block < table.pages or why.relation != str(table):
            raise
        return f"keys for block {why.block:,}, the table ends before block {table.pages:,}"
    if index is None or keys == rows:
        return ""
    return f"{keys[0]:,} keys in {qualified(index)}, {rows[0]:,} rows in the table"


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
    index, through, heap = _both(server, session, table, ordered, summed.format(hashed, source, sql.SQL("")))
    if index != target.name:
        return "no plan reads it alone, without amcheck", ""
    if through[0] != heap[0]:
        return "", f"{through[0]:,} keys in the index, {heap[0]:,} in the table"
    return "", "" if through == heap else "same number of keys, different content"


def _both(
    server: Server, session: Connection, table: Relation, through_index: sql.Composed, from_heap: sql.Composed
) -> tuple[str | None, tuple[Any, ...], tuple[Any, ...]]:
    """Return what an index alone and what the heap answer at one moment, and that index's name.

    None is no index: the planner has no way to read one alone.
    """
    session.execute("SET default_transaction_isolation = 'repeatable read'")
    with unforced(server, session, table.hidden), session.transaction():
        session.execute(_THROUGH_INDEX)
        explained = session.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(through_index)).fetchall()
        index = _only_through(explained[0][0][0]["Plan"])
        if index is None:
            session.execute(_THROUGH_HEAP)
            return None, (), ()
        keys = session.execute(through_index).fetchall()[0]
        session.execute(_THROUGH_HEAP)
        return index, keys, session.execute(from_heap).fetchall()[0]


def _only_through(plan: dict[str, Any]) -> str | None:
    """Return the index that a plan's one leaf reads alone."""
    while children := plan.get("Plans"):
        plan = children[0]
    return str(plan["Index Name"]) if plan["Node Type"] == "Index Only Scan" else None
