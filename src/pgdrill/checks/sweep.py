"""The shared measure of `rows` and `heap`: one pass over every table, a range of pages at a time.

amcheck verifies a range, then the same range is fingerprinted while it is still in memory, so every page is
read from disk once. Only what is asked for is done, by several sessions, within the step's time; what is left
is written down as ranges, and the next call goes on from there.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import psycopg
from psycopg import sql
from pydantic import Field

from pgdrill.checks.access import Access, opened, unforced
from pgdrill.checks.check import Case
from pgdrill.checks.parallel import MARGIN, sessions_for, spread
from pgdrill.content import fingerprint
from pgdrill.content.fingerprint import ALGORITHM, CATALOG, Contents, Digest, Fingerprint, Table
from pgdrill.content.pages import Pages, cuts, merged
from pgdrill.content.relations import Relation, qualified, relations
from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection, Server
from pgdrill.model import Fact, Model

# 64 MB of 8 kB pages: a few seconds of a cold volume, small enough to stay cached between the two reads.
RANGE = 8192
# Small tables that share a round trip: at most this many, and together at most one range.
BATCH = 50
# Seconds that one range may take before it is given up.
LIMIT = 600.0
MESSAGES = 3

_SYSTEM = """
SELECT c.oid, n.nspname, c.relname, pg_relation_size(c.oid) / current_setting('block_size')::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam
WHERE c.relkind IN ('r', 't') AND am.amname = 'heap' AND (
    n.nspname IN ('pg_catalog', 'information_schema')
    OR c.oid IN (SELECT s.reltoastrelid FROM pg_class s JOIN pg_namespace m ON m.oid = s.relnamespace
                 WHERE m.nspname IN ('pg_catalog', 'information_schema')))
