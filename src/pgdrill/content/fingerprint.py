"""Order-independent digests of what tables hold, computed inside the server; no row leaves it.

A row's digest is the XOR of one seeded hash a column, mixed once more; a table's is the sum over its rows,
kept beside their count. So digests of any parts of a table add up to the digest of the whole, whatever the
order, the physical place or the connection, and a table can be cut over page ranges and invocations.
The hashes are PostgreSQL's own, 64 bits and not cryptographic: they find accidents, not an adversary.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Self

import psycopg
from psycopg import sql
from pydantic import BeforeValidator, Field, PlainSerializer

from pgdrill.content.expression import expression
from pgdrill.content.pages import WHOLE, Pages
from pgdrill.content.relations import Relation, relations
from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection, Server
from pgdrill.errors import NotRunnable
from pgdrill.model import Model

# Where a whole database cannot be read because its own catalog cannot.
CATALOG = "(catalog)"

# Changes with anything that changes a digest; digests of different algorithms are never compared.
ALGORITHM = 1

# A plan through an index would skip heap pages, and reading every page is half of the purpose. Even to weigh
# a merge join the planner looks into an index, which may be damaged where the table is sound.
_READ_THE_HEAP = (
    "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;"
    "SET enable_mergejoin = off"
)

# Tables up to this size are sent in batches, without waiting for each answer.
_SMALL = 4 << 20
_BATCH = 100
# Tables that share a statement: a few, with few pages in all, since PostgreSQL would compile a dearer one.
_SHARE = 20
_PAGES = 128


_SELECT = sql.SQL("SELECT count(*), coalesce(sum(")
_FROM = sql.SQL("), 0) FROM ONLY ")
_AS = sql.SQL(" AS t")
_WHERE = sql.SQL(" WHERE")


def _read_sum(value: object) -> object:
    if isinstance(value, str):
        number = int(value, 16)
        return number - (1 << 128) if number >> 127 else number
    return value


def _write_sum(number: int) -> str:
    return format(number % (1 << 128), "032x")


# 2^63 rows of 64 bits each fit in 128 bits, written as two's complement: JSON numbers stop at 2^53.
Sum = Annotated[
    int,
    BeforeValidator(_read_sum),
    PlainSerializer(_write_sum, return_type=str, when_used="json"),
]


class Digest(Model):
    """The count and the digest of some rows. Digests of disjoint parts add up."""

    rows: int = 0
    sum: Sum = 0

    @property
    def hex(self) -> str:
        return _write_sum(self.sum)

    def __add__(self, other: Self) -> "Digest":
        return Digest(rows=self.rows + other.rows, sum=self.sum + other.sum)


class Table(Digest):
    """The digest of a whole table; `bytes` is heap and TOAST."""

    pages: int = 0
    bytes: int = 0


class Contents(Model):
    """What one database holds. `skipped` are tables that hold no rows of the backup's, with the reason."""

    tables: dict[str, Table] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    unread: dict[str, Unread] = Field(default_factory=dict)


class Fingerprint(Model):
    """Digests of every table of every database, by name."""

    algorithm: int = ALGORITHM
    exact: bool = False
    databases: dict[str, Contents] = Field(default_factory=dict)


class Difference(Model):
    """A table in which two fingerprints differ; None on the side where it is not."""

    database: str
    table: str
    what: str
    a: Table | None = None
    b: Table | None = None


def query(relation: Relation, pages: Pages = WHOLE, *, exact: bool = False) -> sql.Composed:
    """Compose the statement that returns count and sum over the rows of some pages."""
    bounds = []
    if pages.start:
        bounds.append(sql.SQL(" t.ctid >= {}::tid").format(sql.Literal(f"({pages.start},0)")))
    if pages.end is not None:
        bounds.append(sql.SQL(" t.ctid < {}::tid").format(sql.Literal(f"({pages.end},0)")))
    table = sql.Identifier(relation.schema, relation.name)
    # In parts: to read a format string takes longer than the server takes for a tiny table.
    parts = [_SELECT, expression(relation.columns, exact=exact), _FROM, table, _AS]
    if bounds:
        parts += [_WHERE, sql.SQL(" AND").join(bounds)]
    return sql.Composed(parts)


def prepare(session: Connection) -> None:
    """Make a session read heaps, so that no plan takes a shorter way around a damaged page."""
    session.execute(_READ_THE_HEAP)


def digest(session: Connection, relation: Relation, pages: Pages = WHOLE, *, exact: bool = False) -> Digest:
    """Return the digest of some pages of a table, through a prepared session.

    Raises:
        psycopg.Error: the pages cannot be read whole.
    """
    return as_digest(session.execute(query(relation, pages, exact=exact)).fetchall()[0])


def digests(session: Connection, small: Sequence[Relation], *, exact: bool = False) -> list[Digest]:
    """Return the digests of many small tables, without waiting for each answer.

    Raises:
        psycopg.Error: one of them cannot be read whole; nothing is known of the others.
    """
    groups = list(_groups(small))
    with session.pipeline():
        answers = [session.execute(_together(group, exact=exact)) for group in groups]
        return [as_digest(row) for answer in answers for _, *row in sorted(answer.fetchall())]


