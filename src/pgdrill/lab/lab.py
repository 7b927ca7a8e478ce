"""The lab from outside: begins its daemon, has the world made, says how to use it, and ends all of it.

Writes in the lab's own directory alone, one `up` or `down` at a time.
"""

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab import daemon, postgres, world
from pgdrill.lab.door import Door
from pgdrill.lab.record import FILE, Record, Settings


def default_directory() -> Path:
    """Return where a lab lives unless told otherwise; for root a place that PostgreSQL's user can reach."""
    if os.geteuid() == 0:
        return Path("/var/lib/pgdrill/lab")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pgdrill" / "lab"


def past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what lets clients past a proxy, if there is one, to this machine itself; both spellings are read."""
    if not any(environ.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
        return {}
    hosts = (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(",")
    past = ",".join([*(host for host in hosts if host and host != "127.0.0.1"), "127.0.0.1"])
    return {"NO_PROXY": past, "no_proxy": past}


class Lab:
    """One lab in one directory, whether it runs or not."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = (directory or default_directory()).absolute()
        self.plan_path = self.directory / "pgdrill.toml"
        self.environment_path = self.directory / "lab.env"
        self._lock = threading.Lock()
        self._session = boto3.session.Session("test", "test")
        self._clients: dict[tuple[str, str, int], Any] = {}

    def running(self) -> Record | None:
        """Return the record of a lab whose process lives and whose world is made."""
        record = Record.read(self.directory)
        return record if record and record.ready and daemon.living(self.directory, record) else None

    @property
    def _record(self) -> Record:
        record = Record.read(self.directory)
        if record is None or daemon.living(self.directory, record) is None:
            raise NotRunnable(f"no lab runs in {str(self.directory)!r}", hint="start it with: pgdrill lab up")
        return record

    @property
    def door(self) -> Door:
        return Door(self._record.port)

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which boto3, the AWS CLI, libpq and pgdrill work against this lab unchanged."""
        record = self._record
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{record.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "",  # a real session's token must not travel with the test keys
            "AWS_REGION": record.regions[0],
            "AWS_DEFAULT_REGION": record.regions[0],
            "PGSSLROOTCERT": str(self.directory / "tls" / "ca.pem"),
            "PGDRILL_PLAN": str(self.plan_path),
        } | past_proxies(os.environ)

    def world(self, region: str | None = None) -> world.World:
        """Return what `up` made in a region; the primary one unless named."""
        path = self.directory / f"world-{region or self._record.regions[0]}.json"
        return world.World.model_validate_json(path.read_bytes())

    def client(self, service: str, region: str | None = None) -> Any:
        """Return an ordinary boto3 client of the lab, whatever this process's own environment says."""
        record = self._record
        key = service, region or record.regions[0], record.port
        with self._lock:  # a boto3 session is not thread-safe; its clients are
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service,  # type: ignore[call-overload] # the caller's choice
                    region_name=key[1],
                    endpoint_url=f"http://127.0.0.1:{record.port}",
                    config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 1}),
                )
            return self._clients[key]

    def up(self, settings: Settings | None = None, *, fresh: bool = False) -> bool:
        """Start the lab; return False if it ran already. What was kept is loaded, unless `fresh`.

        What `settings` leaves unset is as in the kept lab, or the default.

        Raises:
            NotRunnable: the directory or port cannot be used, or `fresh` is asked of a running lab.
            Broken: the lab's process ended or did not answer.
        """
        binaries = postgres.find()
        with self._held(make=True):
            if self.running():
                if fresh:
                    where = str(self.directory)
                    raise NotRunnable(f"a lab runs in {where!r}", hint="end it first: pgdrill lab down")
                return False
            record = Record.read(self.directory)
            daemon.end(self.directory, record, keep=False)
            kept = record if record and record.kept and not fresh else None
            if kept is None:
                self._clear()
                Record().write(self.directory)
            base = kept.settings if kept else Settings()
            given = settings.model_dump(exclude_unset=True) if settings else {}
            try:
                self._start(kept, base.model_copy(update=given), binaries.major)
            except BaseException:
                daemon.end(self.directory, Record.read(self.directory), keep=False)
                if kept:
                    kept.write(self.directory)
                raise
        return True

    def down(self, *, keep: bool = False) -> bool:
        """End the lab's process, every PostgreSQL of it, and whatever a killed one left; return if it ran.

        Its directory is removed unless `keep`.
        """
        if not self.directory.exists():
            return False
        with self._held(make=False):
            record = Record.read(self.directory)
            ran = daemon.living(self.directory, record) is not None
            daemon.end(self.directory, record, keep=keep)
            if not keep:
                self._clear()
                self.directory.rmdir()
        return ran

    def _start(self, kept: Record | None, settings: Settings, major: int) -> None:
        record, process = daemon.begin(self.directory, settings, kept.port if kept else 0)
        try:
            # The socket listens already: the first request waits in its queue until the daemon serves.
            if kept is None:
                self._make_world(record, major)
            self.door.status()
        except (Broken, BotoCoreError, NotRunnable) as error:
            log = self.directory / daemon.LOG
            raise Broken(
                f"the lab's process {daemon.state(process)}: {daemon.last_words(log)}",
                hint=f"read {str(log)!r}",
            ) from error
        lines = [f"{name}={value}\n" for name, value in self.environment.items()]
        self.environment_path.write_text("".join(lines), encoding="utf-8")
        record.model_copy(update={"ready": True}).write(self.directory)

    def _make_world(self, record: Record, major: int) -> None:
        worlds = world.make(self.client, *record.regions, family=f"postgres{major}")
        for made in worlds:
            path = self.directory / f"world-{made.region}.json"
            path.write_text(made.model_dump_json(indent=2), encoding="utf-8")
        self.plan_path.write_text(world.plan(*worlds), encoding="utf-8")

    @contextlib.contextmanager
    def _held(self, *, make: bool) -> Iterator[None]:
        """Let one `up` or `down` at a time work on the directory, and only on a lab's directory."""
        while True:
            if make:
                self._make_directory()
            elif not self.directory.exists():
                raise NotRunnable(
                    f"the lab in {str(self.directory)!r} is gone", hint="another command has just ended it"
                )
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not self.directory.exists() or not os.path.samestat(
                    os.fstat(descriptor), self.directory.stat()
                ):
                    continue  # another `down` has just removed it
                foreign = {path.name for path in self.directory.iterdir()} - {f"{FILE}.new"}
                if foreign and FILE not in foreign:
                    raise NotRunnable(
                        f"{str(self.directory)!r} holds something else than a lab",
                        hint="name an empty or new directory with --directory",
                    )
                self.directory.chmod(0o711)  # PostgreSQL's user passes through; nobody else reads
                yield
                return
            finally:
                os.close(descriptor)

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise NotRunnable(
                f"the lab's directory {str(self.directory)!r} cannot be made: {error.strerror}",
                hint="name another with --directory",
            ) from error
        for path in self.directory.parents:
            if os.geteuid() == 0 and not path.stat().st_mode & 0o001:
                raise NotRunnable(
                    f"PostgreSQL's user cannot reach {str(self.directory)!r}: {str(path)!r} is closed to it",
                    hint="name another with --directory, below one that every user may enter",
                )

    def _clear(self) -> None:
        """Remove everything in the directory, the record last, so that a killed removal can be resumed."""
        for path in sorted(self.directory.iterdir(), key=lambda path: path.name == FILE):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
