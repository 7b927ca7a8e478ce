"""One instance's PostgreSQL on disk: made, started, backed up, restored, recovered to a moment, destroyed.

Touches its own directory, a socket folder below /tmp and the cache. As the other side of the product's
sessions it opens its own, over the Unix socket alone, as the role `rdsadmin` that no client can be.
"""

import contextlib
import hashlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from pgdrill.errors import Broken
from pgdrill.lab import base_backup, configuration, moment, postgres
from pgdrill.lab.configuration import ADMIN
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.processes import POLL, gone, is_postmaster, postmasters
from pgdrill.lab.tls import Certificate

Query = str | sql.SQL | sql.Composed

PATIENCE = 120.0  # seconds for a stop or an archived segment; a start takes what recovery takes


class Cluster:
    """PostgreSQL in `directory`: `data`, `archive` and `postgresql.log`. Another object of the same directory is the same cluster.

    Every file belongs to the user of `postgres.runner`, who has to be able to reach the directory.
    """

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        self.directory = directory.absolute()
        self.binaries = binaries
        self.data = self.directory / "data"
        self.archive = self.directory / "archive"
        self.log = self.directory / "postgresql.log"
        self.sockets = sockets_of(self.directory)

    # -- making -----------------------------------------------------------------------------------------------

    def create(self, *, amcheck: bool = True) -> None:
        """Make an empty instance, as RDS has it before its master user. Not started.

        `amcheck` says whether rds_superuser may execute amcheck's functions; a backup takes that along.
        """
        self._make_directory()
        _copy(_template(self.binaries), self.data)
        self._write("rds.conf", f"rds.amcheck = '{'granted' if amcheck else 'refused'}'\n")

    def restore(self, backup: Path) -> None:
        """Take a backup as the data of this new cluster. Not started; its archive is its own and empty."""
        self._make_directory()
        _copy(backup, self.data)

    def recover_to(self, archive: Path, target: datetime | None) -> None:
        """Let the next start replay `archive` up to and with `target`, and promote; None takes all there is.

        A start that does not come to the target is an error, never a silent earlier end.

        Raises:
            Broken: the target lies before the backup's own moment, so the data would silently be later.
        """
        settings = {
            "restore_command": configuration.restore_command(archive),
            "recovery_target_action": "promote",
            "hot_standby": "off",
        }
        if target is not None:
            earliest = moment.read(self.data)
            if target < earliest:
                raise Broken(
                    f"target {target.isoformat()} lies before the backup's own moment, {earliest.isoformat()}",
                    hint="recover from an earlier backup",
                )
            settings["recovery_target_time"] = target.astimezone(UTC).isoformat(
                sep=" ", timespec="microseconds"
            )
        self._write("recovery-target.conf", configuration.conf(settings))
        self._write("recovery.signal", "")

    def destroy(self) -> None:
        """Stop at once and remove everything."""
        self.stop(immediate=True)
        for _ in range(100):  # a last archive command may still be writing
            shutil.rmtree(self.directory, ignore_errors=True)
            if not self.directory.exists():
                break
            time.sleep(POLL)
        shutil.rmtree(self.sockets, ignore_errors=True)

    # -- running ----------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, if it runs: a stale file, or one whose number was reused, does not count."""
        try:
            pid = int(self._pid_file()[0])
        except (IndexError, ValueError):
            return None
        return pid if is_postmaster(pid, self.data) else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    @property
    def port(self) -> int:
        """The port it was started with; it also names the socket."""
        return int(self._pid_file()[3])

    def start(
        self,
        port: int,
        settings: Mapping[str, str] | None = None,
        *,
        certificate: Certificate | None = None,
        preload: Mapping[str, str] | None = None,
    ) -> None:
        """Start, and return once the server accepts connections, after any recovery.

        It listens on 127.0.0.1 for encrypted connections; without a `certificate` on its socket alone.
        `settings` override the lab's own. `preload` are environment variables for the server.

        Raises:
            Broken: it did not come up; the message holds the last line of its log.
        """
        self._configure(port, settings or {}, certificate)
        self._make_sockets()
        began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [str(self.binaries.bin / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self.binaries.environment | dict(preload or {}),
                start_new_session=True,
                **postgres.runner(),
            )
        # Reaps it whenever it ends, so that a dead postmaster is never taken for a running one.
        threading.Thread(target=process.wait, daemon=True, name=f"postmaster-{process.pid}").start()
        while not self._ready(process.pid):
            if process.poll() is not None:
                shutil.rmtree(self.sockets, ignore_errors=True)
                raise Broken(
                    f"PostgreSQL in {self.directory} did not start: {self._last_words(began)}",
                    hint=f"read its log, {self.log}",
                )
            time.sleep(POLL)
        (self.data / "recovery-target.conf").unlink(missing_ok=True)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop and wait for the end. `immediate` is a crash: the next start recovers.

        Raises:
            Broken: it still runs after two minutes.
        """
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGQUIT if immediate else signal.SIGINT)
        if not gone(pid, self.data, PATIENCE):
            raise Broken(
                f"PostgreSQL in {self.directory} (process {pid}) did not stop in {PATIENCE:.0f} s",
                hint=f"read its log, {self.log}, then: kill -QUIT {pid}",
            )
        shutil.rmtree(self.sockets, ignore_errors=True)

    def sql(
        self, database: str, query: Query, params: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one statement as rdsadmin over the socket, by itself and committed, and return its rows."""
        with self.session(database) as session:
            cursor = session.execute(query, params or None)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def session(self, database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Open an autocommit session as rdsadmin over the socket."""
        session = psycopg.connect(
            host=str(self.sockets), port=self.port, user=ADMIN, dbname=database, autocommit=True
        )
        with contextlib.closing(session):
            yield session

    # -- what RDS does with it --------------------------------------------------------------------------------

    def create_master(self, user: str, password: str, dbname: str | None = None) -> None:
        """Make the master user, member of rds_superuser and no superuser, and its database."""
        role = sql.Identifier(user)
        with self.session("postgres") as session:
            session.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE VALID UNTIL 'infinity'").format(role)
            )
            session.execute(sql.SQL("GRANT rds_superuser TO {}").format(role))
            session.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(role))
            if dbname and dbname != "postgres":
                session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(dbname), role))
        self.set_password(user, password)

    def set_password(self, role: str, password: str) -> None:
        """Give a role a password; the server sees and logs its SCRAM verifier alone."""
        with self.session("postgres") as session:
            verifier = session.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            session.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(verifier.decode())
                )
            )

    def back_up(self, target: Path, before: Path | None = None) -> datetime:
        """Take a physical base backup into `target` and return the moment whose data it holds.

        What was committed up to that moment is in it, and nothing later. With the backup `before` of this cluster it
        shares what has not been written since.

        Raises:
            Broken: the server does not answer, or ended meanwhile.
        """
        self.own(target)
        try:
            with self.session("postgres") as session:
                base_backup.take(session, self.data, self.archive, target, before)
            return moment.stamp(target, self.binaries)
        except psycopg.Error as error:
            shutil.rmtree(target, ignore_errors=True)
            raise Broken(
                f"PostgreSQL in {self.directory} cannot be backed up: {str(error).splitlines()[0]}",
                hint=f"read its log, {self.log}",
            ) from error
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise

    def archive_now(self) -> datetime:
        """Archive all that is committed, and return the moment that can now be restored to.

        The moment is read before a heartbeat's commit whose segment is then in the archive. So for every
        target up to and with it a later commit is there, and recovery that reaches that commit has all
        before: that is what LatestRestorableTime promises.

        Raises:
            Broken: the segment did not come into the archive.
        """
        with self.session(ADMIN) as session:
            with session.transaction():
                now = session.execute("SELECT clock_timestamp()").fetchone()
                session.execute(
                    "UPDATE rds_heartbeat2 SET value = extract(epoch FROM clock_timestamp()) * 1000"
                )
            segment = session.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        if now is None or segment is None:
            raise AssertionError("a SELECT without FROM returns one row")
        deadline = time.monotonic() + PATIENCE
        while not (self.archive / str(segment[0])).exists():
            if time.monotonic() > deadline or not self.running:
                raise Broken(
                    f"segment {segment[0]} is not in the archive {self.archive}",
                    hint=f"read the log, {self.log}",
                )
            time.sleep(POLL)
        at: datetime = now[0]
        return at.astimezone(UTC)

    # -- inside -----------------------------------------------------------------------------------------------

    def _configure(self, port: int, settings: Mapping[str, str], certificate: Certificate | None) -> None:
        own = configuration.SETTINGS | {
            "port": str(port),
            "listen_addresses": "127.0.0.1" if certificate else "",
            "unix_socket_directories": str(self.sockets),
            "archive_command": configuration.archive_command(self.archive),
        }
        if certificate:
            own |= {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}
            self._write("server.pem", certificate.certificate.read_text())
            self._write("server.key", certificate.key.read_text())
        includes = "".join(f"include_if_exists '{name}.conf'\n" for name in ("rds", "recovery-target"))
        self._write("postgresql.conf", configuration.conf(own | dict(settings)) + includes)
        self._write("pg_hba.conf", configuration.HBA)
        us = {pwd.getpwuid(uid).pw_name for uid in (os.geteuid(), self.directory.stat().st_uid)}
        self._write("pg_ident.conf", configuration.ident(us))

    def _make_directory(self) -> None:
        if self.data.exists():
            raise Broken(f"{self.data} exists already", hint="destroy the cluster there first")
        for folder in (self.directory, self.archive):
            self.own(folder)
        postgres.reachable(self.directory)

    def own(self, folder: Path) -> None:
        """Make a folder if need be, and give it to the user who runs PostgreSQL."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        postgres.give(folder)

    def _make_sockets(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.sockets.mkdir(mode=0o700)
            postgres.give(self.sockets)
        if self.sockets.is_symlink() or self.sockets.stat().st_uid != self.directory.stat().st_uid:
            raise Broken(f"{self.sockets} belongs to somebody else", hint="remove it")

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        postgres.give(path)

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _ready(self, pid: int) -> bool:
        """Line 8 says `ready` once connections are accepted, and `standby` or `starting` before. Source: pidfile.h."""
        lines = self._pid_file()
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _last_words(self, since: int) -> str:
        """Return why the server ended: its last fatal line since `since` bytes, without time and process."""
        lines = self.log.read_bytes()[since:].decode(errors="replace").strip().splitlines()
        fatal = [line for line in lines if re.search(r"\b(FATAL|PANIC):", line)]
        return re.sub(
            r"^.*?\b(?=(FATAL|PANIC|LOG|ERROR):)", "", (fatal or lines or ["nothing in its log"])[-1]
        )


def kill_orphans(root: Path) -> list[Path]:
    """Stop every PostgreSQL server whose data lies below `root`, and return the data folders.

    Raises:
        Broken: one does not end.
    """
    stopped = []
    for process, data in postmasters(root):
        for number in (signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
            if gone(process.pid, data, 10.0):
                break
        else:
            raise Broken(f"PostgreSQL in {data} (process {process.pid}) does not end", hint="end it by hand")
        shutil.rmtree(sockets_of(data.parent), ignore_errors=True)
        stopped.append(data)
    return stopped


def sockets_of(directory: Path) -> Path:
    """Return the folder of a cluster's Unix socket, whose path must stay under about 100 characters."""
    name = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12]
    return Path("/tmp") / f"pgdrill-{name}"  # noqa: S108  # whose it is, is checked before every start


def _template(binaries: Binaries) -> Path:
    """Return the data of a cluster as RDS has it, made once for each version and kept in the cache."""
    statements = configuration.ROLES + (configuration.GRANTABLE if binaries.major >= 16 else "")
    recipe = hashlib.sha256(f"{binaries} {statements} {configuration.HEARTBEAT}".encode()).hexdigest()[:12]
    home = postgres.cache() / f"template-{binaries.version}-{recipe}"
    if not home.exists():
        with postgres.aside(home) as building:
            made = Cluster(building, binaries)
            made._make_directory()  # noqa: SLF001  # a template is a cluster that is not made from a template
            locale = "C.UTF-8" if sys.platform == "linux" else "C"
            binaries.run(
                "initdb", "-D", made.data, "-U", ADMIN, "--auth=reject", "--data-checksums", "--encoding=UTF8",
                f"--locale={locale}", "--wal-segsize=1", "--no-sync", "--no-instructions",
            )  # fmt: skip
            made.start(1, {"archive_mode": "off"})
            try:
                made.sql("postgres", statements)
                made.sql("postgres", f"CREATE DATABASE {ADMIN}")
                made.sql(ADMIN, configuration.HEARTBEAT)
            finally:
                made.stop()
    return home / "data"


def _copy(source: Path, target: Path) -> None:
    """Copy a data folder as the user who runs PostgreSQL. Blocks are shared where the file system can."""
    options = ["-a", "--reflink=auto"] if sys.platform == "linux" else ["-Rp"]
    postgres.run("cp", *options, source, target)
