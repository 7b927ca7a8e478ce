"""The moment whose data a base backup holds: what was committed up to it, and nothing later.

Kept in a file inside the backup, which PostgreSQL neither knows nor minds.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from pgdrill.errors import Broken
from pgdrill.lab import postgres
from pgdrill.lab.postgres import Binaries

FILE = "backup_moment"


def stamp(backup: Path, binaries: Binaries) -> datetime:
    """Find the moment of a new backup, write it into the backup, and return it.

    It is the time of the last commit in the backup's own WAL. Where nothing was committed while the backup was
    taken any time between its start and its end will do: then it is when the backup's label was written.

    Raises:
        Broken: the backup's WAL cannot be read.
    """
    wal = backup / "pg_wal"
    segments = sorted(file.name for file in wal.iterdir() if re.fullmatch("[0-9A-F]{24}", file.name))
    told = binaries.attempt("pg_waldump", "-r", "Transaction", "-p", wal, segments[0], segments[-1])
    # The end of the log is an error to pg_waldump where it is not the end of a segment.
    if told.returncode and "error in WAL record" not in told.stderr:
        raise Broken(
            f"the WAL of backup {backup} cannot be read: {told.stderr.strip()}", hint="back up again"
        )
    commits = re.findall(r"desc: COMMIT(?:_PREPARED \d+:)? (\S+ \S+) UTC", told.stdout)
    if commits:
        moment = datetime.fromisoformat(commits[-1]).replace(tzinfo=UTC)
    else:
        moment = datetime.fromtimestamp((backup / "backup_label").stat().st_mtime, UTC)
    (backup / FILE).write_text(moment.isoformat(), encoding="ascii")
    postgres.give(backup / FILE)
    return moment


def read(backup: Path) -> datetime:
    return datetime.fromisoformat((backup / FILE).read_text(encoding="ascii"))
