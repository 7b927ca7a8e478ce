"""What an export task writes: Parquet of every table of a cluster, and the files that say what was written.

Reads the cluster as its master user, as RDS does, over the socket. Yields files by their key below the task's
prefix, and uploads nothing.
Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3": limitations, file naming, data conversion.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from pgdrill.content.relations import Column
from pgdrill.database import quoted
from pgdrill.exporting.parquet_types import mapping
from pgdrill.lab.cluster import Cluster

# A table with one of these in a column's name is skipped, and so is one with a slash in its own.
_UNWRITABLE = re.compile(r"[,;{}()\n\t= ]")
_CHUNK = 20_000  # rows held in memory
_PER_FILE = 100  # tables told of in one file of table information

# A partitioned table is exported under its own name, a batch for each partition. Unlogged and temporary tables are not.
_TABLES = """
WITH RECURSIVE domains (oid, base) AS (
    SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd'
)
SELECT n.nspname, c.relname,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
    CASE c.relkind WHEN 'p' THEN ARRAY(
        SELECT array_to_json(ARRAY[pn.nspname, pc.relname]) FROM pg_partition_tree(c.oid) t
        JOIN pg_class pc ON pc.oid = t.relid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE t.isleaf AND pc.relkind = 'r' ORDER BY 1::text) END,
    coalesce((SELECT json_agg(json_build_array(
            a.attname, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END,
            format_type(a.atttypid, a.atttypmod), d.oid IS NOT NULL) ORDER BY a.attnum)
        FROM pg_attribute a
        LEFT JOIN (domains d JOIN pg_type b ON b.oid = d.base AND b.typtype <> 'd') ON d.oid = a.atttypid
        JOIN pg_type t ON t.oid = coalesce(d.base, a.atttypid)
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Table:
    """`batches` are the relations that are read one after the other; `types` are the columns' own, as in SQL."""

    database: str
    schema: str
    name: str
    readable: bool
    batches: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    types: tuple[str, ...]

    @property
    def target(self) -> str:
        return f"{self.database}.{self.schema}.{self.name}"

    @property
    def prefix(self) -> str:
        """The folder of the table's files, in which S3's awkward characters become underscores."""
        return re.sub(r'[\\`" ]', "_", f"{self.database}/{self.schema}.{self.name}")

    @property
    def skipped(self) -> str:
        """Why the table is not exported; empty for what is."""
        if not self.readable:
            return "PERMISSIONS_DO_NOT_EXIST"
        if "/" in self.name:
            return "UNSUPPORTED_CHARACTERS_IN_TABLE_NAME"
        if not self.columns:
            return "TABLE_WITHOUT_COLUMNS"
        if any(_UNWRITABLE.search(column.name) for column in self.columns):
            return "UNSUPPORTED_CHARACTERS_IN_COLUMN_NAME"
        return ""


@dataclass
class Written:
    """What came of it. `told` is an entry of the files of table information for each table that was exported."""

    told: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    bytes: int = 0


def tables(cluster: Cluster, master: str, only: tuple[str, ...]) -> list[Table]:
    """Return the tables of all databases, or of those that `only` names: database, schema or table."""
    databases = cluster.sql(
        "postgres",
        "SELECT datname FROM pg_database WHERE datallowconn AND datname NOT IN ('rdsadmin', 'template0', 'template1')"
        " ORDER BY datname",
    )
    found: list[Table] = []
    for (database,) in databases:
        with cluster.session(database) as session:
            _become(session, master)
            for schema, name, readable, parts, columns in session.execute(_TABLES):
                found.append(
                    Table(
                        database,
                        schema,
                        name,
                        readable,
                        tuple(map(tuple, parts)) if parts is not None else ((schema, name),),
                        tuple(Column(column, kind, domain=domain) for column, kind, _, domain in columns),
                        tuple(shown for _, _, shown, _ in columns),
                    )
                )
    return [table for table in found if not only or _among(table, only)]


def _among(table: Table, only: tuple[str, ...]) -> bool:
    names = {table.database, f"{table.database}.{table.schema}", table.target}
    return not names.isdisjoint(only)


def files(cluster: Cluster, master: str, table: Table, written: Written) -> Iterator[tuple[str, bytes]]:
    """Yield (key, body) of a table's files, and note in `written` what became of it.

    Raises:
        psycopg.Error: the table cannot be read.
    """
    if table.skipped:
        written.skipped.append({"tableName": table.target, "reason": table.skipped})
        return
    size = 0
    with cluster.session(table.database) as session:
        _become(session, master)
        for number, batch in enumerate(table.batches, 1):
            body = _parquet(session, table, batch)
            if body:
                size += len(body)
                yield f"{table.prefix}/{number}/part-00000-{uuid.uuid4()}-c000.gz.parquet", body
            yield f"{table.prefix}/{number}/_SUCCESS", b""
    written.bytes += size
    written.told.append(
        {
            "tableStatistics": {
                "partitioningInfo": {
                    "numberOfPartitions": len(table.batches),
                    "numberOfCompletedPartitions": len(table.batches),
                }
            },
            "schemaMetadata": {
                "originalTypeMappings": [
                    _told(column, shown) for column, shown in zip(table.columns, table.types, strict=True)
                ]
            },
            "status": "COMPLETE",
            "sizeGB": size / 2**30,
            "target": table.target,
        }
    )


def information(told: list[dict[str, Any]]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield (first, last, content) of each file of table information; tables are counted from 1."""
    for start in range(0, len(told), _PER_FILE):
        part = told[start : start + _PER_FILE]
        yield start + 1, start + len(part), {"perTableStatus": part}


def _told(column: Column, shown: str) -> dict[str, Any]:
    primitive = mapping(column).primitive
    return {
        "columnName": column.name,
        "originalType": shown,
        "expectedExportedType": "binary" if primitive in {"BYTE_ARRAY", "BINARY"} else primitive.lower(),
        "originalCharMaxLength": 0,
        "originalNumPrecision": 0,
        "originalDateTimePrecision": 0,
    }


def _become(session: psycopg.Connection[Any], master: str) -> None:
    """Read as the master user does: no table of others without a grant, no row that a policy hides."""
    session.execute("SET search_path = ''; SET TimeZone = 'UTC'; SET extra_float_digits = 1")
    session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(master)))


def _parquet(session: psycopg.Connection[Any], table: Table, batch: tuple[str, str]) -> bytes:
    """Return one relation as a Parquet file, empty for one without rows, of which RDS writes no file."""
    from pgdrill.lab.rds import parquet_writer  # noqa: PLC0415 # takes 0.4 s, which a lab's start does not need

    values = [
        sql.SQL("{}::text" if mapping(column).primitive == "BYTE_ARRAY" else "{}").format(quoted(column.name))
        for column in table.columns
    ]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(values), quoted(*batch))
    with session.transaction(), session.cursor("export") as cursor:
        cursor.execute(query)
        return parquet_writer.write(table.columns, iter(lambda: cursor.fetchmany(_CHUNK), []))
