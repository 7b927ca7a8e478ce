"""The shop has one of every kind of object that a restore can get wrong, and its writer writes."""

import time

import psycopg
import pytest

from pgdrill.database import Address
from pgdrill.lab import shop
from pgdrill.lab.cluster import Cluster
from tests.lab.conftest import MakeCluster, Run, ServerOf

KINDS = """
SELECT DISTINCT what FROM (
    SELECT 'relation ' || relkind::text FROM pg_class WHERE relnamespace >= 16384
    UNION ALL SELECT 'unlogged' FROM pg_class WHERE relpersistence = 'u'
    UNION ALL SELECT 'partition default' FROM pg_partitioned_table WHERE partdefid <> 0
    UNION ALL SELECT 'inherits' FROM pg_inherits JOIN pg_class ON oid = inhparent WHERE relkind = 'r'
    UNION ALL SELECT 'no columns' FROM pg_class WHERE relkind = 'r' AND relnatts = 0
    UNION ALL SELECT 'row security' FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity
    UNION ALL SELECT 'forced row security' FROM pg_class WHERE relforcerowsecurity
    UNION ALL SELECT 'owner ' || relowner::regrole::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384
    UNION ALL SELECT 'identity ' || attidentity::text FROM pg_attribute WHERE attidentity <> ''
    UNION ALL SELECT 'generated' FROM pg_attribute WHERE attgenerated <> ''
    UNION ALL SELECT 'dropped column' FROM pg_attribute WHERE attisdropped
    UNION ALL SELECT 'column privileges' FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384
    UNION ALL SELECT 'constraint ' || contype::text FROM pg_constraint WHERE connamespace >= 16384
    UNION ALL SELECT 'deferrable ' || contype::text FROM pg_constraint WHERE condeferrable
    UNION ALL SELECT 'not valid' FROM pg_constraint WHERE NOT convalidated
    UNION ALL SELECT 'type ' || typtype::text FROM pg_type WHERE typnamespace >= 16384
    UNION ALL SELECT 'index ' || amname FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        JOIN pg_am ON pg_am.oid = c.relam WHERE indexrelid >= 16384
    UNION ALL SELECT 'partial index' FROM pg_index WHERE indpred IS NOT NULL
    UNION ALL SELECT 'index on an expression' FROM pg_index WHERE indexprs IS NOT NULL
    UNION ALL SELECT 'disabled trigger' FROM pg_trigger WHERE tgenabled = 'D'
    UNION ALL SELECT 'routine ' || prokind::text FROM pg_proc WHERE pronamespace >= 16384
    UNION ALL SELECT 'sequence down, in circles' FROM pg_sequence WHERE seqincrement < 0 AND seqcycle
    UNION ALL SELECT 'rule' FROM pg_rewrite WHERE rulename <> '_RETURN' AND oid >= 16384
    UNION ALL SELECT 'policy' FROM pg_policy UNION ALL SELECT 'statistics' FROM pg_statistic_ext
    UNION ALL SELECT 'publication' FROM pg_publication
    UNION ALL SELECT 'foreign server' FROM pg_foreign_server
    UNION ALL SELECT 'default privileges' FROM pg_default_acl
    UNION ALL SELECT 'large object' FROM pg_largeobject_metadata
    UNION ALL SELECT 'comment' FROM pg_description WHERE objoid >= 16384
    UNION ALL SELECT 'collation' FROM pg_collation WHERE oid >= 16384
    UNION ALL SELECT 'text search' FROM pg_ts_config WHERE oid >= 16384
    UNION ALL SELECT 'type without hash ' || typname FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
        JOIN pg_class c ON c.oid = attrelid WHERE c.relkind = 'r' AND c.oid >= 16384 AND NOT attisdropped
        AND t.oid < 16384 AND t.typtype = 'b' AND t.typcategory <> 'A'
        AND NOT EXISTS (SELECT FROM pg_opclass JOIN pg_am ON pg_am.oid = opcmethod
                        WHERE amname = 'hash' AND opcintype = t.oid)
) AS kinds (what)
"""
EXPECTED = {
    *(f"relation {kind}" for kind in "rpivmSf"),
    *(f"constraint {kind}" for kind in "pufcxt"),
    *(f"type {kind}" for kind in "bcderm"),
    *(f"index {method}" for method in ("btree", "hash", "gin", "gist", "spgist", "brin")),
    *(f"owner {role}" for role in ("master", "shop_app", "shop_report")),
    *(f"routine {kind}" for kind in "fap"),
    *("identity a", "identity d", "generated", "dropped column", "column privileges", "default privileges"),
    *("unlogged", "partition default", "inherits", "no columns", "row security", "forced row security"),
    *("deferrable f", "deferrable x", "deferrable t", "not valid", "partial index", "index on an expression"),
    *("disabled trigger", "sequence down, in circles", "rule", "policy", "statistics", "publication"),
    *("foreign server", "large object", "comment", "collation", "text search"),
    *(f"type without hash {name}" for name in ("json", "xml", "point", "money", "bit", "varbit", "tsvector")),
}


