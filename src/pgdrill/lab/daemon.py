"""The only module that begins and ends the lab's processes.

What a killed daemon leaves is found by the lab's mark in a process's environment and by PostgreSQL's data
directories, never by a process's name.
"""

import contextlib
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import psutil

from pgdrill.errors import NotRunnable
from pgdrill.lab import bytecode, cluster
from pgdrill.lab.record import Record, Settings

ACCOUNT = "000000000000"
LISTENER = 3
LOG = "daemon.log"
TEMPORARY = "tmp"
MARK = "PGDRILL_LAB_DIRECTORY"
STOP_TIMEOUT = 30.0


def begin(directory: Path, settings: Settings, before: int) -> tuple[Record, psutil.Process]:
    """Start the daemon on the port asked for, else the port of `before`, else any; write and return the record.

    Its socket listens already: the first request waits in the socket's queue until the daemon serves.

    Raises:
        NotRunnable: the port asked for cannot be used.
    """
    shutil.rmtree(directory / TEMPORARY, ignore_errors=True)  # a killed daemon leaves it as it was
    for part in ("aws", TEMPORARY):
        (directory / part).mkdir(mode=0o700, exist_ok=True)
    with _listener(settings.port, before) as listener, (directory / LOG).open("ab") as log:
        record = Record(settings=settings, port=listener.getsockname()[1])
        # Not subprocess: its objects complain about a child that outlives them, and this one is to.
        pid = os.posix_spawn(
            sys.executable,
            _command(directory),
            _environment(directory, record),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                (os.POSIX_SPAWN_DUP2, listener.fileno(), LISTENER),
            ],
            setsid=True,
        )
    record = record.model_copy(update={"pid": pid})
    record.write(directory)
    return record, _begun(psutil.Process(pid))


def living(directory: Path, record: Record | None) -> psutil.Process | None:
    """Return the daemon's process while it lives. The pid alone may be another process's by now."""
    if record is None or record.pid is None:
        return None
    try:
        process = psutil.Process(record.pid)
        ours = process.cmdline()[1:4] == _command(directory)[1:4]  # empty for a zombie
    except psutil.Error:
        return None
    return process if ours else None


def end(directory: Path, record: Record | None, *, keep: bool) -> None:
    """End the daemon if it lives, then whatever of the lab still runs.

    With `keep` the daemon stops its servers and saves its state; else there is nothing to wait for.
    """
    process = living(directory, record)
    if process:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate() if keep else process.kill()
        _await_end([process], STOP_TIMEOUT)
    cluster.kill_orphans(directory)
    _await_end(_marked(directory), 2.0)


def state(process: psutil.Process) -> str:
    """Return in words whether a process that this one began has ended."""
    try:
        return f"ended with status {process.wait(timeout=1)}"
    except psutil.TimeoutExpired:
        return "does not answer"


def last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it left no word in its log"


def _begun(process: psutil.Process) -> psutil.Process:
    """Wait until the kernel shows what the process runs, by which `living` knows it.

    Source: Linux's fs/exec.c and fs/binfmt_elf.c: the parent is let go when memory is changed, and the command line
    is there only when the new program has been mapped into it.
    """
    with contextlib.suppress(psutil.Error):  # it has ended already
        while not process.cmdline():
            time.sleep(0.001)
    return process


def _command(directory: Path) -> list[str]:
    return [sys.executable, "-m", "pgdrill.lab.emulator", str(directory), str(LISTENER)]


def _listener(asked: int, before: int) -> socket.socket:
    for port in [asked] if asked else [before, 0]:
        try:
            return socket.create_server(("127.0.0.1", port), backlog=128)
        except OSError as error:
            if port and port == asked:
                raise NotRunnable(
                    f"port {port} on 127.0.0.1 cannot be used: {os.strerror(error.errno or 0)}",
                    hint="choose another with --port, or leave it out for a free one",
                ) from error
    raise NotRunnable("no port on 127.0.0.1 is free", hint="look at what listens with: ss -ltn")


def _environment(directory: Path, record: Record) -> dict[str, str]:
    """Return ministack's settings, and of this process's environment what is neither AWS's nor libpq's."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PG")) or name.startswith("PGDRILL_PG")
    }
    return bytecode.kept(inherited) | {
        MARK: str(directory),
        "AUTH": str(record.settings.auth).lower(),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{record.port}",
        "AWS_DEFAULT_REGION": record.regions[0],
        "DOCKER_HOST": f"unix://{directory}/no-docker",
        "GATEWAY_PORT": str(record.port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": record.regions[0],
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(directory / "aws" / "s3"),
        "S3_PERSIST": "1",
        "SFN_WAIT_SCALE": str(record.settings.waits),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(directory / "aws" / "state"),
        # What the emulator unpacks for its workers lies elsewhere otherwise, and stays when it is killed.
        "TMPDIR": str(directory / TEMPORARY),
    }


def _marked(directory: Path) -> list[psutil.Process]:
    """End and return what the daemon began and did not end: Lambda workers, a backup on its way."""
    marked = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == str(directory) and process.pid != os.getpid():
                process.terminate()
                marked.append(process)
    return marked


def _await_end(processes: list[psutil.Process], timeout: float) -> None:
    """Wait until all have ended; kill those that have not in time."""
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=timeout)
