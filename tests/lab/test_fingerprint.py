"""What a fingerprint sees and what it does not: every type, every kind of relation, every mutation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pgdrill.content.fingerprint import (
    Contents,
    Digest,
    differences,
    digest,
    fingerprint,
    prepare,
    query,
)
from pgdrill.content.pages import Pages
from pgdrill.content.relations import Relation, relations
from pgdrill.database import Server
from pgdrill.errors import NotRunnable
from pgdrill.lab.cluster import Cluster
from tests.lab.conftest import DATABASE, MakeCluster, Run, ServerOf

# Type, a value, and another value that only a look at this very column can tell from it.
ZOO = {
    "int2": ("1", "2"),
    "int4": ("1", "2"),
    "int8": ("1", "4294967297"),
    "oid": ("1", "2"),
    "uuid": ("6f1ed002-ab5f-4b3e-9d7c-2b4e0d9f4a11", "6f1ed002-ab5f-4b3e-9d7c-2b4e0d9f4a12"),
    "text": ("a", "A"),
    "varchar(20)": ("", "a"),
    "char(5)": ("ab", "ac"),
    "bool": ("t", "f"),
    "bytea": (r"\x00ff", r"\x00fe"),
    "date": ("2024-01-01", "2024-01-02"),
    "time": ("12:00", "12:00:00.000001"),
    "timetz": ("12:00+02", "11:00+01"),
    "timestamp": ("2024-01-01 12:00", "infinity"),
    "timestamptz": ("2024-01-01 12:00+02", "2024-01-01 12:00+01"),
    "interval": ("1 day", "2 days"),
    "float4": ("1.5", "1.25"),
    "float8": ("2.5", "NaN"),
    "numeric": ("1.0", "1.01"),
    "money": ("12.34", "12.35"),
    "json": ('{"a": 1}', '{"a":  1}'),
    "jsonb": ('{"a": 1}', '{"b": 1}'),
    "xml": ("<a/>", "<b/>"),
    "point": ("(1,2)", "(1,3)"),
    "lseg": ("[(0,0),(1,1)]", "[(1,1),(0,0)]"),
    "box": ("((1,1),(0,0))", "((2,1),(0,0))"),
    "path": ("((0,0),(1,1))", "[(0,0),(1,1)]"),
    "polygon": ("((0,0),(1,1),(2,0))", "((0,0),(1,1),(2,1))"),
    "line": ("{1,2,3}", "{1,2,4}"),
    "circle": ("<(0,0),1>", "<(0,0),2>"),
    "bit(4)": ("1010", "1011"),
    "varbit": ("101", "1010"),
    "inet": ("10.0.0.1", "10.0.0.1/24"),
    "cidr": ("10.0.0.0/8", "10.0.0.0/9"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:04"),
    "macaddr8": ("08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:06"),
    "tsvector": ("a:1 b:2", "a:1 b:3"),
    "tsquery": ("a & b", "a | b"),
    "jsonpath": ("$.a", "$.b"),
    "pg_lsn": ("0/16B3748", "0/16B3749"),
    "xid8": ("123", "124"),
    "name": ("n", "m"),
    '"char"': ("c", "d"),
    "regclass": ("pg_catalog.pg_class", "pg_catalog.pg_type"),
    "tid": ("(0,1)", "(0,2)"),
    "xid": ("5", "6"),
    "int2vector": ("1 2", "1 3"),
    "oidvector": ("1 2", "1 3"),
    "refcursor": ("a", "b"),
    "pg_snapshot": ("10:20:", "10:21:"),
    "int4range": ("[1,5)", "[1,6)"),
    "int8multirange": ("{[1,2),[4,6)}", "{[1,2)}"),
    "int4[]": ("{1,2}", "{{1,2}}"),
    "text[]": ("{a,NULL}", '{a,"NULL"}'),
    "jsonb[]": ('{"{}"}', '{"[]"}'),
    "numeric[]": ("{1.0}", "{1.1}"),
    "point[]": ('{"(1,2)"}', '{"(1,3)"}'),
    "zoo.mood": ("ok", "sad"),
    "zoo.mood[]": ("{ok,sad}", "{sad,ok}"),
    "zoo.pair": ('(1,"")', "(1,)"),
    "zoo.pair[]": ('{"(1,x)"}', '{"(1,y)"}'),
    "zoo.positive": ("1", "2"),
    "zoo.nested": ("1", "2"),
    "zoo.ints": ("{1}", "{2}"),
    "zoo.label": ("a", "b"),
    "zoo.amount": ("1.25", "1.26"),
    "zoo.floats": ("[1,2)", "[1,2]"),
    "zoo.citext": ("x", "X"),
    "zoo.hstore": ("a=>1", "a=>NULL"),
}
# What PostgreSQL itself calls equal: seen by an exact fingerprint alone.
EQUAL_TO_POSTGRESQL = {
    "numeric": ("1.0", "1.00"),
    "float4": ("0", "-0"),
    "float8": ("0", "-0"),
    "interval": ("1 day", "24:00"),
    "jsonb": ("1.0", "1"),
}
TYPES = """
CREATE SCHEMA zoo;
CREATE TYPE zoo.mood AS ENUM ('sad', 'ok');
CREATE TYPE zoo.pair AS (a int, b text);
CREATE DOMAIN zoo.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN zoo.nested AS zoo.positive;
CREATE DOMAIN zoo.ints AS int[];
CREATE DOMAIN zoo.label AS varchar(10);
CREATE DOMAIN zoo.amount AS numeric(10, 2);
CREATE TYPE zoo.floats AS RANGE (subtype = float8);
CREATE EXTENSION citext SCHEMA zoo;
CREATE EXTENSION hstore SCHEMA zoo;
"""


def fill(session: psycopg.Connection[Any]) -> None:
    """Make one table with a column of every type, a row of values and a row of NULLs."""
    session.execute(TYPES)
    columns = ", ".join(f'"c {at}" {kind}' for at, kind in enumerate(ZOO))
    session.execute(f'CREATE TABLE zoo."every ""type""" ({columns})')
    values = sql.SQL(", ").join(sql.SQL("{}").format(value) for value, _ in ZOO.values())
    session.execute(sql.SQL('INSERT INTO zoo."every ""type""" VALUES ({})').format(values))
    session.execute('INSERT INTO zoo."every ""type""" DEFAULT VALUES')


