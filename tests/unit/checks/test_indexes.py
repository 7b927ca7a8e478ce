"""A wrong index fails; one whose table is damaged is not blamed; one that cannot be checked is counted."""

import pytest

from pgdrill.checks.check import Case
from pgdrill.checks.indexes import INVALID, SYSTEM, Index, Indexes, IndexFact, judge
from pgdrill.content.unread import Unread
from pgdrill.model import Damage, Verdict
from pgdrill.plan import Checks

CASE = Case(Checks(), frozenset({"indexes"}))
SOUND = Index(pages=2, how="amcheck")
NAME = 'shop."Order Lines_pkey"'


def fact(*, complete: bool = True, **indexes: Index) -> IndexFact:
    named = {f"shop.{name}": index for name, index in indexes.items()}
    return IndexFact(complete=complete, databases={"shop": Indexes(indexes=named)})


def problem(sqlstate: str, where: str) -> Index:
    return Index(
        pages=2, how="amcheck", problem=Unread(error="E", sqlstate=sqlstate, saying="wrong", where=where)
    )


def test_indexes_in_order_pass() -> None:
    found = judge(fact(a=SOUND, b=SOUND), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.reason == "2 indexes in order, and agreeing with the tables"
    assert found.coverage == "checked 2 of 2 indexes"


def test_without_heapallindexed_less_is_claimed() -> None:
    found = judge(fact(a=SOUND), Case(Checks(heapallindexed=False), frozenset()))
    assert found.reason == "1 index in order"


@pytest.mark.parametrize("where", ["", f"block 1 of {NAME}", 'index "Order Lines_pkey"'])
def test_a_wrong_index_fails(where: str) -> None:
    wrong = problem("XX002", where)
    found = judge(IndexFact(databases={"shop": Indexes(indexes={NAME: wrong})}), CASE)
    assert found.verdict is Verdict.FAILED
    assert found.damage[0].object == NAME


def test_an_index_whose_table_is_damaged_is_not_blamed() -> None:
    found = judge(fact(a=SOUND, b=problem("XX001", "block 5 of shop.orders")), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "not checked: shop.b: wrong: block 5 of shop.orders (XX001)"
    assert (
        found.hint
        == "see what `heap` and `rows` say of the tables: an index of a damaged table proves nothing"
    )


def test_keys_that_differ_from_the_table_fail() -> None:
    found = judge(fact(a=Index(pages=2, how="sums", mismatch="5 keys in the index, 4 in the table")), CASE)
    assert found.verdict is Verdict.FAILED
    assert found.damage == (
        Damage(database="shop", object="shop.a", what="5 keys in the index, 4 in the table"),
    )


def test_only_an_index_that_agrees_with_its_table_is_to_be_made_anew() -> None:
    wrong = problem("XX002", "")
    assert judge(fact(a=wrong), CASE).hint == (
        "check the same indexes in production with pg_amcheck --heapallindexed; REINDEX CONCURRENTLY mends them there"
    )
    lacking = Index(pages=2, how="amcheck", mismatch="20 keys in a, 19 rows in the table")
    assert judge(fact(a=wrong, b=lacking), CASE).hint == (
        "rows may be missing: restore an older recovery point, and count these tables in production;"
        " a REINDEX before that would hide the loss"
    )


@pytest.mark.parametrize("sqlstate", ["42501", "57014"])
def test_an_index_that_could_not_be_checked_is_inconclusive(sqlstate: str) -> None:
    assert judge(fact(a=SOUND, b=problem(sqlstate, "")), CASE).verdict is Verdict.INCONCLUSIVE


def test_what_the_time_cut_off_is_inconclusive() -> None:
    found = judge(fact(a=SOUND, b=Index(pages=2), complete=False), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.coverage == "checked 1 of 2 indexes"


def test_indexes_that_cannot_be_checked_are_counted_by_kind() -> None:
    found = judge(
        fact(
            a=Index(pages=2, how="sums"),
            b=Index(pages=2, how="not", why="gin"),
            c=Index(pages=2, how="not", why="gin"),
            d=Index(pages=2, how="not", why=SYSTEM),
        ),
        CASE,
    )
    assert found.verdict is Verdict.PASSED
    assert found.coverage == (
        "checked 1 of 4 indexes; 1 of them by sums of their keys, amcheck being refused;"
        " not checkable: 2 gin, 1 of a catalog or TOAST, without amcheck"
    )


def test_when_no_index_of_its_own_can_be_checked_nothing_is_proved() -> None:
    assert judge(fact(a=Index(pages=2, how="not", why="gin")), CASE).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("why", [INVALID, SYSTEM])
def test_a_database_without_indexes_of_its_own_passes(why: str) -> None:
    assert judge(fact(a=Index(pages=2, how="not", why=why)), CASE).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("sqlstate", "verdict"), [("XX001", Verdict.FAILED), ("42501", Verdict.INCONCLUSIVE)]
)
def test_a_catalog_that_cannot_be_read_does_not_pass(sqlstate: str, verdict: Verdict) -> None:
    given = IndexFact(databases={"shop": Indexes(unread=Unread(error="E", sqlstate=sqlstate))})
    assert judge(given, CASE).verdict is verdict
