from datetime import UTC, datetime

import pytest

from pgdrill.checks.check import Bracket, Case
from pgdrill.drills import outcome
from pgdrill.drills.examination import Measured
from pgdrill.drills.state import Drill
from pgdrill.evidence.record import Trigger
from pgdrill.model import Fact, Seal
from pgdrill.plan import Checks
from tests.unit.memory import Memory

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


class Count(Fact):
    seen: int


class Other(Fact):
    heard: str


DRILL = Drill(
    id="20261122t060000000z-shop",
    database="shop",
    source="shop-production",
    wanted="latest",
    trigger=Trigger.COMMAND,
    nonce="n",
    plan_sha256="0" * 64,
    started_at=NOW,
)


def test_a_fact_is_read_back_as_it_was_stored() -> None:
    store = Memory()
    ref = outcome.keep_fact(store, DRILL, Measured("count", Count(seen=3), 1.5))
    assert ref.key == "drills/shop/20261122t060000000z-shop/facts/count.json.gz"
    assert outcome.read_fact(store, ref, Count) == Measured("count", Count(seen=3), 1.5)


def test_an_error_is_kept_without_a_fact() -> None:
    store = Memory()
    ref = outcome.keep_fact(store, DRILL, Measured("count", None, 1.5, "DataCorrupted (XX001)"))
    assert store.objects == {}
    assert outcome.read_fact(store, ref, Count) == Measured("count", None, 1.5, "DataCorrupted (XX001)")


@pytest.mark.parametrize("body", [b"", b"something else"])
def test_a_fact_that_was_altered_or_lost_is_no_fact(body: bytes) -> None:
    store = Memory()
    ref = outcome.keep_fact(store, DRILL, Measured("count", Count(seen=3), 1.5))
    store.objects = {ref.key: body} if body else {}
    read = outcome.read_fact(store, ref, Count)
    assert (read.fact, read.error) == (None, "the stored fact is missing or altered")


def test_a_fact_in_the_form_of_another_version_is_no_fact() -> None:
    store = Memory()
    ref = outcome.keep_fact(store, DRILL, Measured("count", Count(seen=3), 1.5))
    read = outcome.read_fact(store, ref, Other)
    assert (read.fact, read.error) == (None, "the stored fact is of another version of pgdrill")


def test_a_seal_in_the_form_of_another_version_is_as_good_as_none() -> None:
    seal = Seal(point="p", database="shop", taken_at=NOW, done_at=NOW, facts={"count": {"seen": 3}})
    case = Case(checks=Checks(), asked=frozenset({"count"}), before=seal)
    assert case.bracket("count", Count) == Bracket(Count(seen=3), None)
    assert case.bracket("count", Other) == Bracket(None, None)


def test_a_reference_of_another_version_is_nothing_to_compare_with() -> None:
    known = b'{"drill": "d1", "facts": {}, "resource": "db-A"}'
    assert outcome._reference(known) == outcome._Reference(drill="d1", facts={}, resource="db-A")
    assert outcome._reference(b'{"drill": "d1", "a_key_of": "another version"}') is None