@contextmanager
def opened(cluster: Cluster, database: str = DATABASE) -> Iterator[psycopg.Connection[Any]]:
    with cluster.session(database) as session:
        session.execute("SET search_path = ''")
        yield session


def of(session: psycopg.Connection[Any], name: str) -> Relation:
    return next(relation for relation in relations(session) if str(relation) == name)


@pytest.fixture(scope="module")
def zoo(cluster: Cluster) -> Cluster:
    with opened(cluster) as session:
        fill(session)
    return cluster


@pytest.mark.parametrize("exact", [False, True])
def test_a_change_of_one_value_of_any_type_is_seen(zoo: Cluster, exact: bool) -> None:
    with opened(zoo) as session:
        table = of(session, 'zoo."every ""type"""')
        whole = digest(session, table, exact=exact)
        blind = []
        for at, (kind, (_, other)) in enumerate(ZOO.items()):
            for change in (other, None):
                with session.transaction(force_rollback=True):
                    session.execute(
                        sql.SQL(
                            'UPDATE zoo."every ""type""" SET {column} = {value} WHERE {column} IS NOT NULL'
                        ).format(column=sql.Identifier(f"c {at}"), value=sql.Literal(change))
                    )
                    if digest(session, table, exact=exact) == whole:
                        blind.append((kind, change))
        assert blind == []
        assert digest(session, table, exact=exact) == whole


@pytest.mark.parametrize(("kind", "values"), EQUAL_TO_POSTGRESQL.items())
def test_only_an_exact_fingerprint_tells_apart_what_postgresql_calls_equal(
    zoo: Cluster, kind: str, values: tuple[str, str]
) -> None:
    with opened(zoo) as session, session.transaction(force_rollback=True):
        session.execute(f"CREATE TABLE public.equals (v {kind})")
        table = of(session, "public.equals")
        found: dict[bool, list[Digest]] = {False: [], True: []}
        for value in values:
            session.execute("TRUNCATE public.equals")
            session.execute("INSERT INTO public.equals VALUES (%s)", (value,))
            for exact, digests in found.items():
                digests.append(digest(session, table, exact=exact))
    assert found[False][0] == found[False][1]
    assert found[True][0] != found[True][1]


