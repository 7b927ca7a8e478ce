"""Damage to the content of a backup by SQL, as mistakes and broken software do it. Changes only the backup.

Names in statements are composed as the server has quoted them itself.
"""

from collections.abc import Callable
from pathlib import Path

from psycopg import sql

from pgdrill.errors import NotRunnable
from pgdrill.lab.cluster import Cluster, Query
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.sabotage.things import Apply, Target, Thing, find, opened

# Each orders text unlike nearly every other: by accents, letters, digits, punctuation, case.
LOCALES = ("und", "sv", "und-u-kn-true", "und-u-ka-shifted", "und-u-kf-upper", "de-u-co-phonebk")


def by_sql(query: Query, damage: Callable[[Cluster, Thing], str]) -> Apply:
    def apply(backup: Path, binaries: Binaries, target: Target) -> str:
        with opened(backup, binaries) as cluster:
            return damage(cluster, find(cluster, query, target))

    return apply


def delete_rows(cluster: Cluster, table: Thing) -> str:
    [[count]] = cluster.sql(
        table.database,
        _composed(
            "WITH tenth AS (SELECT ctid FROM ONLY {0} LIMIT (SELECT greatest(1, count(*) / 10) FROM ONLY {0})),"
            " gone AS (DELETE FROM ONLY {0} t USING tenth WHERE t.ctid = tenth.ctid RETURNING 1)"
            " SELECT count(*) FROM gone",
            table.name,
        ),
    )
    return f"deleted {count} rows of {table}"


def drop_table(cluster: Cluster, table: Thing) -> str:
    cluster.sql(table.database, _composed("DROP TABLE {} CASCADE", table.name))
    return f"dropped {table}"


def set_back(cluster: Cluster, sequence: Thing) -> str:
    cluster.sql(
        sequence.database,
        "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence WHERE seqrelid = %s",
        [sequence.oid],
    )
    return f"set sequence {sequence} back to its start, by {sequence.size}"


def revoke(cluster: Cluster, table: Thing) -> str:
    [[grantees]] = cluster.sql(
        table.database,
        "SELECT string_agg(DISTINCT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, ', ')"
        " FROM pg_class, aclexplode(relacl) WHERE oid = %s AND grantee <> relowner",
        [table.oid],
    )
    cluster.sql(table.database, _composed("REVOKE ALL ON {} FROM {} CASCADE", table.name, grantees))
    return f"revoked what was granted to {grantees} on {table}"


def drop_policy(cluster: Cluster, policy: Thing) -> str:
    cluster.sql(policy.database, _composed("DROP POLICY {}", policy.name))
    return f"dropped policy {policy}"


def orphan(cluster: Cluster, key: Thing) -> str:
    """Delete one referenced row; the trigger that would refuse does not fire."""
    names = """
        (SELECT string_agg(quote_ident(attname), ', ' ORDER BY array_position({1}, attnum))
           FROM pg_attribute WHERE attrelid = {0} AND attnum = ANY ({1}))
    """
    [(child, parent, columns, referenced)] = cluster.sql(
        key.database,
        _composed(
            "SELECT conrelid::regclass::text, confrelid::regclass::text, {}, {} FROM pg_constraint WHERE oid = %s",
            names.format("conrelid", "conkey"),
            names.format("confrelid", "confkey"),
        ),
        [key.oid],
    )
    cluster.sql(
        key.database,
        _composed(
            "DELETE FROM {0} WHERE ({1}) IN"
            " (SELECT {3} FROM {2} WHERE ROW({3}) IS NOT NULL ORDER BY {3} LIMIT 1)",
            parent,
            referenced,
            child,
            columns,
        ),
    )
    return f"deleted a row of {parent} that {child} refers to by {key}"


def invalidate(cluster: Cluster, constraint: Thing) -> str:
    cluster.sql(
        constraint.database,
        "UPDATE pg_constraint SET convalidated = false WHERE oid = %s",
        [constraint.oid],
    )
    return f"marked constraint {constraint} as NOT VALID"


def change_collation(cluster: Cluster, index: Thing) -> str:
    """Let a collation order otherwise than when its indexes were built, as a new version of its library does.

    Raises:
        NotRunnable: the index's rows have the same order in every other locale.
    """
    column = "colllocale" if cluster.binaries.major >= 17 else "colliculocale"
    [(collation, name, locale, table, expression)] = cluster.sql(
        index.database,
        _composed(
            "SELECT c.oid, c.oid::regcollation::text, {}, indrelid::regclass::text, pg_get_indexdef(indexrelid, 1, false)"
            " FROM pg_index JOIN pg_collation c ON c.oid = indcollation[0] WHERE indexrelid = %s",
            column,
        ),
        [index.oid],
    )
    in_order = _composed(
        "SELECT md5(string_agg(x, ',' ORDER BY x COLLATE {}, x COLLATE \"C\")) FROM (SELECT ({})::text AS x FROM {}) AS t",
        name,
        expression,
        table,
    )
    change = _composed("UPDATE pg_collation SET {} = %s, collversion = '0' WHERE oid = %s", column)
    built = cluster.sql(index.database, in_order)
    for other in LOCALES:
        cluster.sql(index.database, change, [other, collation])
        # A session reads a collation once; each call is a session of its own.
        if cluster.sql(index.database, in_order) != built:
            return f"changed the order of collation {name} from {locale} to {other}, under index {index}"
    raise NotRunnable(
        f"the rows of {table} have the same order in every locale tried",
        hint="choose a table with more names in it",
    )


def _composed(statement: str, *quoted: str) -> sql.Composed:
    """Put names and expressions into a statement, as the server itself has quoted them."""
    return sql.SQL(statement).format(*map(sql.SQL, quoted))
