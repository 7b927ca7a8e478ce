from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pgdrill.checks.check import Bracket, Case
from pgdrill.drills import outcome
from pgdrill.drills.examination import Measured
from pgdrill.drills.state import Drill, Step
from pgdrill.evidence.record import Evidence, Trigger
from pgdrill.model import Fact, PointKind, RecoveryPoint, Seal
from pgdrill.plan import Checks
from tests.unit.evidence.drills import drilled
from tests.unit.memory import Memory

if TYPE_CHECKING:
    from pgdrill.aws.store import Store
    from pgdrill.cell import Cell

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


def proved(created_at: datetime | None, **changes: object) -> Evidence:
    """Evidence of a passed drill of a point with one id, whichever snapshot has it."""
    passed = drilled()
    point = passed.point.model_copy(update={"id": "p", "created_at": created_at, **changes})
    return drilled(point=point, facts={f"drills/shop/{passed.drill}/facts/sweep.json.gz": "0" * 64})


def known(store: Memory, point: RecoveryPoint) -> str | None:
    """Return the drill that a drill of this point is compared with."""
    return outcome._references(cast("Store", store), DRILL.to(Step.JUDGE, point=point))[0]


def test_a_point_is_compared_with_drills_of_it_and_of_none_that_had_its_id_before() -> None:
    store, earlier, later = Memory(), proved(NOW), proved(NOW + timedelta(minutes=5))
    outcome.keep(cast("Cell", SimpleNamespace(store=store, signer=None)), earlier)
    assert known(store, earlier.point) == earlier.drill
    assert known(store, later.point) is None


def test_a_copy_is_compared_with_drills_of_its_original() -> None:
    store, original = Memory(), proved(NOW)
    outcome.keep(cast("Cell", SimpleNamespace(store=store, signer=None)), original)
    copy = {"kind": PointKind.COPY, "usable_at": NOW + timedelta(hours=3), "region": "ap-northeast-1"}
    assert known(store, original.point.model_copy(update=copy)) == original.drill


def test_a_moment_is_compared_with_drills_of_it() -> None:
    store, moment = Memory(), proved(None, kind=PointKind.PITR)
    outcome.keep(cast("Cell", SimpleNamespace(store=store, signer=None)), moment)
    assert known(store, moment.point) == moment.drill


def test_a_reference_of_another_version_is_nothing_to_compare_with() -> None:
    known = b'{"drill": "d1", "facts": {}, "resource": "db-A"}'
    assert outcome._reference(known) == outcome._Reference(drill="d1", facts={}, resource="db-A")
    assert outcome._reference(b'{"drill": "d1", "a_key_of": "another version"}') is None