"""


class Swept(Model):
    """What is known of one heap. `digest` holds what has been read so far, `pending` the ranges to go.

    `user` tells a table of the database's own from a system catalog and from TOAST, whose rows are not
    counted. `corrupt` counts what amcheck found, `messages` are its first; they hold numbers only.
    """

    user: bool = False
    pages: int = 0
    bytes: int = 0
    digest: Digest | None = None
    skipped: str = ""
    unread: Unread | None = None
    verified: bool = False
    unverified: Unread | None = None
    corrupt: int = 0
    messages: tuple[str, ...] = ()
    pending: tuple[tuple[int, int | None], ...] = ()


class Database(Model):
    """`amcheck` is False where it is refused: then reading under checksums stands in for it."""

    amcheck: bool = False
    unread: Unread | None = None
    heaps: dict[str, Swept] = Field(default_factory=dict)

    @property
    def pending(self) -> bool:
        return any(heap.pending for heap in self.heaps.values())

    def contents(self) -> Contents:
        user = {name: heap for name, heap in self.heaps.items() if heap.user}
        unread = {name: heap.unread for name, heap in user.items() if heap.unread}
        return Contents(
            tables={
                name: Table(**dict(heap.digest), pages=heap.pages, bytes=heap.bytes)
                for name, heap in user.items()
                if heap.digest and not heap.unread and not heap.pending
            },
            skipped={name: heap.skipped for name, heap in user.items() if heap.skipped},
            unread=unread | ({CATALOG: self.unread} if self.unread else {}),
        )


class SweepFact(Fact):
    algorithm: int = ALGORITHM
    exact: bool = False
    checksums: bool = False
    databases: dict[str, Database] = Field(default_factory=dict)

    def fingerprint(self) -> Fingerprint:
        """Return the content of the tables that were read whole."""
        return Fingerprint(
            algorithm=self.algorithm,
            exact=self.exact,
            databases={name: one.contents() for name, one in self.databases.items()},
        )


@dataclass(frozen=True)
class Piece:
    """Some pages of one heap, `weight` many: to verify, to read, or both."""

    name: str
    oid: int
    pages: Pages
    weight: int
    verify: bool
    read: Relation | None


def sweep(server: Server, case: Case) -> SweepFact:
    earlier = case.resumed(SweepFact)
    names = server.databases()
    with server.session(server.address.dbname) as session:
        checksums = session.execute("SELECT current_setting('data_checksums') = 'on'").fetchall()[0][0]
    done = dict(earlier.databases) if earlier else {}
    for name in names:
        known = done.get(name)
        if known and not known.pending:
            continue
        if server.clock.remaining() < 2 * MARGIN:
            break
        with opened(server, name) as access:
            done[name] = _Pass(server, case, name, access, known).run()
    return SweepFact(
        complete=all(name in done and not done[name].pending for name in names),
        exact=case.checks.rows.exact,
        checksums=checksums,
        databases=done,
    )


class _Pass:
    """One call's pass over one database. Its sessions share the jobs and what is known of each heap."""

    def __init__(self, server: Server, case: Case, name: str, access: Access, known: Database | None) -> None:
        self.server = server
        self.name = name
        self.access = access
        self.exact = case.checks.rows.exact
        self.verify = "heap" in case.asked and access.schema is not None
        # Where amcheck is refused, a full read under checksums is the next best that `heap` can have.
        self.read = "rows" in case.asked or not self.verify
        self.heaps = dict(known.heaps) if known else {}
        self.left: dict[str, set[Pages]] = {}
        self.jobs: deque[list[Piece]] = deque()
        self.lock = Lock()
        self.total = self.swept = 0

    def run(self) -> Database:
        refused = self.access.damage
        sessions = 1
        try:
            self.plan(self.access.session)
            sessions = sessions_for(self.access.session, self.total)
        except psycopg.Error as error:
            refused = unread(error, self.access.session)
        spread(self.server, self.name, self.jobs, self.do, sessions=sessions, limit=LIMIT)
        for name, left in self.left.items():
            self.heaps[name] = self.heaps[name].model_copy(update={"pending": merged(left)})
        return Database(amcheck=self.access.schema is not None, unread=refused, heaps=self.heaps)

    def plan(self, session: Connection) -> None:
        """Cut what is to do into jobs, the longest first, small heaps together."""
        pieces = [piece for relation in relations(session) for piece in self.pieces(relation)]
        if self.verify:
            for oid, schema, table, pages in session.execute(_SYSTEM):
                heap = Swept(pages=pages)
                pieces += self.cut(qualified(schema, table), heap, oid, verify=True)
        pieces.sort(key=lambda piece: piece.weight, reverse=True)
        self.total = sum(piece.weight for piece in pieces)
        self.jobs.extend(_jobs(pieces))

    def pieces(self, relation: Relation) -> list[Piece]:
        verify = self.verify and relation.kind != "f" and relation.method == "heap"
        read = relation if self.read and not relation.unreadable else None
        heap = Swept(
            user=True,
            pages=relation.pages,
            bytes=relation.bytes,
            digest=Digest() if read else None,
            skipped=relation.unreadable,
        )
        pieces = self.cut(str(relation), heap, relation.oid, verify=verify, read=read)
        if verify and relation.toast:
            toast = Swept(pages=relation.toast_pages)
            pieces += self.cut(f"{relation} (TOAST)", toast, relation.toast, verify=True)
        return pieces

    def cut(
        self, name: str, heap: Swept, oid: int, *, verify: bool, read: Relation | None = None
    ) -> list[Piece]:
        """Note a heap, and cut what is left of it into pieces of at most one range."""
        if name not in self.heaps:
            self.heaps[name] = heap.model_copy(update={"pending": ((0, None),) if verify or read else ()})
        pieces = []
        for start, end in self.heaps[name].pending:
            # Only PostgreSQL's own heap has pages that a range of ctid can name.
            whole = read and read.method != "heap"
            for pages in [Pages(start, end)] if whole else cuts(start, end, heap.pages, RANGE):
                weight = (heap.pages if pages.end is None else pages.end) - pages.start
                pieces.append(Piece(name, oid, pages, max(weight, 1), verify, read))
        self.left[name] = {piece.pages for piece in pieces}
        return pieces

    def do(self, session: Connection, job: list[Piece], final: bool) -> None:
        share = 100 * self.swept // self.total if self.total else 0
        self.server.progress(f"{self.name}: {job[0].name}, {share} % of {self.total} pages swept")
        if len(job) == 1:
            self.alone(session, job[0], final)
            return
        try:
            self.together(session, job)
        except psycopg.Error:
            # One bad heap must not hide the others; what the session does not survive, the next one goes on after.
            self.jobs.extend([piece] for piece in job)

    def together(self, session: Connection, job: list[Piece]) -> None:
        """Sweep many small heaps in one round trip."""
        with session.pipeline():
            asked = [
                (
                    piece,
                    session.execute(self.verification(piece)) if piece.verify else None,
                    session.execute(self.reading(piece)) if piece.read else None,
                )
                for piece in job
            ]
            answers = [
                (piece, found.fetchall()[0] if found else None, rows.fetchall()[0] if rows else None)
                for piece, found, rows in asked
            ]
        for piece, found, rows in answers:
            self.note(piece, found=found, rows=rows)

    def alone(self, session: Connection, piece: Piece, final: bool) -> None:
        """Sweep one piece; verifying and reading fail apart. What the end of the step cut off stays pending."""
        results: dict[str, Any] = {}
        with unforced(self.server, session, piece.read.hidden if piece.read else []):
            for what, wanted, statement in (
                ("found", piece.verify, self.verification),
                ("rows", piece.read and not self.heaps[piece.name].unread, self.reading),
            ):
                if not wanted:
                    continue
                try:
                    with session.transaction():
                        results[what] = session.execute(statement(piece)).fetchall()[0]
                except psycopg.Error as error:
                    why = unread(error, session)
                    if why.canceled and not final:
                        return
                    results[f"{what}_not"] = why
            self.note(piece, **results)

    def verification(self, piece: Piece) -> sql.Composed:
        last = None if piece.pages.end is None else piece.pages.end - 1
        return sql.SQL(
            "SELECT count(*), (array_agg(format('block %s, line pointer %s: %s', blkno, offnum, msg)"
            " ORDER BY blkno, offnum))[1:{}] FROM {}({}::oid::regclass, on_error_stop => false,"
            " check_toast => true, skip => 'none', startblock => {}, endblock => {})"
        ).format(MESSAGES, self.access.function("verify_heapam"), piece.oid, piece.pages.start or None, last)

    def reading(self, piece: Piece) -> sql.Composed:
        if piece.read is None:
            raise ValueError(f"{piece.name} is not to be read")
        return fingerprint.query(piece.read, piece.pages, exact=self.exact)

    def note(
        self,
        piece: Piece,
        *,
        found: tuple[int, list[str] | None] | None = None,
        rows: tuple[Any, Any] | None = None,
        found_not: Unread | None = None,
        rows_not: Unread | None = None,
    ) -> None:
        """Add a piece's results to what is known of its heap, and strike it from what is left."""
        with self.lock:
            heap = self.heaps[piece.name]
            damaged = [str(found_not)] if found_not and found_not.damage else []
            messages = [*heap.messages, *((found and found[1]) or []), *damaged]
            self.left[piece.name].discard(piece.pages)
            self.swept += piece.weight
            self.heaps[piece.name] = heap.model_copy(
                update={
                    "digest": heap.digest + fingerprint.as_digest(rows)
                    if heap.digest and rows
                    else heap.digest,
                    "unread": heap.unread or rows_not,
                    "verified": piece.verify,
                    "unverified": heap.unverified or found_not,
                    "corrupt": heap.corrupt + (found[0] if found else 0) + len(damaged),
                    "messages": tuple(messages[:MESSAGES]),
                }
            )


def _jobs(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Group pieces: small ones share a round trip, those that need a transaction of their own stay alone."""
    small: list[Piece] = []
    for piece in pieces:
        if piece.weight > RANGE // BATCH or (piece.read and piece.read.hidden):
            yield [piece]
            continue
        small.append(piece)
        if len(small) == BATCH:
            yield small
            small = []
    if small:
        yield small
