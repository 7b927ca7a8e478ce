"""sequences: every sequence stands between where production's stood before and after the point.

Why:    a sequence set back hands out numbers that are taken; the first insert after a recovery fails, or a number
        that was given to a customer is given again.
Reads:  the position of every sequence, in production through `pgdrill.sequence_positions()`; in the copy also
        whether a sequence is behind the largest value of the column that it feeds, by that column's index.
Limits: a restored sequence may be up to 32 numbers ahead of production, which writes so many to WAL at once. One that
        cycles or is reset between the seals is told, not judged. Positions that may not be read are told; a column
        without an index is not looked at, and is counted in the coverage.
Source: PostgreSQL source, src/backend/commands/sequence.c, SEQ_LOG_VALS; documentation, pg_sequences.last_value.
"""

import math
from collections.abc import Iterator

import psycopg
from psycopg import sql

from pgdrill.checks import access, bracket
from pgdrill.checks.check import Bracket, Case, Check
from pgdrill.content.relations import qualified
from pgdrill.database import Connection, Server, quoted, settled
from pgdrill.model import Fact, Judgement, Model, Verdict

LOGGED_AHEAD = 32
# With fewer seconds left, positions alone are read.
RESERVE = 10.0

# What the owner's function shows where it may be called, else what the role may see for itself.
_OWN = """
SELECT c.oid AS sequence, has_sequence_privilege(c.oid, 'SELECT, USAGE') AS readable, s.last_value
FROM pg_catalog.pg_sequences s
JOIN pg_catalog.pg_namespace n ON n.nspname = s.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
"""
_OWNERS = "SELECT * FROM pgdrill.sequence_positions()"
_MAY_ASK_OWNER = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'pgdrill' AND p.proname = 'sequence_positions'
        AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'))
"""

_POSITIONS = """
SELECT n.nspname, c.relname, s.seqincrement, s.seqcache, s.seqcycle, p.readable, p.last_value,
    owner.nspname, owner.relname, owner.attname
FROM ({positions}) p
JOIN pg_catalog.pg_sequence s ON s.seqrelid = p.sequence
JOIN pg_catalog.pg_class c ON c.oid = p.sequence AND c.relpersistence <> 't'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT tn.nspname, t.relname, a.attname FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
    JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
        AND d.deptype IN ('a', 'i') LIMIT 1
) owner ON true
WHERE p.readable IS NOT NULL  -- NULL for what was dropped meanwhile
"""

_BEHIND = """
SELECT {furthest}({column}) {beyond} (SELECT CASE WHEN is_called THEN last_value ELSE last_value - {increment} END
                                      FROM {sequence})
