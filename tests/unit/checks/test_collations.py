from pgdrill.checks.collations import CHECK, CollationsFact, Mismatch
from pgdrill.model import Verdict
from tests.unit.checks.cases import by_itself


def mismatch(recorded: str | None = "153.14", users: int = 2) -> CollationsFact:
    one = Mismatch(
        collation="shop.phone_book",
        recorded=recorded,
        actual="153.120",
        users=users,
        named=("shop.a", "shop.b")[:users],
    )
    return CollationsFact(databases={"shop": (one,)})


def test_versions_that_are_the_same_pass() -> None:
    judgement = CHECK.judge(CollationsFact(databases={"shop": ()}), by_itself("collations"))
    assert (judgement.verdict, judgement.coverage) == (Verdict.PASSED, "1 database")


def test_indexes_built_under_other_rules_fail_and_are_named() -> None:
    judgement = CHECK.judge(mismatch(), by_itself("collations"))
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason == (
        "shop.phone_book of database shop was recorded as version 153.14 and is 153.120;"
        " 2 objects built under the old rules"
    )
    assert [one.object for one in judgement.damage] == ["shop.a", "shop.b"]
    assert judgement.damaged == 2


def test_a_changed_collation_that_nothing_uses_and_one_never_recorded_are_told() -> None:
    unused = CHECK.judge(mismatch(users=0), by_itself("collations"))
    assert (unused.verdict, unused.coverage) == (
        Verdict.PASSED,
        "1 database; 1 changed that no index uses",
    )
    unrecorded = CHECK.judge(mismatch(recorded=None), by_itself("collations"))
    assert unrecorded.verdict is Verdict.PASSED
    assert unrecorded.coverage.endswith("1 in use whose version was never recorded")