@pytest.mark.parametrize("exact", [False, True])
def test_digests_hold_no_oids_so_that_another_database_with_the_same_content_equals(
    zoo: Cluster, server_of: ServerOf, run: Run, exact: bool
) -> None:
    run(zoo, "DROP DATABASE IF EXISTS twin", "CREATE DATABASE twin")
    with opened(zoo, "twin") as session:
        session.execute("CREATE TYPE public.shifts_the_oids AS ENUM ('a', 'b', 'c')")
        fill(session)
        session.execute("ALTER DATABASE twin SET timezone = 'Asia/Tokyo'")
        session.execute("ALTER DATABASE twin SET extra_float_digits = -3")
        session.execute("ALTER DATABASE twin SET bytea_output = 'escape'")
        session.execute("ALTER DATABASE twin SET intervalstyle = 'iso_8601'")
        session.execute("ALTER DATABASE twin SET datestyle = 'German'")
        session.execute("GRANT USAGE ON SCHEMA zoo TO public")
        session.execute("GRANT SELECT ON ALL TABLES IN SCHEMA zoo TO public")
    with opened(zoo) as session:
        session.execute("GRANT USAGE ON SCHEMA zoo TO public")
        session.execute("GRANT SELECT ON ALL TABLES IN SCHEMA zoo TO public")
    found = fingerprint(server_of(zoo), (DATABASE, "twin"), exact=exact)
    name = 'zoo."every ""type"""'
    assert found.databases["twin"].tables[name].rows == 2
    assert found.databases["twin"].tables[name].hex == found.databases[DATABASE].tables[name].hex


BASE = """
TRUNCATE public.base;
INSERT INTO public.base SELECT g, g * 7, 'text ' || g, 'more ' || g FROM generate_series(1, 1000) AS g;
INSERT INTO public.base VALUES (5001, 1, 'p', 'p'), (5001, 1, 'p', 'p'), (6000, NULL, '', NULL), (6001, 1, 'ab', 'c');
"""
MUTATIONS = {
    "one byte of a text": "UPDATE public.base SET b = 'text 4z' WHERE a = 40",
    "NULL instead of an empty text": "UPDATE public.base SET b = NULL WHERE a = 6000",
    "an empty text instead of NULL": "UPDATE public.base SET c = '' WHERE a = 6000",
    "a NULL that moved to another column": "UPDATE public.base SET b = NULL, c = '' WHERE a = 6000",
    "a row lost": "DELETE FROM public.base WHERE a = 500",
    "a row doubled": "INSERT INTO public.base SELECT * FROM public.base WHERE a = 500",
    "a row lost and another doubled": "UPDATE public.base SET (a, n, b, c) = (501, 3507, 'text 501', 'more 501') WHERE a = 500",
    "a pair of rows that became another pair": "UPDATE public.base SET b = 'r', c = 'r' WHERE a = 5001",
    "text that moved over a column's border": "UPDATE public.base SET b = 'a', c = 'bc' WHERE a = 6001",
    "two columns exchanged in a row": "UPDATE public.base SET b = c, c = b WHERE a = 77",
    "a value exchanged between two rows": "UPDATE public.base SET b = CASE a WHEN 10 THEN 'text 20' ELSE 'text 10' END WHERE a IN (10, 20)",
    "an amount moved between two rows": "UPDATE public.base SET n = n + CASE a WHEN 10 THEN 5 ELSE -5 END WHERE a IN (10, 20)",
    "the table emptied": "TRUNCATE public.base",
}
UNCHANGED = {
    "rows in another physical order": "CREATE TEMP TABLE kept AS SELECT * FROM public.base ORDER BY b DESC; TRUNCATE public.base; INSERT INTO public.base SELECT * FROM kept",
    "rows written again": "UPDATE public.base SET a = a",
    "a column dropped and added again": "ALTER TABLE public.base ADD d text; UPDATE public.base SET d = c; ALTER TABLE public.base DROP c; ALTER TABLE public.base RENAME d TO c",
}


