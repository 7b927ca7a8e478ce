"""A cluster of the lab behaves as an RDS instance's PostgreSQL does."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Cluster, kill_orphans
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Authority

from .conftest import DATABASE, MASTER, PASSWORD, MakeCluster, Run, ServerOf, free_port


@pytest.fixture(scope="module")
def refusal(cluster: Cluster, authority: Authority) -> Callable[..., str]:
    """Connect to the cluster as the master user and return with which words that is refused."""

    def connect(**changed: Any) -> str:
        parameters: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": cluster.port,
            "user": MASTER,
            "password": PASSWORD,
            "dbname": DATABASE,
            "sslmode": "verify-full",
            "sslrootcert": str(authority.root_cert),
        }
        with (
            pytest.raises(psycopg.OperationalError) as raised,
            closing(psycopg.connect(**(parameters | changed))),
        ):
            pass
        return str(raised.value)

    return connect


# -- the master user ------------------------------------------------------------------------------------------


def test_the_master_user_is_no_superuser_but_a_member_of_rds_superuser(cluster: Cluster) -> None:
    assert cluster.sql(
        "postgres",
        "SELECT rolsuper, rolcreatedb, rolcreaterole, pg_has_role(rolname, 'rds_superuser', 'MEMBER')"
        " FROM pg_roles WHERE rolname = %s",
        [MASTER],
    ) == [(False, True, True, True)]


def test_the_master_user_may_create_what_rds_allows(cluster: Cluster, run: Run) -> None:
    for extension in ("amcheck", "pg_stat_statements", "pgcrypto", "hstore", "postgres_fdw", "uuid-ossp"):
        run(cluster, f'CREATE EXTENSION "{extension}"')


@pytest.mark.parametrize("extension", ["file_fdw", "adminpack", "pageinspect"])
def test_the_master_user_may_not_create_what_rds_does_not_have(
    cluster: Cluster, run: Run, extension: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied to create extension"):
        run(cluster, f"CREATE EXTENSION {extension}")


def test_amcheck_is_granted_or_refused_as_set_and_a_restore_keeps_that(
    cluster: Cluster, make_cluster: MakeCluster, run: Run
) -> None:
    check = "SELECT count(*) FROM verify_heapam('pg_class')"
    run(cluster, "CREATE EXTENSION IF NOT EXISTS amcheck", check)

    refused = make_cluster(amcheck=False)
    backup = refused.directory / "backup"
    refused.back_up(backup)
    for one in (refused, make_cluster(backup=backup)):
        with pytest.raises(
            psycopg.errors.InsufficientPrivilege, match="permission denied for function verify_heapam"
        ):
            run(one, "CREATE EXTENSION amcheck", check)


def test_the_master_user_may_read_all_only_after_granting_it_to_itself(cluster: Cluster, run: Run) -> None:
    run(cluster, "CREATE ROLE clerk", f"GRANT clerk TO {MASTER}", "GRANT CREATE ON SCHEMA public TO clerk")
    run(cluster, "SET ROLE clerk", "CREATE TABLE hidden ()", "RESET ROLE", f"REVOKE clerk FROM {MASTER}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for table hidden"):
        run(cluster, "TABLE hidden")
    assert run(cluster, f"GRANT pg_read_all_data TO {MASTER}", "TABLE hidden") == []


# -- connections ----------------------------------------------------------------------------------------------


def test_an_encrypted_connection_is_verified_under_both_names(cluster: Cluster, authority: Authority) -> None:
    for host in ("127.0.0.1", "localhost"):
        with closing(
            psycopg.connect(
                host=host,
                port=cluster.port,
                user=MASTER,
                password=PASSWORD,
                dbname=DATABASE,
                sslmode="verify-full",
                sslrootcert=str(authority.root_cert),
            )
        ) as session:
            assert session.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (
                True,
            )


def test_the_products_own_door_opens(cluster: Cluster, server_of: ServerOf) -> None:
    assert server_of(cluster).databases() == ["postgres", DATABASE]


def test_a_certificate_of_another_authority_is_refused(refusal: Callable[..., str], ground: Path) -> None:
    stranger = Authority(ground / "stranger")
    assert "certificate verify failed" in refusal(sslrootcert=str(stranger.root_cert))


def test_an_unencrypted_connection_is_refused_in_the_words_of_rds(refusal: Callable[..., str]) -> None:
    assert refusal(sslmode="disable").endswith(
        f'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "{MASTER}", database "{DATABASE}", no encryption'
    )


def test_rdsadmin_cannot_come_over_the_network(refusal: Callable[..., str]) -> None:
    assert 'pg_hba.conf rejects connection for host "127.0.0.1", user "rdsadmin"' in refusal(user="rdsadmin")


def test_a_wrong_password_is_refused(refusal: Callable[..., str]) -> None:
    assert "password authentication failed" in refusal(password="wrong")


def test_a_changed_password_replaces_the_old_one(
    cluster: Cluster, refusal: Callable[..., str], run: Run
) -> None:
    cluster.set_password(MASTER, "another-one")
    try:
        assert "password authentication failed" in refusal(password=PASSWORD)
    finally:
        cluster.set_password(MASTER, PASSWORD)
    assert run(cluster, "SELECT 1") == [(1,)]


def test_a_password_reaches_neither_the_log_nor_the_catalog(cluster: Cluster) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject):
        cluster.set_password("nobody-of-that-name", "s3cret-in-clear")
    assert "nobody-of-that-name" in cluster.log.read_text()
    assert "s3cret-in-clear" not in cluster.log.read_text()
    [[stored]] = cluster.sql("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [MASTER])
    assert stored.startswith("SCRAM-SHA-256$")


def test_the_server_listens_on_loopback_alone_and_is_not_run_by_root(cluster: Cluster) -> None:
    process = psutil.Process(cluster.pid)
    listening = [one.laddr for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert [tuple(address) for address in listening] == [("127.0.0.1", cluster.port)]
    assert process.uids().effective not in {0} | ({os.geteuid()} if os.geteuid() == 0 else set())


# -- starting and stopping ------------------------------------------------------------------------------------


def test_data_survive_a_stop_and_a_crash(make_cluster: MakeCluster, authority: Authority, run: Run) -> None:
    cluster = make_cluster()
    run(cluster, "CREATE TABLE kept AS SELECT 1 AS one")
    for immediate in (False, True):
        before = cluster.pid
        cluster.stop(immediate=immediate)
        assert [cluster.pid] == [None]
        cluster.start(free_port(), certificate=authority.server)
        assert cluster.pid not in (None, before)
        assert run(cluster, "TABLE kept") == [(1,)]


def test_a_setting_overrides_the_labs_own(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(settings={"work_mem": "7MB", "max_connections": "33", "rds.note": "it's \\ here"})
    assert cluster.sql(
        "postgres",
        "SELECT current_setting('work_mem'), current_setting('max_connections'), current_setting('rds.note')",
    ) == [("7MB", "33", "it's \\ here")]


def test_a_server_that_does_not_start_says_why_and_where_to_read_on(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(start=False)
    with pytest.raises(Broken) as raised:
        cluster.start(1, {"work_mem": "plenty"})
    assert raised.value.message.startswith(f"PostgreSQL in {cluster.directory} did not start: FATAL:")
    assert "errors" in raised.value.message
    assert raised.value.hint == f"read its log, {cluster.log}"
    assert not cluster.running
    assert not cluster.sockets.exists()


def test_a_port_in_use_is_told(cluster: Cluster, make_cluster: MakeCluster, authority: Authority) -> None:
    other = make_cluster(start=False)
    with pytest.raises(Broken, match="could not create any TCP/IP sockets"):
        other.start(cluster.port, certificate=authority.server)


def test_a_cluster_is_not_made_over_another(cluster: Cluster) -> None:
    with pytest.raises(Broken) as raised:
        Cluster(cluster.directory, cluster.binaries).create()
    assert raised.value.message == f"{cluster.data} exists already"


def test_another_object_of_the_same_directory_is_the_same_cluster(cluster: Cluster) -> None:
    other = Cluster(cluster.directory, cluster.binaries)
    assert (other.pid, other.port) == (cluster.pid, cluster.port)


def test_a_destroyed_cluster_leaves_nothing(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    pid = cluster.pid
    assert pid
    cluster.destroy()
    assert _ended(pid)
    assert not cluster.directory.exists()
    assert not cluster.sockets.exists()


def _ended(pid: int) -> bool:
    """Whether a process is gone, or waits for nothing but its parent to notice."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# -- orphans --------------------------------------------------------------------------------------------------