def _groups(small: Iterable[Relation]) -> Iterator[list[Relation]]:
    """Group tables, in their order, that share a statement."""
    group: list[Relation] = []
    pages = 0
    for relation in small:
        if group and (len(group) == _SHARE or pages + relation.pages > _PAGES):
            yield group
            group, pages = [], 0
        group.append(relation)
        pages += relation.pages
    if group:
        yield group


def _together(group: Iterable[Relation], *, exact: bool) -> sql.Composed:
    one = sql.SQL("SELECT {} AS at, part.* FROM ({}) AS part")
    parts = (one.format(at, query(relation, exact=exact)) for at, relation in enumerate(group))
    return sql.SQL(" UNION ALL ").join(parts)


def as_digest(row: Sequence[Any]) -> Digest:
    """Read the row that `query` returns."""
    rows, total = row
    return Digest(rows=int(rows), sum=int(total))


def fingerprint(server: Server, databases: Sequence[str] = (), *, exact: bool = False) -> Fingerprint:
    """Return the fingerprint of some or all databases, each as of one moment.

    Raises:
        NotRunnable: a database that was asked for is not there.
        Unavailable: the server refused or did not answer.
    """
    there = server.databases()
    if absent := [name for name in databases if name not in there]:
        raise NotRunnable(
            f"no database {absent[0]!r} on the server", hint=f"it has: {', '.join(map(repr, there))}"
        )
    return Fingerprint(
        exact=exact, databases={name: _contents(server, name, exact=exact) for name in databases or there}
    )


def _contents(server: Server, database: str, *, exact: bool) -> Contents:
    tables: dict[str, Table] = {}
    refused: dict[str, Unread] = {}
    with server.session(database) as session:
        prepare(session)
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            found = relations(session)
        except psycopg.Error as error:
            return Contents(unread={CATALOG: unread(error, session)})
        read = [relation for relation in found if not relation.unreadable]
        whole = sum(relation.bytes for relation in read) or 1
        done = 0
        for batch in _batches(read):
            server.progress(f"{database}: {batch[0]}, {100 * done // whole} % of {whole / 1e6:,.0f} MB read")
            for relation, answer in zip(batch, _try(session, batch, exact=exact), strict=True):
                if isinstance(answer, Unread):
                    refused[str(relation)] = answer
                else:
                    tables[str(relation)] = Table(**dict(answer), pages=relation.pages, bytes=relation.bytes)
            done += sum(relation.bytes for relation in batch)
    skipped = {str(relation): relation.unreadable for relation in found if relation.unreadable}
    return Contents(tables=tables, skipped=skipped, unread=refused)


def _batches(read: Iterable[Relation]) -> Iterator[list[Relation]]:
    """Cut tables into batches, large ones alone and first."""
    by_size = sorted(read, key=lambda relation: relation.bytes, reverse=True)
    small = [relation for relation in by_size if relation.bytes <= _SMALL]
    yield from ([relation] for relation in by_size[: len(by_size) - len(small)])
    yield from (small[at : at + _BATCH] for at in range(0, len(small), _BATCH))


def _try(session: Connection, batch: Sequence[Relation], *, exact: bool) -> list[Digest | Unread]:
    """Read a batch; where that fails, one by one, so that one bad table does not hide the others."""
    try:
        with session.transaction():
            return list(digests(session, batch, exact=exact))
    except psycopg.Error as error:
        if len(batch) == 1:
            return [unread(error, session)]
        return [answer for relation in batch for answer in _try(session, [relation], exact=exact)]


def differences(a: Fingerprint, b: Fingerprint, names: tuple[str, str] = ("A", "B")) -> list[Difference]:
    """Return where two fingerprints differ; what either could not read is left to the caller.

    Raises:
        NotRunnable: they were made in different ways, so that equal content may have unequal digests.
    """
    if (a.algorithm, a.exact) != (b.algorithm, b.exact):
        raise NotRunnable(
            f"fingerprints made in different ways: algorithm {a.algorithm} and {b.algorithm},"
            f" exact {a.exact} and {b.exact}",
            hint="make both with the same version of pgdrill and the same --exact",
        )
    found = []
    for database in sorted(a.databases.keys() | b.databases.keys()):
        if database in a.databases and database in b.databases:
            for table, what in _differences(a.databases[database], b.databases[database], names):
                left, right = (side.databases[database].tables.get(table) for side in (a, b))
                found.append(Difference(database=database, table=table, what=what, a=left, b=right))
        else:
            only = names[0] if database in a.databases else names[1]
            found.append(Difference(database=database, table="", what=f"database only in {only}"))
    return found


def _differences(a: Contents, b: Contents, names: tuple[str, str]) -> Iterator[tuple[str, str]]:
    known_a, known_b = ({*side.tables, *side.skipped, *side.unread} for side in (a, b))
    for table in sorted((known_a | known_b) - {CATALOG}):
        left, right = a.tables.get(table), b.tables.get(table)
        if table not in known_a or table not in known_b:
            yield table, f"only in {names[0] if table in known_a else names[1]}"
        elif table in a.unread or table in b.unread:
            continue
        elif a.skipped.get(table) != b.skipped.get(table):
            side = names[0] if table in a.skipped else names[1]
            yield table, f"{a.skipped.get(table) or b.skipped[table]}, only in {side}"
        elif left and right and left.rows != right.rows:
            yield table, f"{left.rows:,} rows in {names[0]}, {right.rows:,} rows in {names[1]}"
        elif left and right and left.sum != right.sum:
            yield table, "same number of rows, different content"
