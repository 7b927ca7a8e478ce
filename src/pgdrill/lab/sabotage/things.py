"""What can be damaged in a backup, found by PostgreSQL itself. Opens a backup; damages nothing.

A backup is opened and closed cleanly before anything is damaged, so that nothing is replayed over the damage.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from pgdrill.errors import NotRunnable
from pgdrill.lab.cluster import Cluster, Query
from pgdrill.lab.postgres import Binaries


@dataclass(frozen=True)
class Target:
    """What to damage; where empty, the largest thing of its kind. `other` is the backup that a swap brings in.

    `table` is written as in SQL: `shop.orders`, `shop."Order Lines"`.
    """

    database: str = ""
    table: str = ""
    other: Path | None = None


Apply = Callable[[Path, Binaries, Target], str]


@dataclass(frozen=True)
class Thing:
    """A table, index, sequence, constraint or the like. `name` is qualified and quoted as in SQL.

    `file` is relative to the backup, and empty where the thing has none.
    """

    database: str
    oid: int
    name: str
    file: str
    size: int

    def __str__(self) -> str:
        return f"{self.name} in database {self.database}"


# Each query returns oid, name, file and size; the largest is taken.

_TABLES = sql.SQL("""
WITH tables AS (
  SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) AS name, n.nspname, c.relowner, c.relacl, c.reltoastrelid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^(pg_.*|information_schema|pgdrill)$'
     AND (%(table)s = '' OR c.oid = to_regclass(%(table)s)))
""")
_BTREES = sql.SQL("""
FROM tables JOIN pg_index i ON i.indrelid = tables.oid JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_am a ON a.oid = x.relam AND a.amname = 'btree'
""")
_CONSTRAINTS = sql.SQL("""
SELECT c.oid, format('%%I ON %%s', conname, name), '', pg_relation_size(conrelid)
  FROM tables JOIN pg_constraint c ON c.conrelid = tables.oid AND convalidated AND conparentid = 0
""")

TABLE = _TABLES + sql.SQL("SELECT oid, name, pg_relation_filepath(oid), pg_relation_size(oid) FROM tables")
TOAST = _TABLES + sql.SQL("""
SELECT reltoastrelid, 'the TOAST of ' || name, pg_relation_filepath(reltoastrelid), pg_relation_size(reltoastrelid)
  FROM tables WHERE reltoastrelid <> 0
""")
INDEX = (
    _TABLES
    + sql.SQL(
        "SELECT x.oid, format('index %%I.%%I', nspname, x.relname), pg_relation_filepath(x.oid), pg_relation_size(x.oid)"
    )
    + _BTREES
)
COLLATED = (
    _TABLES
    + sql.SQL("SELECT x.oid, format('%%I.%%I', nspname, x.relname), '', pg_relation_size(x.oid)")
    + _BTREES
    + sql.SQL("JOIN pg_collation c ON c.oid = i.indcollation[0] AND c.collprovider = 'i'")
)
GRANTED = _TABLES + sql.SQL("""
SELECT DISTINCT oid, name, '', 1 + pg_relation_size(oid) FROM tables, aclexplode(relacl) AS acl
 WHERE acl.grantee <> relowner
""")
POLICY = _TABLES + sql.SQL("""
SELECT p.oid, format('%%I ON %%s', polname, name), '', 1 + pg_relation_size(tables.oid)
  FROM tables JOIN pg_policy p ON p.polrelid = tables.oid
""")
FOREIGN_KEY = _TABLES + _CONSTRAINTS + sql.SQL("WHERE contype = 'f'")
VALIDATED = _TABLES + _CONSTRAINTS + sql.SQL("WHERE contype IN ('f', 'c')")
SEQUENCE = sql.SQL("""
SELECT s.oid, format('%%I.%%I', n.nspname, s.relname), '',
       abs(coalesce(pg_sequence_last_value(s.oid), q.seqstart) - q.seqstart)
  FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
 WHERE n.nspname <> 'pgdrill'
   AND CASE WHEN %(table)s = '' THEN NOT q.seqcycle ELSE d.refobjid = to_regclass(%(table)s) END
""")


def find(cluster: Cluster, query: Query, target: Target) -> Thing:
    """Return the largest thing that a query finds, in the database asked for or in all.

    Raises:
        NotRunnable: there is none that is not empty.
    """
    return find_all(cluster, query, target)[0]


def find_all(cluster: Cluster, query: Query, target: Target) -> list[Thing]:
    """Return all that a query finds and is not empty, the largest first.

    Raises:
        NotRunnable: there is none.
    """
    databases = [target.database] if target.database else _databases(cluster)
    found = [
        Thing(database, *row)
        for database in databases
        for row in cluster.sql(database, query, {"table": target.table})
        if row[-1]
    ]
    if not found:
        raise NotRunnable(
            f"nothing to damage in {target.table or 'any table'} of {', '.join(databases)}",
            hint="choose another table or another kind of sabotage",
        )
    return sorted(found, key=lambda thing: (-thing.size, thing.name))


def _databases(cluster: Cluster) -> list[str]:
    return [
        row[0]
        for row in cluster.sql(
            "postgres",
            "SELECT datname FROM pg_database WHERE datallowconn AND datname NOT IN ('rdsadmin', 'template1') ORDER BY 1",
        )
    ]


@contextlib.contextmanager
def opened(backup: Path, binaries: Binaries) -> Iterator[Cluster]:
    """Run PostgreSQL on a backup, for nobody else and silent towards triggers; it is closed cleanly."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{backup.name}-", dir=backup.parent))
    cluster = Cluster(scratch, binaries)
    try:
        cluster.own(scratch)
        cluster.data.symlink_to(backup.absolute())
        cluster.start(
            1,
            {
                "archive_mode": "off",
                "autovacuum": "off",
                "session_replication_role": "replica",
                "allow_system_table_mods": "on",
            },
        )
        yield cluster
        cluster.stop()
    finally:
        cluster.destroy()