@pytest.fixture(scope="module")
def base(cluster: Cluster) -> Iterator[psycopg.Connection[Any]]:
    with opened(cluster) as session:
        session.execute("CREATE TABLE public.base (a int, n bigint, b text, c text)")
        session.execute(BASE)
        yield session


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_is_seen(base: psycopg.Connection[Any], mutation: str) -> None:
    whole = digest(base, of(base, "public.base"))
    with base.transaction(force_rollback=True):
        base.execute(MUTATIONS[mutation])
        assert digest(base, of(base, "public.base")) != whole
    assert digest(base, of(base, "public.base")) == whole


@pytest.mark.parametrize("same", UNCHANGED)
def test_the_same_content_stays_equal(base: psycopg.Connection[Any], same: str) -> None:
    whole = digest(base, of(base, "public.base"))
    with base.transaction(force_rollback=True):
        base.execute(UNCHANGED[same])
        assert digest(base, of(base, "public.base")) == whole


@pytest.mark.parametrize("size", [1, 3, 50])
def test_digests_of_page_ranges_add_up_and_the_last_range_is_open(
    base: psycopg.Connection[Any], size: int
) -> None:
    with base.transaction(force_rollback=True):
        base.execute("ALTER TABLE public.base ALTER b SET STORAGE EXTERNAL")
        base.execute("UPDATE public.base SET b = repeat(b, 1000) WHERE a % 7 = 0")
        table = of(base, "public.base")
        assert table.pages > 10
        assert table.toast_pages > 10
        starts = [*range(0, table.pages, size)]
        # A row that comes after the table was measured belongs to the last range.
        base.execute(
            "INSERT INTO public.base SELECT 9000 + g, 1, repeat('x', 100), 'y' FROM generate_series(1, 200) g"
        )
        parts = [
            digest(base, table, Pages(start, end))
            for start, end in zip(starts, [*starts[1:], None], strict=True)
        ]
        total = Digest()
        for part in parts:
            total += part
        assert total == digest(base, table)


def test_a_digest_is_read_from_the_heap_even_where_an_index_would_do(base: psycopg.Connection[Any]) -> None:
    with base.transaction(force_rollback=True):
        base.execute("CREATE TABLE public.narrow AS SELECT a FROM generate_series(1, 20000) AS a")
        base.execute("CREATE INDEX ON public.narrow (a)")
        base.execute("ANALYZE public.narrow")
        prepare(base)
        plan = base.execute(sql.SQL("EXPLAIN {}").format(query(of(base, "public.narrow")))).fetchall()
    assert not any("Index" in line for (line,) in plan)
    assert any("Seq Scan" in line for (line,) in plan)


@pytest.fixture(scope="module")
def kinds(make_cluster: MakeCluster) -> Cluster:
    """Every kind of relation, in a database whose name needs quoting; one more database is empty."""
    cluster = make_cluster()
    with opened(cluster, "postgres") as session:
        session.execute('CREATE DATABASE "Weird ""name""" OWNER master')
        session.execute("CREATE DATABASE nothing OWNER master")
    with opened(cluster, 'Weird "name"') as session:
        session.execute(
            """
            CREATE TABLE public.parted (a int, b text) PARTITION BY RANGE (a);
            CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM (0) TO (10);
            CREATE TABLE public.parted_rest PARTITION OF public.parted DEFAULT;
            INSERT INTO public.parted SELECT g, g::text FROM generate_series(1, 25) AS g;
            CREATE TABLE public.parent (a int);
            CREATE TABLE public.child (b int) INHERITS (public.parent);
            INSERT INTO public.parent VALUES (1);
            INSERT INTO public.child VALUES (1, 2), (3, 4);
            CREATE MATERIALIZED VIEW public.full_view AS SELECT * FROM public.parted;
            CREATE MATERIALIZED VIEW public.empty_view AS SELECT * FROM public.parted WITH NO DATA;
            CREATE UNLOGGED TABLE public.fleeting (a int);
            INSERT INTO public.fleeting VALUES (1);
            CREATE TABLE public.no_columns ();
            INSERT INTO public.no_columns DEFAULT VALUES;
            INSERT INTO public.no_columns DEFAULT VALUES;
            CREATE TABLE public.made (
                id int GENERATED ALWAYS AS IDENTITY, a int, "t" int, b int GENERATED ALWAYS AS (a * 2) STORED);
            INSERT INTO public.made (a) VALUES (1), (2);
            CREATE SCHEMA "Weird ""schema";
            CREATE TABLE "Weird ""schema"."select; --" (" a" int, "%s" int, "{}" int);
            INSERT INTO "Weird ""schema"."select; --" VALUES (1, 2, 3);
            CREATE EXTENSION postgres_fdw SCHEMA public;
            CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
            CREATE FOREIGN TABLE public.abroad (a int) SERVER elsewhere;
            CREATE TEMP TABLE passing (a int);
            CREATE VIEW public.look AS SELECT 1 AS a;
            GRANT pg_read_all_data TO master;
            """
        )
    return cluster


