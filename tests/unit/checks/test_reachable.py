import pytest

from pgdrill.checks.reachable import CHECK, Answer, ReachableFact
from pgdrill.model import Judgement, Verdict
from tests.unit.checks.cases import by_itself

FAST = Answer(permitted=True, login=0.01, query=0.02)


def judged(*, in_recovery: bool = False, writable: bool | None = True, **databases: Answer) -> Judgement:
    fact = ReachableFact(databases=databases, in_recovery=in_recovery, writable=writable)
    return CHECK.judge(fact, by_itself("reachable"))


def test_databases_that_answer_pass_with_the_time_of_the_slowest() -> None:
    judgement = judged(shop=FAST, analytics=Answer(permitted=True, login=1, query=1.5), writable=None)
    assert (judgement.verdict, judgement.coverage) == (Verdict.PASSED, "2 of 2 databases answered")
    assert judgement.reason == "every database answers; the slowest took 1.50 s from login to answer"


def test_a_database_that_does_not_answer_fails_and_is_named() -> None:
    judgement = judged(shop=FAST, analytics=Answer(permitted=True))
    assert (judgement.verdict, judgement.reason) == (Verdict.FAILED, "database analytics does not answer")
    assert [one.object for one in judgement.damage] == ["analytics"]


@pytest.mark.parametrize(
    ("in_recovery", "writable", "reason"),
    [
        (True, False, "the server is in recovery and takes no writes"),
        (False, False, "the server takes no writes"),
    ],
)
def test_a_server_that_takes_no_writes_fails(in_recovery: bool, writable: bool, reason: str) -> None:
    judgement = judged(shop=FAST, in_recovery=in_recovery, writable=writable)
    assert (judgement.verdict, judgement.reason) == (Verdict.FAILED, reason)


def test_a_database_that_may_not_be_entered_is_inconclusive() -> None:
    judgement = judged(shop=FAST, closed=Answer(permitted=False))
    assert (judgement.verdict, judgement.reason) == (
        Verdict.INCONCLUSIVE,
        "database closed may not be connected to",
    )


def test_no_database_at_all_is_inconclusive() -> None:
    assert judged().verdict is Verdict.INCONCLUSIVE
