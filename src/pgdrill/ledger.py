"""The ledger: a heartbeat that pgdrill writes in production, so that a restored copy can show what it holds.

The only module that writes there: one row a minute into a table of its own, hash-chained, one round trip.
What every beat was stands outside the database too, as the keys of empty objects: the witness.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import LiteralString

import psycopg
from psycopg import sql

from pgdrill import ledger_sql
from pgdrill.aws.store import Store
from pgdrill.database import Connection, Server
from pgdrill.errors import Busy, NotRunnable, Unavailable
from pgdrill.model import Beat, Fact, Model, Moment, RecoveryPoint, Rpo

# Every instance has this database, and the ledger is the instance's, not one application's.
DATABASE = "postgres"
ROLE = "pgdrill"
# A week of one a minute: as far back as the PITR window reaches.
RETAINED = 7 * 24 * 60

# `status` looks no further back.
RECENT = timedelta(days=1)

_DAY = "%Y-%m-%d"
_TIME = "%Y%m%dT%H%M%S.%fZ"
_KEY = re.compile(
    r"witness/[^/]+/\d{4}-\d\d-\d\d/(\d{20})-(\d{8}T\d{6}\.\d{6}Z)-(\d{8}T\d{6}\.\d{6}Z)-([0-9a-f]{64})"
)


class Row(Model):
    """One row of the ledger, as a database holds it. Digests are SHA-256 in hexadecimal."""

    sequence: int
    beat_at: Moment
    previous: str
    digest: str

    def expected(self) -> str:
        """Return the digest that this row's content has."""
        text = f"{self.previous}/{self.sequence}/{self.beat_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        return hashlib.sha256(text.encode()).hexdigest()


class LedgerFact(Fact):
    """The ledger of one server, oldest row first; in a seal its last row alone. Not `present`: no such table."""

    present: bool
    rows: tuple[Row, ...] = ()

    @property
    def head(self) -> Row | None:
        return self.rows[-1] if self.rows else None


class Break(StrEnum):
    """What is wrong between two neighbours of a chain, or with one row."""

    ALTERED = "altered"
    HOLE = "hole"
    ORDER = "order"
    LINK = "link"


def breaks(rows: Sequence[Row]) -> Iterator[tuple[Break, int]]:
    """Yield every break of the chain with the sequence of the row that shows it.

    A row whose digest does not follow from its content is `altered`; a number left out before it is a `hole`;
    a number that does not rise is a break of `order`; a neighbour that is not its predecessor, of the `link`.
    """
    for row in rows:
        if row.digest != row.expected():
            yield Break.ALTERED, row.sequence
    for earlier, later in pairwise(rows):
        if later.sequence <= earlier.sequence:
            yield Break.ORDER, later.sequence
        elif later.sequence > earlier.sequence + 1:
            yield Break.HOLE, later.sequence
        elif later.previous != earlier.digest:
            yield Break.LINK, later.sequence


def clock_steps(rows: Sequence[Row]) -> list[int]:
    """Return the sequences of rows before which the server's clock was set back."""
    return [later.sequence for earlier, later in pairwise(rows) if later.beat_at <= earlier.beat_at]


def silences(rows: Sequence[Row], longest: timedelta) -> list[tuple[datetime, datetime]]:
    """Return the times during which nobody beat for longer than `longest`: no row is missing, none was written."""
    return [
        (earlier.beat_at, later.beat_at)
        for earlier, later in pairwise(rows)
        if later.beat_at - earlier.beat_at > longest
    ]


def by_sequence(beats: Iterable[Beat]) -> dict[int, list[Beat]]:
    """Group beats: a production that was itself recovered beats some sequences twice, with other digests."""
    grouped: dict[int, list[Beat]] = defaultdict(list)
    for beat in beats:
        grouped[beat.sequence].append(beat)
    return grouped


def read(session: Connection, *, newest: int | None = None) -> LedgerFact:
    """Read the ledger of a session's database, or its `newest` rows alone."""
    if session.execute(ledger_sql.PRESENT).fetchone() == (None,):
        return LedgerFact(present=False)
    rows = session.execute(ledger_sql.READ, {"newest": newest}).fetchall()
    return LedgerFact(
        present=True,
        rows=tuple(
            Row(sequence=row[0], beat_at=row[1], previous=row[2], digest=row[3]) for row in reversed(rows)
        ),
    )