FROM {table}
"""


class Position(Model):
    """Where a sequence stands; `last` is None before its first number, or if it may not be `readable`.

    `behind` says whether the column it feeds holds a number that is still to come; None where nobody looked.
    """

    increment: int
    cache: int
    cycles: bool
    readable: bool
    last: int | None
    behind: bool | None = None


class SequencesFact(Fact):
    databases: dict[str, dict[str, Position]]


def measure(server: Server, case: Case) -> SequencesFact:
    databases: dict[str, dict[str, Position]] = {}
    for database in server.databases():
        with access.readable(server, database) as session:
            databases[database] = dict(_positions(server, session, sealing=case.sealing))
    return SequencesFact(databases=databases)


def _positions(server: Server, session: Connection, *, sealing: bool) -> Iterator[tuple[str, Position]]:
    asks = sealing and session.execute(_MAY_ASK_OWNER).fetchone() == (True,)
    query = sql.SQL(_POSITIONS).format(positions=sql.SQL(_OWNERS if asks else _OWN))
    for schema, name, increment, cache, cycles, readable, last, *column in settled(session, query):
        looked = None
        look = readable and not cycles and not sealing and all(column)
        if look and server.clock.remaining() > RESERVE:
            looked = _behind(session, quoted(schema, name), increment, (column[0], column[1], column[2]))
        yield (
            qualified(schema, name),
            Position(
                increment=increment, cache=cache, cycles=cycles, readable=readable, last=last, behind=looked
            ),
        )


def _behind(
    session: Connection, sequence: sql.Composed, increment: int, owner: tuple[str, str, str]
) -> bool | None:
    """Whether the column holds a number that is still to come; the number itself stays in the server."""
    schema, table, column = owner
    query = sql.SQL(_BEHIND).format(
        furthest=sql.SQL("max" if increment > 0 else "min"),
        beyond=sql.SQL(">" if increment > 0 else "<"),
        column=quoted(column),
        table=quoted(schema, table),
        sequence=sequence,
        increment=sql.Literal(increment),
    )
    try:
        row = session.execute(query).fetchone()
    except psycopg.Error:
        # What cannot be read whole is told by `rows` and `indexes`.
        return None
    return bool(row and row[0])


def judge(fact: SequencesFact, case: Case) -> Judgement:
    sealed = case.bracket("sequences", SequencesFact)
    known = sealed.before is not None or sealed.after is not None
    found = list(_found(fact, sealed))
    wrong, hidden = [one for one in found if not one.open], [one for one in found if one.open]
    if wrong:
        return bracket.told(
            Verdict.FAILED,
            wrong,
            "not where production's stood:",
            hint="set them with setval() beyond what is in use before anything inserts; then ask why the point has them so",
            coverage=_coverage(fact, sealed),
        )
    if not known and case.point is not None:
        return bracket.NO_SEAL
    if hidden:
        return bracket.told(
            Verdict.INCONCLUSIVE,
            hidden,
            "not compared:",
            hint="let the owner's function read positions for seals: pgdrill ledger install",
            coverage=_coverage(fact, sealed),
        )
    return Judgement(
        verdict=Verdict.PASSED,
        reason="every sequence stands where production's stood"
        if known
        else "no sequence is behind its column",
        coverage=_coverage(fact, sealed),
    )


def _found(fact: SequencesFact, sealed: Bracket[SequencesFact]) -> Iterator[bracket.Difference]:
    """Yield what is wrong, and open what nobody can tell of."""
    for database, positions in sorted(fact.databases.items()):
        for name, here in sorted(positions.items()):
            around = _around(sealed, database, name)
            if what := _outside(here, *around):
                yield bracket.Difference(database, name, what, open=False)
            elif here.behind and not _placed(here, *around):
                yield bracket.Difference(database, name, "is behind the column that it feeds", open=False)
            elif _unproven(here, database, name, sealed):
                yield bracket.Difference(database, name, "may not be read", open=True)


def _coverage(fact: SequencesFact, sealed: Bracket[SequencesFact]) -> str:
    every = [
        (here, _placed(here, *_around(sealed, database, name)))
        for database, positions in fact.databases.items()
        for name, here in positions.items()
    ]
    cycling = sum(here.cycles for here, _ in every)
    told = f"{bracket.counted(len(every), 'sequence')}: compared with production {sum(placed for _, placed in every)}"
    told += f", with their column {sum(here.behind is not None for here, _ in every)}"
    return told + (f", cycling and not judged {cycling}" if cycling else "")


def _placed(here: Position, before: Position | None, after: Position | None) -> bool:
    return here.readable and not here.cycles and (before is not None or after is not None)


def _around(
    sealed: Bracket[SequencesFact], database: str, name: str
) -> tuple[Position | None, Position | None]:
    """Return where production's stood before and after, as far as that could be read."""

    def read(seal: SequencesFact | None) -> Position | None:
        position = seal.databases.get(database, {}).get(name) if seal else None
        return position if position and position.readable else None

    return read(sealed.before), read(sealed.after)


def _unproven(here: Position, database: str, name: str, sealed: Bracket[SequencesFact]) -> bool:
    """Whether production had the sequence and yet nothing is known of it; what is new is the catalog's matter."""
    seals = [seal for seal in (sealed.before, sealed.after) if seal is not None]
    had = [seal.databases[database][name] for seal in seals if name in seal.databases.get(database, {})]
    hidden = not here.readable or not any(position.readable for position in had)
    return bool(had) and hidden and here.behind is None and not here.cycles


def _outside(here: Position, before: Position | None, after: Position | None) -> str:
    """Say how a sequence lies outside of its bracket; empty where it lies inside or nobody can tell."""
    if not here.readable or here.cycles:
        return ""
    low, at, high = (_along(position, here.increment) for position in (before, here, after))
    if low is not None and high is not None and high < low:
        # Reset between the seals: anything may have been in between.
        return ""
    if low is not None and before and at is not None and at < low:
        return f"stands at {_words(here)}, was at {_words(before)} before the point"
    ahead = (LOGGED_AHEAD + here.cache) * abs(here.increment)
    if high is not None and after and at is not None and at > high + ahead:
        return f"stands at {_words(here)}, was at {_words(after)} after the point"
    return ""


def _along(position: Position | None, increment: int) -> float | None:
    """Return how far a sequence has come in its direction; endlessly far back before its first number."""
    if position is None:
        return None
    if position.last is None:
        return -math.inf
    return position.last if increment > 0 else -position.last


def _words(position: Position) -> str:
    return "its beginning" if position.last is None else str(position.last)


CHECK = Check("sequences", measure, judge, SequencesFact, sealed=True)