def test_every_kind_of_relation_is_read_once_and_the_rest_is_named(
    kinds: Cluster, server_of: ServerOf
) -> None:
    found = fingerprint(server_of(kinds))
    assert list(found.databases) == ['Weird "name"', "nothing", "postgres", "shop"]
    assert found.databases["nothing"] == Contents()
    contents = found.databases['Weird "name"']
    assert contents.unread == {}
    assert {name: table.rows for name, table in contents.tables.items()} == {
        '"Weird ""schema"."select; --"': 1,
        "public.child": 2,
        "public.full_view": 25,
        "public.made": 2,
        "public.no_columns": 2,
        "public.parent": 1,
        "public.parted_1": 9,
        "public.parted_rest": 16,
    }
    assert contents.skipped == {
        "public.abroad": "foreign: reading it would act on another server",
        "public.empty_view": "materialized view without data",
        "public.fleeting": "unlogged: known to be empty after a restore",
    }


def test_a_table_behind_row_security_is_unread_and_never_empty(kinds: Cluster, server_of: ServerOf) -> None:
    with opened(kinds, "nothing") as session:
        session.execute(
            """
            CREATE TABLE public.hidden AS SELECT generate_series(1, 10) AS a;
            ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY;
            CREATE TABLE public.forced AS SELECT generate_series(1, 10) AS a;
            ALTER TABLE public.forced OWNER TO master;
            ALTER TABLE public.forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            CREATE TABLE public.seen AS SELECT generate_series(1, 10) AS a;
            """
        )
    contents = fingerprint(server_of(kinds), ("nothing",)).databases["nothing"]
    assert {name: table.rows for name, table in contents.tables.items()} == {"public.seen": 10}
    assert {name: str(why) for name, why in contents.unread.items()} == {
        "public.forced": "row-level security (42501)",
        "public.hidden": "row-level security (42501)",
    }


def test_differences_name_the_table_and_what_differs(kinds: Cluster, server_of: ServerOf) -> None:
    before = fingerprint(server_of(kinds), ('Weird "name"',))
    with opened(kinds, 'Weird "name"') as session:
        session.execute(
            """
            DELETE FROM public.parted WHERE a = 3;
            UPDATE public.made SET a = 5 WHERE a = 1;
            DROP TABLE public.child;
            REFRESH MATERIALIZED VIEW public.empty_view;
            """
        )
    after = fingerprint(server_of(kinds), ('Weird "name"',))
    assert {one.table: one.what for one in differences(before, after)} == {
        "public.child": "only in A",
        "public.empty_view": "materialized view without data, only in A",
        "public.made": "same number of rows, different content",
        "public.parted_1": "9 rows in A, 8 rows in B",
    }
    assert differences(after, after) == []


def test_a_database_that_is_not_there_is_named(kinds: Cluster, server_of: ServerOf) -> None:
    server: Server = server_of(kinds)
    with pytest.raises(NotRunnable) as caught:
        fingerprint(server, ("absent",))
    assert caught.value.message == "no database 'absent' on the server"
    assert caught.value.hint == "it has: 'Weird \"name\"', 'nothing', 'postgres', 'shop'"