def rpo(
    fact: LedgerFact | None,
    point: RecoveryPoint,
    started_at: datetime,
    every: timedelta,
    usable_delay: timedelta,
    *,
    off: bool = False,
) -> Rpo:
    """Return the three numbers, in seconds, none of them below zero.

    `every` is the time between two points, `usable_delay` the time from a point's moment until it can be
    restored in the region in question. Without a ledger the point's own times bound the last two from below,
    since nothing shows that what they promise came back. `off` says that the plan wants none.
    """
    head = fact.head if fact else None
    reached = head.beat_at if head else point.recovers_to
    lag = max(timedelta(0), point.recovers_to - reached)
    return Rpo(
        lag_of_point=lag.total_seconds() if head else None,
        exposure_at_start=max(0.0, (started_at - reached).total_seconds()),
        worst_case=(every + usable_delay + lag).total_seconds(),
        basis=f"the ledger's last row in the restored copy, {head.beat_at:%Y-%m-%d %H:%M:%S} UTC"
        if head
        else f"the recovery point's own time, {point.recovers_to:%Y-%m-%d %H:%M:%S} UTC:"
        f" {'the ledger is off in the plan' if off else 'no ledger in the copy'}",
    )


# The witness -------------------------------------------------------------------------------------------


def witness_key(database: str, beat: Beat) -> str:
    """Return the key that is the beat's record; keys sort by day, then by sequence."""
    beat_at, done_at = (moment.astimezone(UTC) for moment in (beat.beat_at, beat.done_at))
    return (
        f"witness/{database}/{beat_at.strftime(_DAY)}/"
        f"{beat.sequence:020d}-{beat_at.strftime(_TIME)}-{done_at.strftime(_TIME)}-{beat.digest}"
    )


def parse_witness_key(key: str) -> Beat:
    """Read a beat back from its key.

    Raises:
        ValueError: not a key of the witness.
    """
    match = _KEY.fullmatch(key)
    if not match:
        raise ValueError(f"{key!r} is not a key of the witness")
    beat_at, done_at = (datetime.strptime(text, _TIME).replace(tzinfo=UTC) for text in match.group(2, 3))
    return Beat(sequence=int(match[1]), beat_at=beat_at, done_at=done_at, digest=match[4])


def witness(store: Store, database: str, since: datetime | None = None) -> tuple[Beat, ...]:
    """Return the beats from the day of `since` on, in the order in which they were made. Reads keys only."""
    prefix = f"witness/{database}/"
    after = prefix + since.astimezone(UTC).strftime(_DAY) if since else ""
    beats = [parse_witness_key(key) for key in store.keys(prefix, after)]
    return tuple(sorted(beats, key=lambda beat: (beat.beat_at, beat.sequence)))


# In production -----------------------------------------------------------------------------------------


