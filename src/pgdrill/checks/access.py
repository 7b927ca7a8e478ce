"""Lets a drill read a leased copy whole, and takes every permission back; elsewhere it changes nothing.

Reading as the RDS master, tables of other owners are refused without a grant, row security hides rows even
from `pg_read_all_data`, and forced row security even from the owner. What still cannot be read whole stays
unread, and is never passed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection, Server, quoted

# Owners whose role lifts row security, or opens large objects, or may create an extension.
_WANTED = """
WITH wanted(role) AS (
    SELECT oid FROM pg_roles WHERE rolname = 'pg_read_all_data'
    UNION SELECT relowner FROM pg_class WHERE relrowsecurity
    UNION SELECT lomowner FROM pg_largeobject_metadata
    UNION SELECT datdba FROM pg_database WHERE datname = current_database()
)
SELECT rolname FROM pg_roles JOIN wanted ON role = oid
WHERE NOT rolsuper AND NOT pg_has_role(
    oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'USAGE' ELSE 'MEMBER' END)
ORDER BY rolname
"""

_AMCHECK = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'amcheck' AND has_schema_privilege(n.oid, 'USAGE') AND (
    SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p
    WHERE p.pronamespace = n.oid AND p.proname IN ('verify_heapam', 'bt_index_check'))
"""
# A schema of its own, since `public` may be closed or gone, and so that one statement removes all of it.
_SCHEMA = "pgdrill_amcheck"


@dataclass(frozen=True)
class Access:
    """A session to plan with, and the schema of amcheck's functions: None where they are refused.

    `damage` tells if a damaged catalog is why.
    """

    session: Connection
    schema: str | None
    damage: Unread | None = None

    def function(self, name: str) -> sql.Composed:
        return quoted(self.schema or "", name)


@contextmanager
def opened(server: Server, database: str) -> Iterator[Access]:
    """Hold what it takes to read a leased copy whole, roles and amcheck; give back what was not there."""
    with server.session(database, write=server.may_change) as session:
        granted = _grant(session) if server.may_change else []
        created, damage = _create(session) if server.may_change else (False, None)
        try:
            yield _access(session, damage)
        finally:
            _end(server, database, session, granted, created=created)


@contextmanager
def readable(server: Server, database: str) -> Iterator[Connection]:
    """Open a session that writes nothing, holding on a leased copy the roles that reading it whole takes."""
    with server.session(database, write=server.may_change) as session:
        granted = _grant(session) if server.may_change else []
        session.execute("SET default_transaction_read_only = on")
        try:
            yield session
        finally:
            _end(server, database, session, granted, created=False)


def _end(server: Server, database: str, session: Connection, granted: list[str], *, created: bool) -> None:
    """Give back what was taken, through another session if the server ended this one."""
    if not (granted or created):
        return
    if not session.closed:
        session.execute("SET default_transaction_read_only = off")
        _give_back(session, granted, created=created)
        return
    with server.session(database, write=True) as another:
        _give_back(another, granted, created=created)


def _grant(session: Connection) -> list[str]:
    """Take the roles that are missing, as far as the master user may; return those taken."""
    granted: list[str] = []
    with suppress(psycopg.Error):
        for (role,) in session.execute(_WANTED).fetchall():
            with suppress(psycopg.Error):
                session.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(quoted(role)))
                granted.append(role)
    return granted


def _create(session: Connection) -> tuple[bool, Unread | None]:
    """Create amcheck where it is missing; return whether it is ours to drop, and the damage in the way."""
    try:
        there = session.execute(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'amcheck'"
        ).fetchone()
        if there:
            # An examination that was killed left its own behind.
            return there[0] == _SCHEMA, None
        with session.transaction():
            session.execute(sql.SQL("CREATE SCHEMA {}").format(quoted(_SCHEMA)))
            session.execute(sql.SQL("CREATE EXTENSION amcheck SCHEMA {}").format(quoted(_SCHEMA)))
    except psycopg.Error as error:
        why = unread(error, session)
        return False, why if why.damage else None
    return True, None


def _access(session: Connection, damage: Unread | None) -> Access:
    try:
        row = session.execute(_AMCHECK).fetchone()
    except psycopg.Error as error:
        why = unread(error, session)
        return Access(session, None, damage or (why if why.damage else None))
    return Access(session, row[0] if row else None, damage)


def _give_back(session: Connection, granted: list[str], *, created: bool) -> None:
    if created:
        session.execute("DROP EXTENSION amcheck")
        session.execute(sql.SQL("DROP SCHEMA {}").format(quoted(_SCHEMA)))
    for role in granted:
        session.execute(sql.SQL("REVOKE {} FROM CURRENT_USER").format(quoted(role)))


@contextmanager
def unforced(server: Server, session: Connection, forced: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Lift the forced row security of some tables, schema and name, in a transaction that is rolled back."""
    if not (server.may_change and forced):
        yield
        return
    with session.transaction(force_rollback=True):
        session.execute("SET TRANSACTION READ WRITE")
        for table in forced:
            lift = sql.SQL("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY").format(quoted(*table))
            with suppress(psycopg.errors.InsufficientPrivilege), session.transaction():
                session.execute(lift)
        yield
