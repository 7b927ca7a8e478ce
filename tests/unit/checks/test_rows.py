"""Rows are read first and compared then; what could not be read is never a pass."""

from dataclasses import replace

import pytest

from pgdrill.checks.check import Case
from pgdrill.checks.rows import judge
from pgdrill.checks.sweep import Database, SweepFact, Swept
from pgdrill.content.fingerprint import Digest
from pgdrill.content.unread import Unread
from pgdrill.model import Damage, Verdict
from pgdrill.plan import Checks, Rows

CASE = Case(Checks(), frozenset({"rows"}))
REFUSED = Unread(error="InsufficientPrivilege", sqlstate="42501", saying="permission denied")
BROKEN = Unread(
    error="DataCorrupted", sqlstate="XX001", saying="invalid page", where="block 5 of shop.orders"
)


def table(rows: int = 3, total: int = 5, **more: object) -> Swept:
    known = {"user": True, "pages": 1, "bytes": 1_000_000, "digest": Digest(rows=rows, sum=total)}
    return Swept.model_validate(known | more)


def fact(*, complete: bool = True, exact: bool = False, **heaps: Swept) -> SweepFact:
    named = {f"shop.{name}": heap for name, heap in heaps.items()}
    return SweepFact(complete=complete, exact=exact, databases={"shop": Database(heaps=named)})


def beside(reference: SweepFact, case: Case = CASE) -> Case:
    return replace(case, references={"sweep": reference.model_dump(mode="json")})


def test_tables_read_whole_pass_and_a_first_drill_says_that_nothing_was_compared() -> None:
    found = judge(fact(orders=table(), lines=table(1_204_328)), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.reason == "2 tables read whole"
    assert found.coverage == (
        "read 2 of 2 tables, 1,204,331 rows, 2.0 MB; compared 0 of 2: first drill of this point"
    )


def test_tables_that_equal_the_other_restore_pass() -> None:
    found = judge(fact(orders=table()), beside(fact(orders=table())))
    assert found.verdict is Verdict.PASSED
    assert found.reason == "1 table read whole, 1 equal to the other restore's"
    assert found.coverage.endswith("; compared 1 of 1")


def test_tables_that_differ_from_the_other_restore_fail() -> None:
    found = judge(
        fact(orders=table(2), lines=table(total=6), new=table()),
        beside(fact(orders=table(3), lines=table(), gone=table())),
    )
    assert found.verdict is Verdict.FAILED
    assert found.damaged == 4
    assert found.damage == (
        Damage(database="shop", object="shop.gone", what="only in the other restore"),
        Damage(database="shop", object="shop.lines", what="same number of rows, different content"),
        Damage(database="shop", object="shop.new", what="only in this copy"),
        Damage(
            database="shop", object="shop.orders", what="2 rows in this copy, 3 rows in the other restore"
        ),
    )


def test_a_database_that_is_gone_fails() -> None:
    other = SweepFact(databases={"shop": Database(heaps={"shop.orders": table()}), "analytics": Database()})
    found = judge(fact(orders=table()), beside(other))
    assert found.verdict is Verdict.FAILED
    assert found.damage[0].database == "analytics"


def test_a_damaged_table_fails_and_names_the_block() -> None:
    found = judge(fact(orders=table(unread=BROKEN), lines=table()), CASE)
    assert found.verdict is Verdict.FAILED
    assert found.damage == (
        Damage(database="shop", object="shop.orders", what="invalid page: block 5 of shop.orders (XX001)"),
    )
    assert found.coverage.startswith("read 1 of 2 tables, 3 rows")


def test_a_table_that_could_not_be_read_is_inconclusive_even_if_it_counted_no_rows() -> None:
    found = judge(fact(orders=table(0, 0, unread=REFUSED)), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "not read whole: shop.orders: permission denied (42501)"
    assert found.damaged == 0


@pytest.mark.parametrize(("why", "verdict"), [(BROKEN, Verdict.FAILED), (REFUSED, Verdict.INCONCLUSIVE)])
def test_a_database_whose_catalog_cannot_be_read_does_not_pass(why: Unread, verdict: Verdict) -> None:
    found = judge(SweepFact(databases={"shop": Database(unread=why)}), CASE)
    assert found.verdict is verdict
    assert found.damage[0].object == "(catalog)"


def test_what_the_time_cut_off_is_inconclusive_and_not_compared() -> None:
    found = judge(
        fact(complete=False, orders=table(2, pending=((8, None),)), lines=table()),
        beside(fact(orders=table(3), lines=table())),
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "the time ended before every table was read"
    assert found.coverage.startswith("read 1 of 2 tables")


@pytest.mark.parametrize(
    "reference",
    [fact(complete=False, orders=table(9)), fact(exact=True, orders=table(9))],
    ids=["incomplete", "made in another way"],
)
def test_a_reference_that_says_nothing_leaves_a_baseline(reference: SweepFact) -> None:
    case = beside(reference)
    assert judge(fact(orders=table()), case).verdict is Verdict.PASSED
    required = replace(case, checks=Checks(rows=Rows(compared="required")))
    found = judge(fact(orders=table()), required)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "nothing to compare 1 table with"


def test_tables_that_hold_no_rows_of_the_backup_are_counted_apart() -> None:
    skipped = Swept(user=True, skipped="unlogged: known to be empty after a restore")
    found = judge(fact(orders=table(), fleeting=skipped), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.coverage == (
        "read 1 of 1 tables, 3 rows, 1.0 MB; compared 0 of 1: first drill of this point;"
        " 1 hold no rows of the backup (unlogged)"
    )


def test_old_evidence_can_be_judged_again() -> None:
    given = fact(orders=table(), broken=table(unread=BROKEN, pending=((3, 5), (9, None))))
    assert SweepFact.model_validate_json(given.model_dump_json()) == given
