"""A digest is a sum; two fingerprints are compared table by table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from pgdrill.content.expression import expression
from pgdrill.content.fingerprint import (
    Contents,
    Difference,
    Digest,
    Fingerprint,
    Table,
    differences,
    query,
)
from pgdrill.content.pages import Pages
from pgdrill.content.relations import Column, Relation, qualified
from pgdrill.content.unread import Unread
from pgdrill.errors import NotRunnable

digests = st.builds(Digest, rows=st.integers(0, 2**63), sum=st.integers(-(2**126), 2**126))
HASHES = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)


def relation(*columns: Column, name: str = "t") -> Relation:
    return Relation(
        oid=1,
        schema="public",
        name=name,
        kind="r",
        persistence="p",
        populated=True,
        owner="owner",
        row_security=False,
        forced=False,
        method="heap",
        toast=0,
        pages=1,
        toast_pages=0,
        page_size=8192,
        columns=columns,
    )


def text_of(composed: sql.Composable) -> str:
    return composed.as_string(None)


@given(HASHES, st.data())
def test_digests_of_any_parts_in_any_order_add_up(hashes: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(hashes))
    cut = data.draw(st.integers(0, len(hashes)))

    def of(rows: list[int]) -> Digest:
        return Digest(rows=len(rows), sum=sum(rows))

    assert of(shuffled[:cut]) + of(shuffled[cut:]) == of(hashes)


@given(digests)
def test_a_digest_survives_json(digest: Digest) -> None:
    assert Digest.model_validate_json(digest.model_dump_json()) == digest
    assert Digest.model_validate(digest.model_dump(mode="json")) == digest
    assert len(digest.hex) == 32


@given(digests, digests)
def test_different_digests_are_written_differently(a: Digest, b: Digest) -> None:
    assert (a.sum == b.sum) == (a.hex == b.hex)


def test_every_column_has_a_seed_of_its_own_and_a_null_is_a_constant() -> None:
    assert text_of(expression([Column("a", "int4"), Column('b"', "text")])) == (
        'hashint8extended(coalesce(hashint4extended(t."a", 1), 2000001)'
        ' # coalesce(hashtextextended(t."b""" COLLATE "C", 2), 2000002), 0)'
    )


def test_types_without_a_direct_hash_share_one_row() -> None:
    columns = [Column("a", "bool"), Column("b", "point"), Column("c", "int4")]
    assert text_of(expression(columns)) == (
        'hashint8extended(coalesce(hashint4extended(t."c", 3), 2000003)'
        ' # hash_record_extended(row(t."a", point_send(t."b")), -1), 0)'
    )


def test_types_that_pgdrill_does_not_know_are_hashed_as_text() -> None:
    columns = [Column("mood", ""), Column("moods", "")]
    assert text_of(expression(columns)) == (
        'hashint8extended(hashtextextended(row(t."mood", t."moods")::text COLLATE "C", -2), 0)'
    )


def test_arrays_are_hashed_in_a_form_that_ignores_the_clients_encoding() -> None:
    columns = [Column("numbers", "_int4", "int4"), Column("words", "_text", "text")]
    assert text_of(expression(columns)) == (
        'hashint8extended(coalesce(hashtextextended(t."words"::text COLLATE "C", 2), 2000002)'
        ' # hash_record_extended(row(array_send(t."numbers")), -1), 0)'
    )


def test_a_domain_is_hashed_as_what_it_is_made_of() -> None:
    assert text_of(expression([Column("a", "numeric", domain=True)])) == (
        'hashint8extended(coalesce(hash_numeric_extended(t."a"::"pg_catalog"."numeric", 1), 2000001), 0)'
    )


@pytest.mark.parametrize(
    ("kind", "term"),
    [
        (
            "float8",
            'coalesce(CASE WHEN t."a" = 0 THEN hashtextextended(t."a"::text COLLATE "C", 1) ELSE hashfloat8extended(t."a", 1) END, 2000001)',
        ),
        ("interval", 'hash_record_extended(row(interval_send(t."a")), -1)'),
        ("jsonb", 'coalesce(hashtextextended(t."a"::text COLLATE "C", 1), 2000001)'),
        (
            "numeric",
            'coalesce(hash_numeric_extended(t."a", 1 * 100000 + coalesce(scale(t."a"), 0)), 2000001)',
        ),
    ],
)
def test_an_exact_digest_hashes_more_than_what_postgresql_compares(kind: str, term: str) -> None:
    assert text_of(expression([Column("a", kind)], exact=True)) == f"hashint8extended({term}, 0)"
    assert term not in text_of(expression([Column("a", kind)]))


