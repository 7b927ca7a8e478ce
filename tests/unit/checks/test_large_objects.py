"""Large objects are read, and compared where another restore is at hand."""

from dataclasses import replace

import pytest

from pgdrill.checks.check import Case
from pgdrill.checks.large_objects import LargeObjectFact, Objects, judge
from pgdrill.content.fingerprint import Digest
from pgdrill.content.unread import Unread
from pgdrill.model import Damage, Verdict
from pgdrill.plan import Checks

CASE = Case(Checks(), frozenset({"large_objects"}))
THREE = Objects(digest=Digest(rows=3, sum=5), bytes=2_000_000, done=True)


def fact(objects: Objects, *, complete: bool = True) -> LargeObjectFact:
    return LargeObjectFact(complete=complete, databases={"shop": objects})


def beside(objects: Objects) -> Case:
    return replace(CASE, references={"large_objects": fact(objects).model_dump(mode="json")})


def test_none_at_all_pass() -> None:
    found = judge(fact(Objects(done=True)), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.reason == "no large objects"


def test_objects_read_whole_pass() -> None:
    found = judge(fact(THREE), CASE)
    assert found.verdict is Verdict.PASSED
    assert found.reason == "3 large objects read whole"
    assert found.coverage == "read 3 of 3, 2.0 MB; compared with nothing: first drill of this point"


def test_objects_that_equal_the_other_restores_pass() -> None:
    found = judge(fact(THREE), beside(THREE))
    assert found.verdict is Verdict.PASSED
    assert found.coverage == "read 3 of 3, 2.0 MB; compared with the other restore"


@pytest.mark.parametrize(
    ("digest", "what"),
    [
        (Digest(rows=3, sum=6), "different content than in the other restore"),
        (Digest(rows=2, sum=6), "2 objects, 3 in the other restore"),
    ],
)
def test_objects_that_differ_fail(digest: Digest, what: str) -> None:
    found = judge(fact(THREE.model_copy(update={"digest": digest})), beside(THREE))
    assert found.verdict is Verdict.FAILED
    assert found.damage == (Damage(database="shop", object="large objects", what=what),)


@pytest.mark.parametrize(
    ("sqlstate", "verdict"), [("XX001", Verdict.FAILED), ("42501", Verdict.INCONCLUSIVE)]
)
def test_an_object_that_could_not_be_read_does_not_pass(sqlstate: str, verdict: Verdict) -> None:
    unread = {"70003": Unread(error="E", sqlstate=sqlstate)}
    found = judge(fact(THREE.model_copy(update={"unread": unread})), CASE)
    assert found.verdict is verdict
    assert found.damage[0].object == "large object 70003"
    assert found.coverage.startswith("read 3 of 4")


def test_what_the_time_cut_off_is_inconclusive() -> None:
    found = judge(fact(THREE, complete=False), beside(Objects(digest=Digest(rows=9, sum=9))))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "the time ended before every large object was read"
