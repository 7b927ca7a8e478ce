"""PostgreSQL's server processes as the operating system shows them. Starts and ends none."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

POLL = 0.01


def data_of(process: psutil.Process) -> Path | None:
    """Return the data folder of a PostgreSQL server process: every one of them works inside it."""
    try:
        if not process.name().startswith("postgres") or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Path(process.cwd().removesuffix(" (deleted)"))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether a process is a server of that data folder, and not another that was given its number."""
    try:
        return data_of(psutil.Process(pid)) == data.resolve()
    except psutil.NoSuchProcess:
        return False


def postmasters(root: Path) -> Iterator[tuple[psutil.Process, Path]]:
    """Yield every server whose data lies below `root`, and its data folder.

    Found by the processes themselves, so that neither a removed folder nor a stale file hides one.
    """
    below = root.resolve()
    for process in psutil.process_iter():
        data = data_of(process)
        if data is not None and below in data.parents and _data_of_parent(process) != data:
            yield process, data


def gone(pid: int, data: Path, patience: float) -> bool:
    """Wait for a server's end; False if it still runs after `patience` seconds."""
    deadline = time.monotonic() + patience
    while is_postmaster(pid, data):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def _data_of_parent(process: psutil.Process) -> Path | None:
    try:
        parent = process.parent()
    except psutil.NoSuchProcess:
        return None
    return data_of(parent) if parent else None
