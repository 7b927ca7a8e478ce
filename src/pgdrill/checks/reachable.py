"""reachable: every database lets pgdrill in, answers a query and takes writes.

Why:    an instance that is "available" may still refuse logins, be recovering, or lack the files of one database;
        the recovery time ends with an answer, not with a status.
Reads:  one login and one query in each database; where the copy is pgdrill's own, also whether it hands out
        transaction ids. Nothing is written.
Limits: network paths of the application are not tried, nor are its own roles' passwords.
Source: PostgreSQL documentation, pg_is_in_recovery, pg_current_xact_id (an error during recovery).
"""

import psycopg

from pgdrill.checks.bracket import SHOWN
from pgdrill.checks.check import Case, Check
from pgdrill.database import Server
from pgdrill.errors import Unavailable
from pgdrill.model import Damage, Fact, Judgement, Model, Verdict

_DATABASES = """
SELECT datname, has_database_privilege(datname, 'CONNECT') FROM pg_catalog.pg_database
WHERE datallowconn AND datname NOT IN ('rdsadmin', 'template0', 'template1') ORDER BY datname
"""


class Answer(Model):
    """Seconds until the login and until its first answer; both None where the database refused."""

    permitted: bool
    login: float | None = None
    query: float | None = None


class ReachableFact(Fact):
    """`writable` is None where pgdrill may not try."""

    databases: dict[str, Answer]
    in_recovery: bool
    writable: bool | None = None


def measure(server: Server, _case: Case) -> ReachableFact:
    with server.session(server.address.dbname) as session:
        names: list[tuple[str, bool]] = session.execute(_DATABASES).fetchall()
        row = session.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    return ReachableFact(
        databases={
            name: _ask(server, name) if permitted else Answer(permitted=False) for name, permitted in names
        },
        in_recovery=row == (True,),
        writable=_writable(server) if server.may_change else None,
    )


def _ask(server: Server, database: str) -> Answer:
    asked = server.clock.at()
    try:
        with server.login(database) as session:
            login = server.clock.at()
            session.execute("SELECT count(*) FROM pg_catalog.pg_class").fetchone()
            answered = server.clock.at()
    except (Unavailable, psycopg.Error):
        return Answer(permitted=True)
    return Answer(
        permitted=True, login=(login - asked).total_seconds(), query=(answered - asked).total_seconds()
    )


def _writable(server: Server) -> bool:
    with server.session(server.address.dbname, write=True) as session:
        try:
            session.execute("SELECT pg_catalog.pg_current_xact_id()")
        except psycopg.errors.ObjectNotInPrerequisiteState:
            return False
    return True


def judge(fact: ReachableFact, _case: Case) -> Judgement:
    silent = [name for name, answer in fact.databases.items() if answer.permitted and answer.query is None]
    closed = [name for name, answer in fact.databases.items() if not answer.permitted]
    answered = [answer.query for answer in fact.databases.values() if answer.query is not None]
    coverage = f"{len(answered)} of {len(fact.databases)} databases answered"
    if silent:
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"database {silent[0]} does not answer"
            + (f", nor do {len(silent) - 1} more" if silent[1:] else ""),
            hint="look for the refusal in the server's log; files of the database may be missing",
            coverage=coverage,
            damage=tuple(
                Damage(database=name, object=name, what="does not answer") for name in silent[:SHOWN]
            ),
            damaged=len(silent),
        )
    if fact.in_recovery or fact.writable is False:
        return Judgement(
            verdict=Verdict.FAILED,
            reason="the server is in recovery and takes no writes"
            if fact.in_recovery
            else "the server takes no writes",
            hint="see in the server's log what recovery waits for; a standby is not a restored primary",
            coverage=coverage,
        )
    if closed or not answered:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"database {closed[0]} may not be connected to"
            if closed
            else "there is no database to ask",
            hint="grant CONNECT on it to the role that examines"
            if closed
            else "restore an instance that has one",
            coverage=coverage,
        )
    return Judgement(
        verdict=Verdict.PASSED,
        reason=f"every database answers; the slowest took {max(answered):.2f} s from login to answer",
        coverage=coverage,
    )


CHECK = Check("reachable", measure, judge, ReachableFact)
