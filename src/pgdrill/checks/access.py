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

from pgdrill.database import Connection, Server, quoted
from pgdrill.unread import Unread, unread

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
class Amcheck:
    """The schema that holds amcheck's functions; None where they are refused, `damage` if that is why."""

    schema: str | None
    damage: Unread | None = None

    def function(self, name: str) -> sql.Composed:
        return quoted(self.schema or "", name)


@contextmanager
def readable(server: Server, database: str) -> Iterator[None]:
    """Hold the roles that reading a leased copy whole takes, and give back those that were not held."""
    granted: list[str] = []
    if server.may_change:
        with server.session(database, write=True) as session, suppress(psycopg.Error):
            for (role,) in session.execute(_WANTED).fetchall():
                with suppress(psycopg.Error):
                    session.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(quoted(role)))
                    granted.append(role)
    try:
        yield
    finally:
        if granted:
            with server.session(database, write=True) as session:
                for role in granted:
                    session.execute(sql.SQL("REVOKE {} FROM CURRENT_USER").format(quoted(role)))


@contextmanager
def amcheck(server: Server, database: str) -> Iterator[Amcheck]:
    """Find amcheck; on a leased copy create it where it is missing, and drop it again."""
    created = False
    with server.session(database, write=server.may_change) as session:
        try:
            if (
                server.may_change
                and not session.execute("SELECT FROM pg_extension WHERE extname = 'amcheck'").fetchall()
            ):
                with session.transaction():
                    session.execute(sql.SQL("CREATE SCHEMA {}").format(quoted(_SCHEMA)))
                    session.execute(sql.SQL("CREATE EXTENSION amcheck SCHEMA {}").format(quoted(_SCHEMA)))
                created = True
            row = session.execute(_AMCHECK).fetchone()
            found = Amcheck(row[0] if row else None)
        except psycopg.Error as error:
            why = unread(error, session)
            found = Amcheck(None, why if why.damage else None)
    try:
        yield found
    finally:
        if created:
            with server.session(database, write=True) as session:
                session.execute("DROP EXTENSION amcheck")
                session.execute(sql.SQL("DROP SCHEMA {}").format(quoted(_SCHEMA)))


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
