"""The ledger on a real server: what it writes, what its role may do, and what a recovered copy shows."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pgdrill import beats, ledger
from pgdrill.checks.check import Case
from pgdrill.checks.ledger import CHECK
from pgdrill.database import Server
from pgdrill.errors import Busy, NotRunnable, Unavailable
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.tls import Authority
from pgdrill.model import PointKind, RecoveryPoint, Verdict
from pgdrill.plan import Checks
from tests.lab.conftest import MakeCluster, Run, ServerOf
from tests.lab.production import clock
from tests.unit.memory import Memory

SECRET = "a-password-in-no-log"


@pytest.fixture
def master(cluster: Cluster, server_of: ServerOf) -> Server:
    return Server(server_of(cluster, "postgres").address, clock())


def role_of(master: Server) -> Server:
    return Server(dataclasses.replace(master.address, user=ledger.ROLE, password=SECRET), clock())


@pytest.fixture
def role(master: Server) -> Iterator[Server]:
    """The role that beats, of a ledger that has not beaten yet."""
    assert ledger.install(master, SECRET) == ()
    yield role_of(master)
    ledger.uninstall(master)


def rows(server: Server) -> ledger.LedgerFact:
    with server.session(ledger.DATABASE) as session:
        return ledger.read(session)


def test_beats_make_an_unbroken_chain_that_the_witness_knows(role: Server) -> None:
    memory = Memory()
    made = tuple(ledger.beat(role, memory, "shop") for _ in range(5))
    fact = rows(role)
    assert [row.sequence for row in fact.rows] == [1, 2, 3, 4, 5]
    assert list(ledger.breaks(fact.rows)) == []
    assert ledger.witness(memory, "shop") == made
    assert [row.digest for row in fact.rows] == [beat.digest for beat in made]
    assert all(beat.beat_at < beat.done_at < beat.beat_at + timedelta(seconds=5) for beat in made)


def test_installing_again_keeps_the_rows_and_changes_the_password(master: Server, role: Server) -> None:
    memory = Memory()
    ledger.beat(role, memory, "shop")
    ledger.install(master, "another")
    again = Server(dataclasses.replace(role.address, password="another"), clock())
    assert ledger.beat(again, memory, "shop").sequence == 2
    with pytest.raises(Unavailable, match="password authentication failed"):
        ledger.beat(role, memory, "shop")


def test_rows_beyond_those_retained_are_pruned_and_the_chain_holds(master: Server, role: Server) -> None:
    ledger.install(master, SECRET, retained=3)
    for _ in range(7):
        ledger.beat(role, Memory(), "shop")
    fact = rows(role)
    assert [row.sequence for row in fact.rows] == [5, 6, 7]
    assert list(ledger.breaks(fact.rows)) == []


def test_two_ledgers_share_no_digest(master: Server, role: Server) -> None:
    first = ledger.beat(role, Memory(), "shop")
    ledger.uninstall(master)
    ledger.install(master, SECRET)
    second = ledger.beat(role, Memory(), "shop")
    assert (first.sequence, second.sequence) == (1, 1)
    assert first.digest != second.digest


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO pgdrill.ledger VALUES (99, now(), '', '')",
        "UPDATE pgdrill.ledger SET digest = ''",
        "DELETE FROM pgdrill.ledger",
        "TRUNCATE pgdrill.ledger",
        "DROP TABLE pgdrill.ledger",
        "CREATE TABLE pgdrill.mine ()",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        "SELECT * FROM public.people",
        "SELECT last_value FROM public.people_id_seq",
        "SELECT pg_read_file('PG_VERSION')",
    ],
)
def test_the_role_may_do_nothing_else(role: Server, cluster: Cluster, run: Run, statement: str) -> None:
    run(cluster, "CREATE TABLE IF NOT EXISTS public.people (id serial)", dbname="postgres")
    ledger.beat(role, Memory(), "shop")
    with (
        role.ledger_session(ledger.DATABASE) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute(statement.encode())


def test_nobody_else_may_beat_or_ask_for_positions(role: Server, cluster: Cluster, run: Run) -> None:
    run(cluster, "CREATE ROLE guest", dbname="postgres")
    try:
        for call in ("SELECT pgdrill.beat()", "SELECT pgdrill.sequence_positions()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                cluster.sql("postgres", f"SET ROLE guest; {call}")
    finally:
        run(cluster, "DROP ROLE guest", dbname="postgres")


def test_positions_of_sequences_are_read_in_every_database_without_reading_one(
    role: Server, cluster: Cluster, run: Run
) -> None:
    run(cluster, "CREATE TABLE IF NOT EXISTS public.counted (id serial)", dbname="shop")
    run(cluster, "SELECT setval('public.counted_id_seq', 41)", dbname="shop")
    with role.session("shop") as session:
        found = session.execute(
            "SELECT sequence::regclass::text, readable, last_value FROM pgdrill.sequence_positions()"
        ).fetchall()
    assert ("public.counted_id_seq", True, 41) in found


def test_the_password_reaches_no_log(master: Server, role: Server, cluster: Cluster, run: Run) -> None:
    cluster.sql("postgres", "ALTER SYSTEM SET log_statement = 'all'")
    cluster.sql("postgres", "SELECT pg_reload_conf()")
    try:
        ledger.install(master, SECRET)
    finally:
        cluster.sql("postgres", "ALTER SYSTEM RESET log_statement")
        cluster.sql("postgres", "SELECT pg_reload_conf()")
    log = cluster.log.read_text(encoding="utf-8")
    assert 'ALTER ROLE "pgdrill"' in log
    assert SECRET not in log


@contextmanager
def held(cluster: Cluster, statement: str) -> Iterator[None]:
    with cluster.session("postgres") as session, session.transaction():
        session.execute(statement.encode())
        yield


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_xact_lock(hashtextextended('pgdrill.ledger', 0))",
        "LOCK TABLE pgdrill.ledger",
    ],
)
def test_a_beat_gives_up_instead_of_waiting(role: Server, cluster: Cluster, statement: str) -> None:
    started = time.monotonic()
    with (
        held(cluster, statement),
        pytest.raises(Busy, match=r"^the ledger of database 'shop' is locked$") as caught,
    ):
        ledger.beat(role, Memory(), "shop")
    assert time.monotonic() - started < 4
    assert "no session lock pgdrill.ledger" in caught.value.hint


def test_a_beat_without_a_ledger_or_without_the_right_says_so(master: Server, server_of: ServerOf) -> None:
    with pytest.raises(NotRunnable, match=r"^no ledger in database 'shop'$"):
        ledger.beat(master, Memory(), "shop")
    ledger.install(master, SECRET)
    with master.ledger_session(ledger.DATABASE) as session:
        session.execute("REVOKE EXECUTE ON FUNCTION pgdrill.beat() FROM pgdrill")
    with pytest.raises(NotRunnable, match=r"^role 'pgdrill' may not beat the ledger of database 'shop'$"):
        ledger.beat(role_of(master), Memory(), "shop")
    ledger.uninstall(master)


def test_a_role_that_is_no_administrator_cannot_install(role: Server) -> None:
    with pytest.raises(NotRunnable, match=r"^role 'pgdrill' may not install the ledger: permission denied"):
        ledger.install(role, "other", role="other")


def test_a_role_that_was_there_before_is_left_as_it_is(master: Server, cluster: Cluster) -> None:
    cluster.sql("postgres", "CREATE ROLE theirs LOGIN CREATEDB")
    before = cluster.sql(
        "postgres", "SELECT a::text FROM pg_authid a WHERE rolname IN ('theirs', 'master') ORDER BY 1"
    )
    try:
        for name in ("theirs", "master"):
            with pytest.raises(
                NotRunnable, match=rf"^role '{name}' was there before the ledger, and is left"
            ):
                ledger.install(master, SECRET, role=name)
        assert before == cluster.sql(
            "postgres", "SELECT a::text FROM pg_authid a WHERE rolname IN ('theirs', 'master') ORDER BY 1"
        )
    finally:
        cluster.sql("postgres", "DROP ROLE theirs")


def test_a_server_that_takes_no_writes_does_not_beat_and_says_so(role: Server, cluster: Cluster) -> None:
    cluster.sql("postgres", "ALTER FUNCTION pgdrill.beat() SET transaction_read_only = on")
    with pytest.raises(
        Unavailable, match=r"^the ledger of database 'shop' did not beat: ReadOnlySqlTransaction$"
    ):
        ledger.beat(role, Memory(), "shop")


def test_a_database_where_the_administrator_may_make_nothing_is_named(
    master: Server, cluster: Cluster
) -> None:
    cluster.sql("postgres", "CREATE DATABASE others")
    try:
        assert ledger.install(master, SECRET) == ("others",)
    finally:
        ledger.uninstall(master)
        cluster.sql("postgres", "DROP DATABASE others")


def test_uninstalling_leaves_nothing(master: Server, role: Server, cluster: Cluster) -> None:
    ledger.uninstall(master)
    for database in ("postgres", "shop"):
        assert cluster.sql(database, "SELECT to_regnamespace('pgdrill')") == [(None,)]
    assert cluster.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'pgdrill'") == [(0,)]
    ledger.install(master, SECRET)


def test_uninstalling_what_is_not_there_or_half_there_is_no_error(master: Server, cluster: Cluster) -> None:
    ledger.uninstall(master)
    ledger.install(master, SECRET)
    with master.ledger_session("shop") as session:
        session.execute("DROP SCHEMA pgdrill CASCADE")
    ledger.uninstall(master)
    ledger.uninstall(master)
    assert cluster.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'pgdrill'") == [(0,)]


def test_uninstalling_leaves_a_role_that_is_not_the_ledgers(
    master: Server, role: Server, cluster: Cluster
) -> None:
    cluster.sql("postgres", "CREATE ROLE theirs LOGIN")
    try:
        with pytest.raises(NotRunnable, match=r"^role 'theirs' was there before the ledger, and is left"):
            ledger.uninstall(master, role="theirs")
        assert cluster.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'theirs'") == [(1,)]
        assert ledger.beat(role, Memory(), "shop").sequence == 1
    finally:
        cluster.sql("postgres", "DROP ROLE theirs")


def test_uninstalling_names_what_keeps_the_role(master: Server, role: Server, cluster: Cluster) -> None:
    cluster.sql("shop", "CREATE TABLE public.given ()")
    cluster.sql("shop", "GRANT SELECT ON public.given TO pgdrill")
    try:
        with pytest.raises(NotRunnable) as refused:
            ledger.uninstall(master)
    finally:
        cluster.sql("shop", "DROP TABLE public.given")
    assert refused.value.message == (
        "role 'pgdrill' is left, since it holds more than the ledger gave it: role \"pgdrill\" cannot be dropped"
        " because some objects depend on it"
    )


def test_who_may_not_remove_the_ledger_is_told(role: Server) -> None:
    with pytest.raises(NotRunnable, match=r"^role 'pgdrill' may not remove the ledger: must be owner of"):
        ledger.uninstall(role)


def test_a_crash_of_the_server_leaves_no_mark_in_the_chain(
    role: Server, cluster: Cluster, authority: Authority
) -> None:
    memory = Memory()
    for _ in range(3):
        ledger.beat(role, memory, "shop")
    port = cluster.port
    cluster.stop(immediate=True)
    cluster.start(port, certificate=authority.server)
    ledger.beat(role, memory, "shop")
    fact = rows(role)
    assert [row.sequence for row in fact.rows] == [1, 2, 3, 4]
    assert list(ledger.breaks(fact.rows)) == []
    known = ledger.witness(memory, "shop")
    assert beats.incidents(known, known[-1].beat_at) == []


def test_a_copy_recovered_to_a_moment_between_two_beats_shows_both_sides(
    make_cluster: MakeCluster, server_of: ServerOf, ground: Path
) -> None:
    production = make_cluster()
    master = Server(server_of(production, "postgres").address, clock())
    ledger.install(master, SECRET)
    role, memory = role_of(master), Memory()
    ledger.beat(role, memory, "shop")
    backup = ground / "ledger-backup"
    production.back_up(backup)
    made = [ledger.beat(role, memory, "shop") for _ in range(4)]
    production.archive_now()
    target = made[1].done_at + (made[2].beat_at - made[1].done_at) / 2
    copy = make_cluster(backup=backup, archive=production.archive, target=target)
    copied = Server(server_of(copy, "postgres").address, clock(), may_change=True)

    def judged(moment: datetime) -> tuple[Verdict, str]:
        point = RecoveryPoint(
            id="pitr",
            kind=PointKind.PITR,
            region="ap-southeast-1",
            source="shop-production",
            recovers_to=moment,
            engine_version="15",
            storage_gb=20,
            encrypted=True,
        )
        case = Case(
            checks=Checks(),
            asked=frozenset({"ledger"}),
            point=point,
            witness=ledger.witness(memory, "shop"),
        )
        judgement = CHECK.judge(CHECK.measure(copied, case), case)
        return judgement.verdict, judgement.reason + judgement.coverage

    verdict, told = judged(target)
    assert verdict is Verdict.PASSED, told
    assert "beat 3, " in told
    assert "is there, beat 4, " in told
    # The same copy, passed off as recovered to another moment, either stops early or goes too far.
    assert judged(made[3].done_at)[0] is Verdict.FAILED
    assert judged(made[0].done_at)[0] is Verdict.FAILED
