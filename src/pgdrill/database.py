"""The only module that opens a PostgreSQL session.

Every session is encrypted and verified, read-only unless the caller asks otherwise, bounded in time by the
step's clock, and pinned to settings under which equal rows give equal digests.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from pgdrill.errors import PlanError, Unavailable
from pgdrill.model import Clock

CONNECT_TIMEOUT = 10
ATTEMPTS = 20

# Under these, equal rows give equal digests whatever the server's, database's or role's own settings are.
PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
    "search_path": "",
    "row_security": "off",
    "idle_in_transaction_session_timeout": "15min",
    "application_name": "pgdrill",
}

# In production, where nobody may have to wait for a seal.
SEALING = {"default_transaction_read_only": "on", "lock_timeout": "1s", "statement_timeout": "10s"}

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Address:
    """Where a server is and who connects. `root_cert` is a CA file; None leaves it to PGSSLROOTCERT."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    dbname: str = "postgres"
    root_cert: str | None = None
    sslmode: str = "verify-full"

    @classmethod
    def parse(cls, dsn: str) -> "Address":
        """Read a libpq connection string or URL, with libpq's environment variables as defaults.

        Raises:
            PlanError: the string is not one that libpq understands.
        """
        try:
            given = psycopg.conninfo.conninfo_to_dict(dsn)
        except psycopg.ProgrammingError as error:
            raise PlanError(
                "connection string not understood",
                hint="write postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full",
            ) from error
        defaults = {
            option.keyword.decode(): (option.val or option.compiled or b"").decode()
            for option in psycopg.pq.Conninfo.get_defaults()
        }

        def value(key: str, fallback: str) -> str:
            return str(given.get(key) or defaults.get(key) or fallback)

        user = value("user", "postgres")
        return cls(
            host=value("host", "localhost"),
            port=int(value("port", "5432")),
            user=user,
            password=value("password", ""),
            dbname=value("dbname", user),
            root_cert=value("sslrootcert", "") or None,
            sslmode=str(given.get("sslmode") or "verify-full"),
        )


