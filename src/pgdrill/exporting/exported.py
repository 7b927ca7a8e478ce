"""What an export left in the archive bucket: which tables it says it wrote, which it skipped, and their files.

Reads the files of information that RDS writes beside the data, and the warning of the task; writes nothing.
Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3", file naming. The keys of the information files are
not documented: they are those of files that RDS wrote.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.aws.store import Store
from pgdrill.errors import Broken
from pgdrill.model import Model

COMPLETE = "COMPLETE"


class Exported(Model):
    """`tables` maps `database.schema.table` to the table's status; names are as in PostgreSQL, without quotes.

    `skipped` maps what the warning names to its reason; `warnings` are those that name no table.
    """

    task: str
    source: str
    tables: dict[str, str]
    skipped: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def unwritten(self) -> dict[str, str]:
        """Return every table that the export itself says is not in it, with the reason."""
        return self.skipped | {
            name: f"status {status}" for name, status in self.tables.items() if status != COMPLETE
        }


def read(archive: Store, task: ExportTask) -> Exported:
    """Read what an ended export says of itself.

    Raises:
        Broken: its information is not in the bucket, or is of another task.
    """
    root = root_of(task)
    told = [_parsed(archive, key) for key in sorted(archive.keys(f"{root}/export_info_"))]
    if not any(info.get("exportTaskIdentifier") == task.id for info in told):
        raise Broken(
            f"export {task.id!r} left no information of its own below {root!r} in bucket {archive.bucket!r}",
            hint="it may have expired: see the lifecycle of the bucket, and the task's end with: pgdrill export list",
        )
    entries = [
        entry
        for key in sorted(archive.keys(f"{root}/export_tables_info_"))
        for entry in _parsed(archive, key).get("perTableStatus", [])
    ]
    skipped, warnings = warned(task.warning)
    return Exported(
        task=task.id,
        source=task.source,
        tables={str(entry["target"]): str(entry.get("status", "")) for entry in entries},
        skipped=skipped,
        warnings=warnings,
    )


def warned(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read a task's warning: (skipped tables with reasons, other warnings). Nothing that it says is lost.

    AWS shows `{"skippedTables": [], "skippedObjectives": [], "general": [{"reason": ...}]}` and no more of its form.
    """
    if not text:
        return {}, ()
    try:
        content = json.loads(text)
    except ValueError:
        return {}, (text,)
    if not isinstance(content, dict):
        return {}, (text,)
    skipped = dict(map(_skipped, content.pop("skippedTables", None) or []))
    return skipped, tuple(
        f"{key}: {_said(entry)}"
        for key, entries in sorted(content.items())
        for entry in (entries if isinstance(entries, list) else [entries])
    )


def folder(database: str, schema: str, table: str) -> str:
    """Return where a table's files lie below the task's; S3's awkward characters are underscores there."""
    return re.sub(r'[\\`" ]', "_", f"{database}/{schema}.{table}")


def files(archive: Store, task: ExportTask, where: str) -> Iterator[bytes]:
    """Yield the Parquet files of a table's folder, whatever they are called: their naming may change, AWS says."""
    for key in archive.keys(f"{root_of(task)}/{where}/"):
        if key.endswith(".parquet"):
            body = archive.get(key)
            if body is None:
                raise Broken(
                    f"{key!r} was listed in bucket {archive.bucket!r} and is not there",
                    hint="see who deletes objects of the archive bucket",
                )
            yield body


def root_of(task: ExportTask) -> str:
    return "/".join(part for part in (task.prefix.strip("/"), task.id) if part)


def _parsed(archive: Store, key: str) -> dict[str, Any]:
    try:
        content = json.loads(archive.get(key) or b"")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Broken(
            f"{key!r} in bucket {archive.bucket!r} is not a JSON object",
            hint="compare its versions in the bucket: RDS writes it once",
        )
    return content


def _skipped(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict):
        return str(entry), "no reason given"
    name = next((entry[key] for key in ("target", "tableName", "table", "name") if key in entry), None)
    return str(name or _said(entry)), str(entry.get("reason", "no reason given"))


def _said(entry: Any) -> str:
    if isinstance(entry, dict) and set(entry) == {"reason"}:
        return str(entry["reason"])
    return entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True)
