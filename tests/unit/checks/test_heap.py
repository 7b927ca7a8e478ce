"""amcheck's findings fail; where it is refused, only checksums make a full read worth something."""

import pytest

from pgdrill.checks.check import Case
from pgdrill.checks.heap import judge
from pgdrill.checks.sweep import Database, SweepFact, Swept
from pgdrill.content.fingerprint import Digest
from pgdrill.content.unread import Unread
from pgdrill.model import Damage, Verdict
from pgdrill.plan import Checks

CASE = Case(Checks(), frozenset({"heap"}))
SOUND = Swept(user=True, pages=10, verified=True)
READ = Swept(user=True, pages=10, digest=Digest(rows=3, sum=5))
BROKEN = Unread(
    error="DataCorrupted", sqlstate="XX001", saying="invalid page", where="block 5 of shop.orders"
)
REFUSED = Unread(error="InsufficientPrivilege", sqlstate="42501", saying="permission denied")


def fact(*heaps: Swept, amcheck: bool = True, checksums: bool = True, complete: bool = True) -> SweepFact:
    named = {f"shop.t{at}": heap for at, heap in enumerate(heaps)}
    return SweepFact(
        complete=complete, checksums=checksums, databases={"shop": Database(amcheck=amcheck, heaps=named)}
    )


def test_sound_heaps_pass() -> None:
    foreign = Swept(user=True, skipped="foreign: reading it would act on another server")
    found = judge(fact(SOUND, SOUND, foreign), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.reason == "amcheck found every relation sound"
    assert found.coverage == "amcheck of 2 of 2 relations, 20 pages"


def test_what_amcheck_finds_fails() -> None:
    message = "block 7, line pointer 3: xmin 9 equals or exceeds next valid transaction ID 0:8"
    heap = SOUND.model_copy(update={"corrupt": 4, "messages": (message,)})
    found = judge(fact(SOUND, heap), CASE)
    assert found.verdict is Verdict.FAILED
    assert found.damage == (Damage(database="shop", object="shop.t1", what=f"{message} and 3 more findings"),)


def test_a_page_that_amcheck_cannot_read_fails() -> None:
    heap = SOUND.model_copy(update={"corrupt": 1, "messages": (str(BROKEN),), "unverified": BROKEN})
    found = judge(fact(heap), CASE)
    assert found.verdict is Verdict.FAILED
    assert found.damage[0].what == "invalid page: block 5 of shop.orders (XX001)"


def test_a_heap_that_could_not_be_verified_is_inconclusive() -> None:
    found = judge(fact(SOUND, SOUND.model_copy(update={"unverified": REFUSED})), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "not verified: shop.t1: permission denied (42501)"
    assert found.coverage == "amcheck of 1 of 2 relations, 10 pages"


def test_what_only_rows_could_not_read_is_no_matter_of_heap() -> None:
    assert judge(fact(SOUND.model_copy(update={"unread": REFUSED})), CASE).verdict is Verdict.PASSED


def test_what_the_time_cut_off_is_inconclusive() -> None:
    found = judge(fact(SOUND, Swept(user=True, pending=((0, None),)), complete=False), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "the time ended before every relation was verified"


@pytest.mark.parametrize(
    ("checksums", "verdict", "coverage"),
    [
        (True, Verdict.PASSED, "full read under checksums of 1 tables, system catalogs left out"),
        (False, Verdict.INCONCLUSIVE, "full read of 1 tables, system catalogs left out"),
    ],
)
def test_without_amcheck_a_full_read_counts_only_under_checksums(
    checksums: bool, verdict: Verdict, coverage: str
) -> None:
    found = judge(fact(READ, amcheck=False, checksums=checksums), CASE)
    assert found.verdict is verdict
    assert found.coverage == f"amcheck of 0 of 1 relations, 0 pages; {coverage}"


def test_without_amcheck_a_table_that_was_not_read_is_inconclusive() -> None:
    found = judge(fact(READ, READ.model_copy(update={"unread": REFUSED}), amcheck=False), CASE)
    assert found.verdict is Verdict.INCONCLUSIVE


def test_without_amcheck_a_damaged_table_fails() -> None:
    found = judge(fact(READ, READ.model_copy(update={"unread": BROKEN}), amcheck=False), CASE)
    assert found.verdict is Verdict.FAILED


def test_a_catalog_too_damaged_for_amcheck_fails() -> None:
    given = SweepFact(checksums=True, databases={"shop": Database(unread=BROKEN)})
    found = judge(given, CASE)
    assert found.verdict is Verdict.FAILED
    assert found.damage[0].object == "(catalog)"
