"""Sessions that an examination keeps: used again as if new, and never where that would hide something."""

from dataclasses import replace

import pytest

from pgdrill.build import zips
from pgdrill.database import Connection, Server
from pgdrill.errors import Unavailable
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.tls import Authority
from tests.lab.conftest import DATABASE, ServerOf


def backend(session: Connection) -> int:
    return session.info.backend_pid


def shown(session: Connection, setting: str) -> str:
    return str(session.execute("SELECT current_setting(%s)", (setting,)).fetchall()[0][0])


def test_sessions_are_kept_for_the_time_of_an_examination_alone(
    cluster: Cluster, server_of: ServerOf
) -> None:
    server = server_of(cluster)
    with server.session(DATABASE) as first, server.session(DATABASE) as second:
        assert backend(first) != backend(second)
    assert first.closed
    with server.keeping():
        with server.session(DATABASE) as first:
            pass
        with server.session(DATABASE) as again, server.session(DATABASE) as other:
            assert again is first
            assert other is not first
        with server.session("postgres") as elsewhere:
            assert elsewhere.info.dbname == "postgres"
    assert first.closed
    assert other.closed
    assert elsewhere.closed


def test_nothing_of_its_earlier_use_is_left_in_a_kept_session(cluster: Cluster, server_of: ServerOf) -> None:
    server = server_of(cluster, may_change=True)
    with server.keeping():
        with server.session(DATABASE, write=True) as session:
            session.execute("CREATE TEMPORARY TABLE left_over ()")
            session.execute("SET enable_seqscan = off; SET row_security = on; SET statement_timeout = 1000")
            session.execute("SELECT pg_advisory_lock(1)")
        with server.session(DATABASE) as again:
            assert again is session
            assert shown(again, "default_transaction_read_only") == "on"
            assert shown(again, "enable_seqscan") == "on"
            assert shown(again, "row_security") == "off"
            assert shown(again, "statement_timeout") == "10min"
            assert shown(again, "search_path") == ""
            assert again.execute("SELECT to_regclass('pg_temp.left_over')").fetchall() == [(None,)]
            held = again.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchall()
            assert held == [(0,)]
        with server.session(DATABASE, write=True) as again:
            assert again is session
            assert shown(again, "default_transaction_read_only") == "off"


def test_a_session_that_was_left_in_a_transaction_is_not_kept(cluster: Cluster, server_of: ServerOf) -> None:
    server = server_of(cluster)
    with server.keeping():
        with server.session(DATABASE) as session:
            session.execute("BEGIN")
        assert session.closed
        with server.session(DATABASE) as another:
            assert another is not session


def test_a_kept_session_that_the_server_ended_is_replaced(cluster: Cluster, server_of: ServerOf) -> None:
    server = server_of(cluster)
    with server.keeping():
        with server.session(DATABASE) as session:
            pid = backend(session)
        cluster.sql("postgres", f"SELECT pg_terminate_backend({pid}, 5000)")
        with server.session(DATABASE) as another:
            assert backend(another) != pid
            assert another.execute("SELECT 1").fetchall() == [(1,)]


def test_a_login_is_a_login_although_a_session_is_kept(cluster: Cluster, server_of: ServerOf) -> None:
    server = server_of(cluster)
    with server.keeping():
        with server.session(DATABASE) as session:
            pass
        with server.login(DATABASE) as new:
            assert backend(new) != backend(session)
            with pytest.raises(Exception, match="read-only transaction"):
                new.execute("CREATE TABLE public.never ()")


def test_a_function_s_bundle_is_what_a_session_verifies_with(
    cluster: Cluster, server_of: ServerOf, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that no authority of RDS vouches for is refused; where its own is named, it is not."""
    server = server_of(cluster)
    bare = Server(replace(server.address, root_cert=None), server.clock)
    monkeypatch.setenv("PGSSLROOTCERT", str(zips.BUNDLE))
    with pytest.raises(Unavailable, match="certificate verify failed"), bare.session(DATABASE):
        pass
    monkeypatch.setenv("PGSSLROOTCERT", str(authority.root_cert))
    with bare.session(DATABASE) as session:
        assert session.pgconn.ssl_in_use
