"""One instance's PostgreSQL on disk: made, started, backed up, restored, recovered to a moment, destroyed.

Touches its own directory, a socket folder below /tmp and the cache. As the other side of the product's
sessions it opens its own, over the Unix socket alone, as the role `rdsadmin` that no client can be.
"""

import contextlib
import hashlib
import os
import pwd
import re
import shlex
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
from pgdrill.lab import postgres
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Certificate

Query = str | sql.SQL | sql.Composed

ADMIN = "rdsadmin"
MOMENT = "backup_moment"  # a file in a backup: the moment whose data it holds
POLL = 0.01
PATIENCE = 120.0  # seconds for a stop or an archived segment; a start takes what recovery takes

# A lab's power does not fail, and what it tests is damage done on purpose: so nothing waits for the disk.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "on",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "wal_level": "replica",
    "archive_mode": "on",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "logging_collector": "off",
}

# The roles that an RDS instance has apart from its master user, and what they may do.
# Source: RDS User Guide, "Understanding the rds_superuser role".
ROLES = """
CREATE ROLE rds_superuser NOLOGIN;
CREATE ROLE rds_replication NOLOGIN;
CREATE ROLE rds_password NOLOGIN;
CREATE ROLE rds_iam NOLOGIN;
GRANT pg_monitor, pg_signal_backend, pg_checkpoint, rds_replication, rds_password TO rds_superuser
  WITH ADMIN OPTION;
GRANT SET ON PARAMETER session_replication_role TO rds_superuser;
"""
# Up to 15 CREATEROLE is enough to grant these; from 16 on the option is needed, without the membership itself.
READ_ALL = """
GRANT pg_read_all_data, pg_write_all_data TO rds_superuser WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
"""
HEARTBEAT = """
CREATE TABLE rds_heartbeat2 (id int PRIMARY KEY, value bigint NOT NULL);
INSERT INTO rds_heartbeat2 VALUES (1, 0);
"""

# No line for unencrypted TCP: the server's refusal is then, word for word, that of rds.force_ssl.
HBA = f"""
local all,replication {ADMIN} peer map=lab
host all,replication {ADMIN} all reject
hostssl all all 127.0.0.1/32 scram-sha-256
"""


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
        command = f"cp {shlex.quote(str(archive.absolute())).replace('%', '%%')}/%f %p"
        settings = {"restore_command": command, "recovery_target_action": "promote", "hot_standby": "off"}
        if target is not None:
            moment = datetime.fromisoformat((self.data / MOMENT).read_text(encoding="ascii"))
            if target < moment:
                raise Broken(
                    f"target {target.isoformat()} lies before the backup's own moment, {moment.isoformat()}",
                    hint="recover from an earlier backup",
                )
            settings["recovery_target_time"] = target.astimezone(UTC).isoformat(
                sep=" ", timespec="microseconds"
            )
        self._write("recovery-target.conf", _conf(settings))
        self._write("recovery.signal", "")

    def destroy(self) -> None:
        """Stop at once and remove everything."""
        self.stop(immediate=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)

    # -- running ----------------------------------------------------------------------------------------------

    @property
    def sockets(self) -> Path:
        """The folder of the Unix socket: short, since a socket's path must stay under about 100 characters."""
        name = hashlib.sha256(str(self.directory.resolve()).encode()).hexdigest()[:12]
        return Path("/tmp") / f"pgdrill-{name}"  # noqa: S108  # owner and mode are checked in `start`

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, if it runs: a stale file, or one whose number was reused, does not count."""
        try:
            pid = int(self._pid_file()[0])
        except (IndexError, ValueError):
            return None
        return pid if _is_postmaster(pid, self.data) else None

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
        if not _gone(pid, self.data, PATIENCE):
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

    def back_up(self, target: Path) -> datetime:
        """Take a physical base backup into `target` and return the moment whose data it holds.

        What was committed up to that moment is in it, and nothing later: it is the time of the last commit in
        the backup's own WAL or, with none, a moment between its start and its end.
        """
        self.own(target)
        try:
            self.binaries.run(
                "pg_basebackup", "-h", self.sockets, "-p", str(self.port), "-U", ADMIN, "-D", target,
                "--checkpoint=fast", "--wal-method=stream", "--no-sync", "--no-manifest",
            )  # fmt: skip
            moment = _last_commit(target, self.binaries) or _modified(target / "backup_label")
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        (target / MOMENT).write_text(moment.isoformat(), encoding="ascii")
        return moment

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
                moment = session.execute("SELECT clock_timestamp()").fetchone()
                session.execute(
                    "UPDATE rds_heartbeat2 SET value = extract(epoch FROM clock_timestamp()) * 1000"
                )
            segment = session.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        if moment is None or segment is None:
            raise AssertionError("a SELECT without FROM returns one row")
        deadline = time.monotonic() + PATIENCE
        while not (self.archive / str(segment[0])).exists():
            if time.monotonic() > deadline or not self.running:
                raise Broken(
                    f"segment {segment[0]} is not in the archive {self.archive}",
                    hint=f"read the log, {self.log}",
                )
            time.sleep(POLL)
        at: datetime = moment[0]
        return at.astimezone(UTC)

    # -- inside -----------------------------------------------------------------------------------------------

    def _configure(self, port: int, settings: Mapping[str, str], certificate: Certificate | None) -> None:
        archived = shlex.quote(str(self.archive)).replace("%", "%%")
        own = SETTINGS | {
            "port": str(port),
            "listen_addresses": "127.0.0.1" if certificate else "",
            "unix_socket_directories": str(self.sockets),
            # Complete or absent under its name; archived once more after a crash it must be the same.
            "archive_command": f"if test -f {archived}/%f; then cmp -s %p {archived}/%f;"
            f" else cp %p {archived}/.%f && mv {archived}/.%f {archived}/%f; fi",
        }
        if certificate:
            own |= {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}
            self._write("server.pem", certificate.certificate.read_text())
            self._write("server.key", certificate.key.read_text())
        includes = "".join(f"include_if_exists '{name}.conf'\n" for name in ("rds", "recovery-target"))
        self._write("postgresql.conf", _conf(own | dict(settings)) + includes)
        self._write("pg_hba.conf", HBA)
        us = {pwd.getpwuid(uid).pw_name for uid in (os.geteuid(), self.directory.stat().st_uid)}
        self._write("pg_ident.conf", "".join(f'lab "{name}" {ADMIN}\n' for name in sorted(us)))

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
        _give(folder)

    def _make_sockets(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.sockets.mkdir(mode=0o700)
            _give(self.sockets)
        if self.sockets.is_symlink() or self.sockets.stat().st_uid != self.directory.stat().st_uid:
            raise Broken(f"{self.sockets} belongs to somebody else", hint="remove it")

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        _give(path)

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

    Found by the processes themselves, so that neither a removed folder nor a stale file hides one.

    Raises:
        Broken: one does not end.
    """
    below = root.resolve()
    stopped = []
    for process in psutil.process_iter():
        data = _data_of(process)
        if data is None or below not in data.parents or _data_of_parent(process) == data:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
        if not _gone(process.pid, data, 10.0):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            if not _gone(process.pid, data, 10.0):
                raise Broken(
                    f"PostgreSQL in {data} (process {process.pid}) does not end", hint="end it by hand"
                )
        stopped.append(data)
        shutil.rmtree(Cluster(data.parent, Binaries(Path(), 0, "")).sockets, ignore_errors=True)
    return stopped