ABANDON = """
import os, sys
from pathlib import Path
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Cluster
cluster = Cluster(Path(sys.argv[1]), postgres.find())
cluster.create()
cluster.start(1)
os._exit(9)
"""


def test_servers_left_by_a_killed_lab_are_found_and_ended(
    ground: Path, cluster: Cluster, binaries: Binaries
) -> None:
    root = ground / "abandoned"
    root.mkdir()
    done = subprocess.run([sys.executable, "-c", ABANDON, str(root / "one")], check=False)
    assert done.returncode == 9
    abandoned = Cluster(root / "one", binaries)
    assert kill_orphans(root) == [abandoned.data]
    assert not abandoned.running
    assert not abandoned.sockets.exists()
    assert kill_orphans(root) == []
    assert cluster.running


def test_a_server_whose_data_are_gone_is_still_found(ground: Path, binaries: Binaries) -> None:
    root = ground / "removed"
    root.mkdir()
    subprocess.run([sys.executable, "-c", ABANDON, str(root / "one")], check=False)
    abandoned = Cluster(root / "one", binaries)
    pid = abandoned.pid
    assert pid
    shutil.rmtree(abandoned.directory)
    assert kill_orphans(root) == [abandoned.data]
    assert _ended(pid)


def test_a_stale_file_does_not_make_another_process_a_server(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(start=False)
    (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert cluster.pid is None
    cluster.stop()
    assert kill_orphans(cluster.directory) == []


# -- backups and recovery -------------------------------------------------------------------------------------


@contextmanager
def _writing(cluster: Cluster) -> Iterator[None]:
    """Commit a row every few milliseconds, with clocks from before and after its commit."""
    cluster.sql(DATABASE, "CREATE TABLE written (id int PRIMARY KEY, before timestamptz, after timestamptz)")
    ended = threading.Event()

    def write() -> None:
        with cluster.session(DATABASE) as session:
            number = 0
            while not ended.is_set():
                number += 1
                session.execute("INSERT INTO written VALUES (%s, clock_timestamp())", [number])
                session.execute("UPDATE written SET after = clock_timestamp() WHERE id = %s", [number])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def test_a_backup_holds_what_was_committed_up_to_its_moment_and_nothing_later(
    make_cluster: MakeCluster,
) -> None:
    production = make_cluster()
    with _writing(production):
        moment = production.back_up(production.directory / "backup")
        production.archive_now()
    assert datetime.now(UTC) - timedelta(minutes=1) < moment < datetime.now(UTC)
    restored = make_cluster(backup=production.directory / "backup")
    assert restored.sql("postgres", "SELECT pg_is_in_recovery()") == [(False,)]
    [[last]] = restored.sql(DATABASE, "SELECT max(id) FROM written")
    promised = "SELECT max(id) FROM written WHERE after <= %s"
    [[must]] = production.sql(DATABASE, promised, [moment])
    [[may]] = production.sql(DATABASE, "SELECT max(id) FROM written WHERE before <= %s", [moment])
    [[all_in_all]] = production.sql(DATABASE, "SELECT max(id) FROM written")
    assert must <= last <= may < all_in_all


def test_an_idle_database_has_a_moment_too(make_cluster: MakeCluster) -> None:
    production = make_cluster()
    began = datetime.now(UTC)
    moment = production.back_up(production.directory / "backup")
    assert began - timedelta(seconds=1) < moment < datetime.now(UTC)


def test_recovery_ends_at_its_target_exactly(make_cluster: MakeCluster) -> None:
    production = make_cluster()
    production.sql(DATABASE, "CREATE TABLE steps (id int, at timestamptz DEFAULT clock_timestamp())")
    backup = production.directory / "backup"
    production.back_up(backup)
    between = []
    for step in range(1, 4):
        production.sql(DATABASE, "INSERT INTO steps VALUES (%s)", [step])
        [[now]] = production.sql(DATABASE, "SELECT clock_timestamp()")
        between.append(now)
    latest = production.archive_now()
    for target, steps in ((between[0], [1]), (between[1], [1, 2]), (latest, [1, 2, 3]), (None, [1, 2, 3])):
        recovered = make_cluster(backup=backup, archive=production.archive, target=target)
        assert [row[0] for row in recovered.sql(DATABASE, "SELECT id FROM steps ORDER BY id")] == steps
        # Promoted, of its own timeline, and it takes writes.
        recovered.sql(DATABASE, "INSERT INTO steps VALUES (99)")
        assert recovered.sql("postgres", "SELECT timeline_id FROM pg_control_checkpoint()") == [(2,)]
        recovered.destroy()


def test_the_latest_restorable_moment_is_reached_on_an_idle_database(make_cluster: MakeCluster) -> None:
    production = make_cluster()
    backup = production.directory / "backup"
    production.back_up(backup)
    first, second = production.archive_now(), production.archive_now()
    assert first < second
    for target in (first, second):
        make_cluster(backup=backup, archive=production.archive, target=target).destroy()
    with pytest.raises(
        Broken, match="did not start: FATAL:  recovery ended before configured recovery target was reached"
    ):
        make_cluster(backup=backup, archive=production.archive, target=second + timedelta(seconds=1))


def test_a_target_before_the_backup_is_refused(make_cluster: MakeCluster) -> None:
    production = make_cluster()
    backup = production.directory / "backup"
    moment = production.back_up(backup)
    target = moment - timedelta(microseconds=1)
    with pytest.raises(Broken) as raised:
        make_cluster(backup=backup, archive=production.archive, target=target)
    assert (raised.value.message, raised.value.hint) == (
        f"target {target.isoformat()} lies before the backup's own moment, {moment.isoformat()}",
        "recover from an earlier backup",
    )


def test_a_recovered_instance_archives_for_itself_and_can_be_recovered_again(
    make_cluster: MakeCluster,
) -> None:
    production = make_cluster()
    production.back_up(production.directory / "backup")
    before = sorted(production.archive.iterdir())
    second = make_cluster(
        backup=production.directory / "backup", archive=production.archive, target=production.archive_now()
    )
    assert not [file for file in second.archive.iterdir() if re.fullmatch("00000001[0-9A-F]{16}", file.name)]
    second.back_up(second.directory / "backup")
    second.sql(DATABASE, "CREATE TABLE later ()")
    target = second.archive_now()
    third = make_cluster(backup=second.directory / "backup", archive=second.archive, target=target)
    assert third.sql(DATABASE, "SELECT to_regclass('later')") == [("later",)]
    assert {*before} <= {*production.archive.iterdir()}


def test_a_backup_of_a_server_that_does_not_run_leaves_nothing(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(start=False)
    (cluster.data / "postmaster.pid").write_text("1\n\n\n1\n")
    with pytest.raises(
        Broken,
        match=r"PostgreSQL in \S+ cannot be backed up: connection is bad: connection to server on socket",
    ):
        cluster.back_up(cluster.directory / "backup")
    assert not (cluster.directory / "backup").exists()


# -- the private copy of PostgreSQL ---------------------------------------------------------------------------


def test_the_private_copy_is_found_again_and_every_extension_of_it_is_whole(binaries: Binaries) -> None:
    assert postgres.find() == binaries
    assert postgres.cache() in binaries.bin.parents
    extensions = Path(binaries.config("sharedir")) / "extension"
    assert [file.name for file in extensions.iterdir() if not file.exists()] == []
    assert "trusted = true" in (extensions / "amcheck.control").read_text()
    assert "trusted = true" not in (extensions / "pageinspect.control").read_text()


def test_a_folder_that_is_closed_to_postgresql_is_told(binaries: Binaries, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("as an ordinary user PostgreSQL runs as that user")
    (tmp_path / "closed").mkdir(mode=0o700)
    with pytest.raises(NotRunnable, match="is closed to user"):
        Cluster(tmp_path / "closed" / "cluster", binaries).create()