def test_a_table_without_columns_still_counts_its_rows() -> None:
    assert text_of(query(relation())) == (
        'SELECT count(*), coalesce(sum(hashint8extended(0, 0)), 0) FROM ONLY "public"."t" AS t'
    )


def test_a_range_of_pages_is_half_open_and_the_last_one_has_no_end() -> None:
    table = relation(name='we"ird')
    assert text_of(query(table, Pages(8, 16))).endswith(
        """FROM ONLY "public"."we""ird" AS t WHERE t.ctid >= '(8,0)'::tid AND t.ctid < '(16,0)'::tid"""
    )
    assert text_of(query(table, Pages(16))).endswith("AS t WHERE t.ctid >= '(16,0)'::tid")
    assert text_of(query(table, Pages(0, 8))).endswith("AS t WHERE t.ctid < '(8,0)'::tid")


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (("shop", "orders_2"), "shop.orders_2"),
        (("shop", "Order Lines"), 'shop."Order Lines"'),
        (("a.b", 'c"d'), '"a.b"."c""d"'),
        (("2nd", "_x"), '"2nd"._x'),
        (("straße", "ORDERS"), '"straße"."ORDERS"'),
        (("shop", ""), 'shop.""'),
    ],
)
def test_names_are_quoted_where_postgresql_would_fold_them(names: tuple[str, ...], written: str) -> None:
    assert qualified(*names) == written


def fingerprint(*, exact: bool = False, **databases: Contents) -> Fingerprint:
    return Fingerprint(exact=exact, databases=databases)


A = Table(rows=3, sum=5, pages=1, bytes=8192)


def test_equal_content_in_another_physical_shape_is_no_difference() -> None:
    bloated = A.model_copy(update={"pages": 9, "bytes": 9 * 8192})
    a, b = (fingerprint(shop=Contents(tables={"s.t": table})) for table in (A, bloated))
    assert differences(a, b) == []


def test_every_kind_of_difference_is_named() -> None:
    more, other = Table(rows=4, sum=5), Table(rows=3, sum=6)
    a = fingerprint(
        shop=Contents(
            tables={"s.gone": A, "s.more": A, "s.other": A, "s.same": A, "s.was": A},
            skipped={"s.v": "foreign"},
        ),
        left=Contents(),
    )
    b = fingerprint(
        shop=Contents(
            tables={"s.more": more, "s.other": other, "s.same": A, "s.new": A},
            skipped={"s.was": "unlogged", "s.v": "foreign"},
        ),
        right=Contents(),
    )
    assert differences(a, b) == [
        Difference(database="left", table="", what="database only in A"),
        Difference(database="right", table="", what="database only in B"),
        Difference(database="shop", table="s.gone", what="only in A", a=A),
        Difference(database="shop", table="s.more", what="3 rows in A, 4 rows in B", a=A, b=more),
        Difference(database="shop", table="s.new", what="only in B", b=A),
        Difference(
            database="shop", table="s.other", what="same number of rows, different content", a=A, b=other
        ),
        Difference(database="shop", table="s.was", what="unlogged, only in B", a=A),
    ]


def test_a_table_that_was_not_read_is_neither_equal_nor_different() -> None:
    a = fingerprint(shop=Contents(tables={"s.t": A}))
    b = fingerprint(shop=Contents(unread={"s.t": Unread(error="InsufficientPrivilege", sqlstate="42501")}))
    assert differences(a, b) == []


def test_fingerprints_made_in_different_ways_are_never_compared() -> None:
    with pytest.raises(NotRunnable) as caught:
        differences(fingerprint(), fingerprint(exact=True))
    assert caught.value.message == (
        "fingerprints made in different ways: algorithm 1 and 1, exact False and True"
    )
    assert caught.value.hint == "make both with the same version of pgdrill and the same --exact"
