"""Base backups share the files that they have in common, as snapshots in AWS share blocks; else a month fills the disk.

Whoever writes to a backup, which sabotage alone does, gives it files of its own before.
"""

import os
import re
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

# What a file system's times are exact to, and more.
MARGIN = timedelta(seconds=1)


def share(data: Path, before: Path, after: Path) -> None:
    """Put links to the files of an earlier backup in the place of a later one's, where they are the same.

    A file of the cluster that was written last before the earlier backup began, at whose start all that is dirty is
    written, is in both as it is in `data`.
    """
    unchanged_since = (_began(before) - MARGIN).timestamp()
    for part in ("base", "global"):
        for folder, _, names in os.walk(after / part):
            inside = os.path.relpath(folder, after)
            for name in names:
                # Text, not paths: a cluster has a thousand files, and this is done for every snapshot.
                own, other, live = (f"{root}/{inside}/{name}" for root in (after, before, data))
                if _written(live) < unchanged_since and _size(other) == _size(own):
                    link = f"{folder}/.{name}.link"
                    os.link(other, link)
                    os.replace(link, own)  # noqa: PTH105 # as above


def unshare(directory: Path) -> None:
    """Give a base backup files of its own, so that what is done to them is done to no other."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
                own = path.with_name(f".{name}.own")
                shutil.copy2(path, own)
                os.chown(own, status.st_uid, status.st_gid)
                own.replace(path)


def _began(backup: Path) -> datetime:
    label = (backup / "backup_label").read_text(encoding="utf-8")
    found = re.search(r"START TIME: (\S+ \S+) UTC", label)
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else datetime.min.replace(tzinfo=UTC)


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime  # noqa: PTH116 # as above
    except FileNotFoundError:
        return float("inf")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 # as above
    except FileNotFoundError:
        return -1