def beat(server: Server, store: Store, database: str) -> Beat:
    """Write one row in production, then its record outside. `database` is the plan's name for it.

    `done_at` is the row's own time plus the whole round trip, so the commit was not later.

    Raises:
        Busy: another beat is under way.
        NotRunnable: no ledger there, or it may not be written.
        Unavailable: production or the store did not answer in time.
    """
    with server.ledger_session(DATABASE) as session:
        asked = server.clock.elapsed()
        try:
            row = session.execute(ledger_sql.BEAT).fetchone()
        except psycopg.errors.LockNotAvailable as error:
            raise Busy(
                f"the ledger of database {database!r} is locked",
                hint="another beat is under way; let one process beat it, and no session lock pgdrill.ledger",
            ) from error
        except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName) as error:
            raise NotRunnable(
                f"no ledger in database {database!r}", hint="install it with: pgdrill ledger install"
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise NotRunnable(
                f"role {server.address.user!r} may not beat the ledger of database {database!r}",
                hint="install it again with this role as --role: pgdrill ledger install",
            ) from error
        except psycopg.Error as error:
            raise Unavailable(
                f"the ledger of database {database!r} did not beat: {type(error).__name__}",
                hint="the next beat may pass; if it does not, look at the server's load, free storage and whether it takes writes",
            ) from error
        answered = server.clock.elapsed()
    if row is None:
        raise TypeError("the function beat returns one row")
    sequence, beat_at, digest = row
    made = Beat(
        sequence=sequence,
        beat_at=beat_at,
        done_at=beat_at + timedelta(seconds=answered - asked),
        digest=digest,
    )
    store.put(witness_key(database, made), b"")
    return made


def install(server: Server, password: str, *, role: str = ROLE, retained: int = RETAINED) -> tuple[str, ...]:
    """Make the ledger, its login role and the function that seals read; as an administrator, again at will.

    The role may connect, beat, read the ledger and call `sequence_positions`, and nothing else. Its password is
    sent as a SCRAM verifier, so no server log can hold it. Returns the databases where the administrator may not
    make a schema: seals there miss the positions of sequences.

    Raises:
        NotRunnable: the administrator may not do what is needed, or the role is somebody else's.
    """
    try:
        with server.ledger_session(DATABASE) as session, session.transaction():
            _make_role(session, role, password)
            _run(session, ledger_sql.LEDGER, role, retained=retained)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotRunnable(
            f"role {server.address.user!r} may not install the ledger: {error.diag.message_primary}",
            hint="connect as the instance's master user, who may create roles and schemas",
        ) from error
    refused = []
    for database in server.databases():
        try:
            with server.ledger_session(database) as session, session.transaction():
                _run(session, ledger_sql.POSITIONS, role, database=database)
        except psycopg.errors.InsufficientPrivilege:
            refused.append(database)
    return tuple(refused)


def uninstall(server: Server, *, role: str = ROLE) -> None:
    """Remove everything that `install` made, as far as it is there; what stands in the witness stays.

    Raises:
        NotRunnable: the administrator may not, or the role is somebody else's or holds more than it was given.
    """
    try:
        with server.ledger_session(DATABASE) as session:
            ours = _ours(session, role)
        for database in sorted({*server.databases(), DATABASE}):
            with server.ledger_session(database) as session, session.transaction():
                session.execute(ledger_sql.REMOVE)
                if ours:
                    _run(session, ledger_sql.REVOKE, role, database=database)
        if ours:
            with server.ledger_session(DATABASE) as session:
                _run(session, ledger_sql.REMOVE_ROLE, role)
    except psycopg.errors.DependentObjectsStillExist as error:
        raise NotRunnable(
            f"role {role!r} is left, since it holds more than the ledger gave it: {error.diag.message_primary}",
            hint="see what was granted to it by hand, take that back, and uninstall again",
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotRunnable(
            f"role {server.address.user!r} may not remove the ledger: {error.diag.message_primary}",
            hint="connect as the administrator who installed it",
        ) from error


def _ours(session: Connection, role: str) -> bool:
    """Tell whether a role is there, made by `install`.

    Raises:
        NotRunnable: it is there, and somebody else's.
    """
    known = session.execute(ledger_sql.ROLE_MARK, (role,)).fetchone()
    if known is not None and known != (ledger_sql.MARK,):
        raise NotRunnable(
            f"role {role!r} was there before the ledger, and is left as it is",
            hint="give the plan's secret a role of its own: a username that no role has yet",
        )
    return known is not None


def _make_role(session: Connection, role: str, password: str) -> None:
    verifier = session.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    known = _ours(session, role)
    for statement in (ledger_sql.ALTER_ROLE if known else ledger_sql.CREATE_ROLE, ledger_sql.MARK_ROLE):
        session.execute(
            sql.SQL(statement).format(
                role=sql.Identifier(role),
                verifier=sql.Literal(verifier),
                mark=sql.Literal(ledger_sql.MARK),
            )
        )


def _run(
    session: Connection,
    statements: LiteralString,
    role: str,
    *,
    retained: int = RETAINED,
    database: str = DATABASE,
) -> None:
    """Run SQL of `ledger_sql` with its names filled in, as identifiers and literals."""
    session.execute(
        sql.SQL(statements).format(
            role=sql.Identifier(role), retained=sql.Literal(retained), database=sql.Identifier(database)
        )
    )
