"""Makes a physical backup of a running server by PostgreSQL's own calls, and shares with an earlier one what is the same.

Snapshots in AWS share blocks, so that one costs what has changed; here backups share files, else a month fills the
disk. Whoever writes to a backup, which sabotage alone does, gives it files of its own before.

Source: PostgreSQL documentation, "Making a Base Backup Using the Low Level API".
"""

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from pgdrill.lab import postgres

LABEL = "backup_label"
# What a file system's times are exact to, and more.
MARGIN = timedelta(seconds=1)
# What a server makes anew when it starts: folders whose content is left out, and files.
# Source: PostgreSQL documentation, as above, "Backing Up the Data Directory".
EMPTIED = frozenset(
    {
        "pg_dynshmem",
        "pg_notify",
        "pg_replslot",
        "pg_serial",
        "pg_snapshots",
        "pg_stat_tmp",
        "pg_subtrans",
        "pg_wal",
    }
)
LEFT_OUT = re.compile(r"postmaster\.(pid|opts)|pg_internal\.init.*|pgsql_tmp.*|backup_label.*|.*\.tmp")
# What grows with the data; the rest is small, and written often.
SHARED = ("base", "global")
_SEGMENT = re.compile("[0-9A-F]{24}")


def take(
    session: psycopg.Connection[tuple[Any, ...]], data: Path, archive: Path, target: Path, before: Path | None
) -> None:
    """Back up the server of a session, whose files lie in `data`, into the folder `target`, which is there and empty.

    Its write-ahead log is taken along from its own folder and from `archive`, so that the backup is whole by itself.
    `before` is an earlier backup of the same server.
    """
    since = _written_by(before) if before else 0.0
    session.execute("SELECT pg_backup_start('pgdrill', fast => true)")
    for folder, name in _files(data, target):
        # Text, not paths: a cluster has a thousand files, and this is done for every snapshot.
        live, own = f"{data}/{folder}/{name}", f"{target}/{folder}/{name}"
        if not (folder.startswith(SHARED) and _share(live, f"{before}/{folder}/{name}", own, since)):
            with contextlib.suppress(FileNotFoundError):  # dropped meanwhile, which its log says
                _copy(live, own)
    stopped = session.execute(
        "SELECT labelfile, pg_walfile_name(lsn) FROM pg_backup_stop(wait_for_archive => false)"
    ).fetchone()
    if stopped is None:
        raise AssertionError("pg_backup_stop returns one row")
    label, last = stopped
    _write(target / LABEL, label)
    _take_log(data / "pg_wal", archive, target / "pg_wal", _first(label), last)


def unshare(directory: Path) -> None:
    """Give a backup files of its own, so that what is done to them is done to no other."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
                own = path.with_name(f".{name}.own")
                shutil.copy2(path, own)
                os.chown(own, status.st_uid, status.st_gid)
                own.replace(path)


def _files(data: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yield folder and name of each file to take along, the folder made in the target, and the control file last."""
    for path, folders, names in os.walk(data):
        folder = os.path.relpath(path, data)
        if folder != ".":
            made = target / folder
            made.mkdir(mode=0o700)
            postgres.give(made)
        if folder in EMPTIED:
            folders.clear()
            continue
        for name in sorted(names, key="pg_control".__eq__):
            if not LEFT_OUT.fullmatch(name):
                yield folder, name


def _take_log(own: Path, archive: Path, target: Path, first: str, last: str) -> None:
    """A segment is removed from its own folder only when it is in the archive, so it is looked for there after."""
    for folder in (own, archive):
        for name in os.listdir(folder):  # noqa: PTH208 # names alone matter
            if _SEGMENT.fullmatch(name) and first <= name <= last and not (target / name).exists():
                with contextlib.suppress(FileNotFoundError):
                    _copy(f"{folder}/{name}", f"{target}/{name}")


def _first(label: str) -> str:
    found = re.search(r"START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)", label)
    if found is None:
        raise ValueError(f"a label of a backup without its first segment: {label!r}")
    return found[1]


def _written_by(backup: Path) -> float:
    """Return when all was written that the backup holds: it began with a checkpoint. 0: it is being deleted."""
    with contextlib.suppress(FileNotFoundError):
        label = (backup / LABEL).read_text(encoding="utf-8")
        if found := re.search(r"START TIME: (\S+ \S+) UTC", label):
            return (datetime.fromisoformat(found[1]).replace(tzinfo=UTC) - MARGIN).timestamp()
    return 0.0


def _share(live: str, earlier: str, own: str, since: float) -> bool:
    """Link to an earlier backup's file where it is as the live one; False where it is not, or is gone."""
    try:
        now = os.stat(live)  # noqa: PTH116 # as above
        if now.st_mtime >= since or os.stat(earlier).st_size != now.st_size:  # noqa: PTH116 # as above
            return False
        os.link(earlier, own)
    except FileNotFoundError:
        return False
    return True


def _copy(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    shutil.copystat(source, target)
    postgres.give(Path(target))


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    postgres.give(path)