@pytest.fixture(scope="module")
def address(cluster: Cluster, server_of: ServerOf) -> Address:
    """A production with a small shop."""
    address = server_of(cluster).address
    shop.load(address, 6_000)
    return address


def test_the_shop_has_every_kind_of_object(address: Address, cluster: Cluster, run: Run) -> None:
    # What initdb made has OIDs below 16384.
    found = {row[0] for row in run(cluster, KINDS)}
    toast = run(cluster, "SELECT sum(pg_relation_size(reltoastrelid)) FROM pg_class WHERE reltoastrelid <> 0")
    assert EXPECTED - found == set()
    assert toast[0][0] > 1_000_000


def test_the_instance_has_several_databases_one_of_them_empty(
    address: Address, cluster: Cluster, run: Run
) -> None:
    assert {name for (name,) in run(cluster, "SELECT datname FROM pg_database")} >= set(shop.DATABASES)
    count = "SELECT count(*) FROM pg_class WHERE relnamespace >= 16384 AND relkind = 'r'"
    assert run(cluster, count, dbname="Year-End 2025") == [(0,)]
    assert run(cluster, count, dbname="analytics")[0][0] >= 4


def test_it_has_about_as_many_rows_as_asked_for(address: Address, cluster: Cluster, run: Run) -> None:
    rows = run(
        cluster,
        'SELECT (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM shop."Order Lines"),'
        " (SELECT count(*) FROM shop.customers)",
    )
    assert rows[0][0] == 1_200
    assert 3_000 < rows[0][1] < 4_200
    assert rows[0][2] == 400


def test_the_master_user_is_refused_what_others_own(address: Address, cluster: Cluster, run: Run) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        run(cluster, 'SELECT count(*) FROM "Back Office".payouts')
    assert run(cluster, 'SELECT count(*) FROM "Back Office".salaries') == [(0,)]


def test_two_shops_of_one_size_are_equal(
    address: Address, cluster: Cluster, make_cluster: MakeCluster, server_of: ServerOf, run: Run
) -> None:
    twin = make_cluster()
    shop.load(server_of(twin).address, 6_000)
    content = (
        """SELECT md5(string_agg(line::text, '' ORDER BY "order", line)) FROM shop."Order Lines" AS line""",
        "SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM shop.products AS p",
        "SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM shop.customers AS c",
    )
    for query in content:
        assert run(twin, query) == run(cluster, query)


def test_the_writer_places_orders_until_it_is_stopped(address: Address, cluster: Cluster, run: Run) -> None:
    count = "SELECT count(*) FROM shop.orders WHERE status = 'paid' AND placed > now() - interval '1 minute'"
    before = run(cluster, count)[0][0]
    with shop.writer(address, pause=0.01) as writer:
        deadline = time.monotonic() + 10
        while writer.done < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
    after = run(cluster, count)[0][0]
    assert writer.done >= 5
    assert after - before == writer.done


def test_a_writer_that_cannot_write_says_so_where_it_is_stopped(
    address: Address, cluster: Cluster, run: Run
) -> None:
    run(cluster, "ALTER PROCEDURE shop.place_order(bigint, integer) RENAME TO place_order_no_more")
    with (
        pytest.raises(psycopg.errors.UndefinedFunction, match=r"procedure shop\.place_order"),
        shop.writer(address, pause=0.01),
    ):
        time.sleep(0.5)