def _template(binaries: Binaries) -> Path:
    """Return the data of a cluster as RDS has it, made once for each version and kept in the cache."""
    recipe = f"{binaries} {ROLES} {READ_ALL} {HEARTBEAT} {postgres.runner()}"
    home = (
        postgres.cache() / f"template-{binaries.version}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    )
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
                made.sql("postgres", ROLES + (READ_ALL if binaries.major >= 16 else ""))
                made.sql("postgres", f"CREATE DATABASE {ADMIN}")
                made.sql(ADMIN, HEARTBEAT)
            finally:
                made.stop()
            shutil.rmtree(made.sockets, ignore_errors=True)
    return home / "data"


def _copy(source: Path, target: Path) -> None:
    """Copy a data folder as the user who runs PostgreSQL. Blocks are shared where the file system can."""
    options = ["-a", "--reflink=auto"] if sys.platform == "linux" else ["-Rp"]
    postgres.run(["cp", *options, str(source), str(target)], **postgres.runner())


def _give(path: Path) -> None:
    account = postgres.runner()
    if account:
        os.chown(path, account["user"], account["group"])


def _last_commit(backup: Path, binaries: Binaries) -> datetime | None:
    wal = backup / "pg_wal"
    segments = sorted(file.name for file in wal.iterdir() if re.fullmatch("[0-9A-F]{24}", file.name))
    records = binaries.run("pg_waldump", "-r", "Transaction", "-p", wal, segments[0], segments[-1])
    commits = re.findall(r"desc: COMMIT (\S+ \S+) UTC", records)
    return datetime.fromisoformat(commits[-1]).replace(tzinfo=UTC) if commits else None


def _modified(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _conf(settings: Mapping[str, str]) -> str:
    return "".join(
        "{} = '{}'\n".format(name, value.replace("\\", "\\\\").replace("'", "''"))
        for name, value in settings.items()
    )


def _data_of(process: psutil.Process) -> Path | None:
    """Return the data folder of a PostgreSQL server process: every one of them works inside it."""
    try:
        if not process.name().startswith("postgres") or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Path(process.cwd().removesuffix(" (deleted)"))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _data_of_parent(process: psutil.Process) -> Path | None:
    try:
        parent = process.parent()
    except psutil.NoSuchProcess:
        return None
    return _data_of(parent) if parent else None


def _is_postmaster(pid: int, data: Path) -> bool:
    try:
        return _data_of(psutil.Process(pid)) == data.resolve()
    except psutil.NoSuchProcess:
        return False


def _gone(pid: int, data: Path, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while _is_postmaster(pid, data):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
