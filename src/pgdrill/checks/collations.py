"""collations: text sorts in the copy by the rules under which its indexes were built.

Why:    another release of ICU or of the C library sorts other strings elsewhere; an index built under the old rules
        then misses rows that are there, and lets duplicates in, without an error.
Reads:  the version recorded for every collation and database against the library's own, and which indexes and
        partition keys use those that differ.
Limits: whether the order of an index really changed is for `indexes`, which reads it. The locales C and POSIX have
        no version and never differ. A version that was never recorded cannot be compared, and is told.
Source: PostgreSQL documentation, ALTER COLLATION ... REFRESH VERSION, pg_collation_actual_version,
        pg_database_collation_actual_version (15 and later).
"""

from pgdrill.checks.bracket import SHOWN, counted
from pgdrill.checks.check import Case, Check
from pgdrill.database import Server
from pgdrill.model import Damage, Fact, Judgement, Model, Verdict

# OID 100 is the database's own collation. Source: src/include/catalog/pg_collation.dat, "default".
_COLLATIONS = """
WITH used AS (
    SELECT DISTINCT unnest(i.indcollation::oid[]) AS coll, i.indexrelid AS object
    FROM pg_catalog.pg_index i WHERE i.indexrelid >= 16384
    UNION
    SELECT unnest(p.partcollation::oid[]), p.partrelid FROM pg_catalog.pg_partitioned_table p
), version AS (
    SELECT c.oid, c.oid::regcollation::text AS name, c.collversion AS recorded,
        pg_catalog.pg_collation_actual_version(c.oid) AS actual
    FROM pg_catalog.pg_collation c WHERE c.oid <> 100 AND (c.oid >= 16384 OR c.oid IN (SELECT coll FROM used))
    UNION ALL
    SELECT 100, 'the default collation', d.datcollversion, pg_catalog.pg_database_collation_actual_version(d.oid)
    FROM pg_catalog.pg_database d WHERE d.datname = current_database()
)
SELECT v.name, v.recorded, v.actual, count(u.object),
    (array_agg(u.object::regclass::text ORDER BY u.object::regclass::text COLLATE "C")
        FILTER (WHERE u.object IS NOT NULL))[:%(shown)s]
FROM version v LEFT JOIN used u ON u.coll = v.oid
WHERE v.actual IS NOT NULL AND v.recorded IS DISTINCT FROM v.actual
GROUP BY v.name, v.recorded, v.actual ORDER BY v.name COLLATE "C"
"""


class Mismatch(Model):
    """A collation whose rules are not those that were recorded; `recorded` is None where nothing was.

    `users` counts the indexes and partitioned tables that depend on it; `named` are the first of them.
    """

    collation: str
    recorded: str | None
    actual: str
    users: int
    named: tuple[str, ...]


class CollationsFact(Fact):
    databases: dict[str, tuple[Mismatch, ...]]


def measure(server: Server, _case: Case) -> CollationsFact:
    databases = {}
    for database in server.databases():
        with server.session(database) as session:
            databases[database] = tuple(
                Mismatch(
                    collation=row[0], recorded=row[1], actual=row[2], users=row[3], named=tuple(row[4] or ())
                )
                for row in session.execute(_COLLATIONS, {"shown": SHOWN}).fetchall()
            )
    return CollationsFact(databases=databases)


def judge(fact: CollationsFact, _case: Case) -> Judgement:
    every = [(database, one) for database, several in sorted(fact.databases.items()) for one in several]
    changed = [(database, one) for database, one in every if one.recorded is not None and one.users]
    unused = sum(1 for _, one in every if one.recorded is not None and not one.users)
    unrecorded = sum(1 for _, one in every if one.recorded is None and one.users)
    coverage = counted(len(fact.databases), "database")
    coverage += f"; {unused} changed that no index uses" if unused else ""
    coverage += f"; {unrecorded} in use whose version was never recorded" if unrecorded else ""
    if not changed:
        return Judgement(
            verdict=Verdict.PASSED,
            reason="text sorts by the rules under which the indexes were built",
            coverage=coverage,
        )
    database, first = changed[0]
    users = sum(one.users for _, one in changed)
    damage = [
        Damage(
            database=base,
            object=name,
            what=f"built under {one.collation} {one.recorded}, read under {one.actual}",
        )
        for base, one in changed
        for name in one.named
    ]
    return Judgement(
        verdict=Verdict.FAILED,
        reason=f"{first.collation} of database {database} was recorded as version {first.recorded} and is"
        f" {first.actual}; {counted(users, 'object')} built under the old rules",
        hint="REINDEX what is named, then ALTER COLLATION (or DATABASE) ... REFRESH VERSION; plan its time in a recovery",
        coverage=coverage,
        damage=tuple(damage[:SHOWN]),
        damaged=users,
    )


CHECK = Check("collations", measure, judge, CollationsFact)
