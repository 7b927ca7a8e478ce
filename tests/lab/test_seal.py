"""A seal on a real production: what it reads, and that nothing there ever waits for it."""

import dataclasses
import time
from collections.abc import Iterator

import psycopg
import pytest

from pgdrill import ledger, seal
from pgdrill.checks.check import Case
from pgdrill.checks.registry import ALL
from pgdrill.database import Server
from pgdrill.errors import Unavailable
from pgdrill.lab.cluster import Cluster
from pgdrill.plan import Checks
from tests.lab.conftest import Run, ServerOf
from tests.lab.production import clock

SECRET = "a-password-in-no-log"


@pytest.fixture(scope="module")
def production(cluster: Cluster, server_of: ServerOf, run: Run) -> Iterator[Server]:
    """Production as the role that seals sees it: a table that was analyzed, one that was not, a view of the first."""
    run(
        cluster,
        "CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 500) i",
        "CREATE VIEW open_orders AS SELECT id FROM orders",
        "CREATE TABLE fresh (id serial)",
        "CREATE TABLE plain (id int)",
        "ANALYZE orders",
    )
    master = Server(server_of(cluster, "postgres").address, clock())
    ledger.install(master, SECRET)
    yield Server(dataclasses.replace(master.address, user=ledger.ROLE, password=SECRET), clock())
    ledger.uninstall(master)


def test_a_seal_holds_what_the_checks_measure_estimates_and_the_instances_own_id(production: Server) -> None:
    taken = seal.take(production, ALL, "shop", "p1", clock(), resource="db-ABC")
    assert set(taken.facts) == {check.name for check in ALL if check.sealed}
    assert taken.estimates["shop"] == {"public.orders": 500}
    assert taken.resource == "db-ABC"
    assert taken.taken_at < taken.done_at


def test_a_seal_connects_once_to_each_database(production: Server, cluster: Cluster) -> None:
    cluster.sql("postgres", "ALTER SYSTEM SET log_connections = on")
    cluster.sql("postgres", "SELECT pg_reload_conf()")
    try:
        before = cluster.log.read_text(encoding="utf-8").count(f"authorized: user={ledger.ROLE} ")
        seal.take(production, ALL, "shop", "p1", clock())
        after = cluster.log.read_text(encoding="utf-8").count(f"authorized: user={ledger.ROLE} ")
    finally:
        cluster.sql("postgres", "ALTER SYSTEM RESET log_connections")
        cluster.sql("postgres", "SELECT pg_reload_conf()")
    assert after - before == len(production.databases())


def test_a_table_that_is_locked_for_long_is_not_waited_for(production: Server, cluster: Cluster) -> None:
    started = time.monotonic()
    with cluster.session("shop") as session, session.transaction():
        session.execute("LOCK TABLE public.orders")
        with pytest.raises(Unavailable) as refused:
            seal.take(production, ALL, "shop", "p1", clock())
    assert refused.value.message == "database 'shop' could not be sealed: LockNotAvailable"
    assert refused.value.hint == (
        "look at the server's load, and for sessions that hold a lock on a table for long; then try again"
    )
    assert time.monotonic() - started < 5
    assert seal.take(production, ALL, "shop", "p1", clock()).facts


def test_a_locked_table_of_which_no_expression_is_printed_does_not_hinder_a_seal(
    production: Server, cluster: Cluster
) -> None:
    """Views, defaults and policies are printed under a lock; what else there is comes from the catalogs alone."""
    with cluster.session("shop") as session, session.transaction():
        session.execute("LOCK TABLE public.plain")
        assert seal.take(production, ALL, "shop", "p1", clock()).facts


def test_a_seal_that_is_under_way_locks_nothing_and_holds_no_vacuum_up(
    production: Server, cluster: Cluster
) -> None:
    case = Case(checks=Checks(), asked=frozenset(), sealing=True)
    with production.sealing() as sealing:
        for check in ALL:
            if check.sealed:
                check.measure(sealing, case)
        held = cluster.sql(
            "shop",
            "SELECT l.relation::regclass::text, l.mode FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE a.usename = 'pgdrill' AND l.locktype = 'relation'",
        )
        old = cluster.sql(
            "shop",
            "SELECT state, backend_xmin FROM pg_stat_activity WHERE usename = 'pgdrill' AND datname = 'shop'",
        )
        with cluster.session("shop") as session:
            session.execute("SET lock_timeout = '100ms'")
            session.execute("ALTER TABLE public.orders ADD COLUMN note text")
            session.execute("ALTER TABLE public.orders DROP COLUMN note")
    assert held == []
    assert old == [("idle", None)]


def test_a_seal_can_write_nothing(production: Server) -> None:
    with production.sealing() as sealing:
        with (
            pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
            sealing.session(ledger.DATABASE) as session,
        ):
            session.execute("SELECT pgdrill.beat()")
        with pytest.raises(ValueError, match="a seal changes nothing"), sealing.session("shop", write=True):
            pass