class Server:
    """A PostgreSQL server, all of its databases, and what may be done there.

    `may_change` is True only for an instance under pgdrill's own lease: there a check may grant itself what it
    needs to read, create an extension, or lift forced row security. Anywhere else every session is read-only.
    `progress` is told in a few words what is being looked at, from any thread; it shows them or does nothing.
    """

    def __init__(self, address: Address, clock: Clock, *, may_change: bool = False) -> None:
        self.address = address
        self.clock = clock
        self.may_change = may_change
        self.progress: Callable[[str], None] = lambda _: None
        self._kept: dict[str, list[Connection]] | None = None

    def databases(self) -> list[str]:
        """Return the names of all databases that accept connections, rdsadmin excepted, in name order."""
        with self.session(self.address.dbname) as session:
            return [
                row[0]
                for row in session.execute(
                    "SELECT datname FROM pg_catalog.pg_database"
                    " WHERE datallowconn AND datname NOT IN ('rdsadmin', 'template0', 'template1') ORDER BY datname"
                )
            ]

    @contextmanager
    def session(self, database: str, *, write: bool = False) -> Iterator[Connection]:
        """Open an autocommit session. Statements end with the step's time budget.

        `write` is refused unless the server is under pgdrill's lease.

        Raises:
            Unavailable: the server refused or did not answer.
        """
        if write and not self.may_change:
            raise ValueError("only a leased server may be changed")
        with self._lend(database, {"default_transaction_read_only": "off" if write else "on"}) as session:
            yield session

    @contextmanager
    def login(self, database: str) -> Iterator[Connection]:
        """Open a session as `session` does, and never lend a kept one, to see that the server lets pgdrill in.

        Raises:
            Unavailable: the server refused or did not answer.
        """
        with self._lend(database, {"default_transaction_read_only": "on"}, anew=True) as session:
            yield session

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep sessions that are done with for who asks next, until the end: opening one costs a few statements."""
        self._kept = {}
        try:
            yield
        finally:
            for sessions in self._kept.values():
                for session in sessions:
                    session.close()
            self._kept = None

    @contextmanager
    def ledger_session(self, database: str) -> Iterator[Connection]:
        """Open an autocommit session that may write, in production too; for `ledger.py` alone.

        It is the only door to a write there: it gives up after a second's wait for a lock, five seconds in all,
        so that production never waits for it. What is committed is on disk.

        Raises:
            Unavailable: the server refused or did not answer.
        """
        settings = {
            "default_transaction_read_only": "off",
            "lock_timeout": "1s",
            "statement_timeout": "5s",
            "synchronous_commit": "on",
        }
        with self._open(database, settings) as session:
            yield session

    @contextmanager
    def sealing(self) -> Iterator["Server"]:
        """Give the server as a seal reads it: one connection to each database, each use one short transaction.

        All are read-only. A lock is waited for a second at most, and no statement takes longer than ten. One
        transaction for all uses would hold what the first has locked until the last is done.
        """
        with ExitStack() as ends:
            yield _Sealing(self, ends)

    @contextmanager
    def _lend(self, database: str, settings: dict[str, str], *, anew: bool = False) -> Iterator[Connection]:
        kept = None if self._kept is None else self._kept.setdefault(database, [])
        renewed = None if anew or kept is None else self._renewed(kept, settings)
        session = renewed or self._opened(database, settings)
        try:
            yield session
        finally:
            if kept is not None and session.info.transaction_status is TransactionStatus.IDLE:
                kept.append(session)
            else:
                session.close()

    def _renewed(self, kept: list[Connection], settings: dict[str, str]) -> Connection | None:
        """Take a kept session, with nothing left of its earlier use; None if there is none that still lives."""
        while True:
            try:
                session = kept.pop()
            except IndexError:
                return None
            setting = sql.SQL("set_config({}, {}, false)")
            again = [setting.format(*pair) for pair in (_timeout(self._left()) | settings).items()]
            try:
                session.execute("DISCARD ALL")
                session.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(again)))
            except psycopg.Error:
                # The server ended it meanwhile, as it ends all of them when one crashes.
                session.close()
            else:
                return session

    @contextmanager
    def _open(self, database: str, settings: dict[str, str]) -> Iterator[Connection]:
        with closing(self._opened(database, settings)) as session:
            yield session

    def _opened(self, database: str, settings: dict[str, str]) -> Connection:
        left = self._left()
        try:
            return self._connect(database, PINNED | _timeout(left) | settings, left)
        except psycopg.OperationalError as error:
            said = _first_line(error)
            raise Unavailable(
                f"cannot connect to database {database!r} at {self.address.host}:{self.address.port}: {said}",
                hint=_remedy(said),
            ) from error

    def _left(self) -> float:
        return max(1.0, self.clock.remaining())

    def _connect(self, database: str, settings: dict[str, str], left: float) -> Connection:
        address = self.address
        parameters: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "dbname": database,
            "sslmode": address.sslmode,
            "connect_timeout": max(2, min(CONNECT_TIMEOUT, int(left))),
            "options": " ".join(f"-c {name}={_escape(value)}" for name, value in settings.items()),
        }
        if address.root_cert:
            parameters["sslrootcert"] = address.root_cert
        # A prepared statement would keep a parallel plan after a setting changed.
        return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)


def settled(session: Connection, query: sql.SQL | sql.Composed) -> list[tuple[Any, ...]]:
    """Return what a query of catalogs finds, asking again where an object was dropped under it.

    PostgreSQL prints definitions from the present, not from the query's snapshot, and calls it an internal error
    when there is none any more. It locks what it prints, and the rollback gives that back at once.
    """
    for attempt in range(ATTEMPTS):
        try:
            with session.transaction(force_rollback=True):
                return session.execute(query).fetchall()
        except psycopg.errors.InternalError_:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError(ATTEMPTS)


class _Sealing(Server):
    """The same server through one connection to each database, closed by `ends`."""

    def __init__(self, server: Server, ends: ExitStack) -> None:
        super().__init__(server.address, server.clock)
        self._ends = ends
        self._sessions: dict[str, Connection] = {}

    @contextmanager
    def session(self, database: str, *, write: bool = False) -> Iterator[Connection]:
        if write:
            raise ValueError("a seal changes nothing")
        if database not in self._sessions:
            self._sessions[database] = self._ends.enter_context(self._open(database, SEALING))
        with self._sessions[database].transaction(force_rollback=True):
            yield self._sessions[database]


def quoted(*parts: str) -> sql.Composed:
    """Compose a possibly qualified identifier."""
    return sql.SQL(".").join(sql.Identifier(part) for part in parts)


def _timeout(seconds: float) -> dict[str, str]:
    return {"statement_timeout": str(int(seconds * 1000))}


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _remedy(said: str) -> str:
    """Return what to look at when libpq cannot connect; it gives no SQLSTATE for what the server answered."""
    if "no password supplied" in said:
        return "set PGPASSWORD, or put the password into a password file"
    if "FATAL:" in said:
        return (
            "the server runs and refused: check the user, its password, the database's name and pg_hba.conf"
        )
    return (
        "check that the server runs, that the network lets this host in, and that PGSSLROOTCERT names its CA"
    )


def _first_line(error: psycopg.Error) -> str:
    """Return the client's or server's first line; connection errors name hosts and roles, never rows."""
    return str(error).strip().split("\n", 1)[0]
