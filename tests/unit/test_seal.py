from datetime import UTC, datetime, timedelta

from pgdrill import seal
from pgdrill.model import PointKind, RecoveryPoint, Seal
from tests.unit.memory import Memory

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def made(point: str, minutes: float, took: float = 0.1) -> Seal:
    taken = NOW + timedelta(minutes=minutes)
    return Seal(
        point=point, database="shop", taken_at=taken, done_at=taken + timedelta(minutes=took), facts={}
    )


def point(identifier: str, kind: PointKind, minutes: float) -> RecoveryPoint:
    return RecoveryPoint(
        id=identifier,
        kind=kind,
        region="ap-southeast-1",
        source="shop-production",
        recovers_to=NOW + timedelta(minutes=minutes),
        engine_version="15.18",
        storage_gb=20,
        encrypted=True,
    )


def stored() -> Memory:
    """Two points with seals at minutes 0 and 2, and at 60 and 62."""
    memory = Memory()
    for name, start in (("p1", 0), ("p2", 60)):
        seal.keep(memory, made(name, start), "before")
        seal.keep(memory, made(name, start + 2), "after")
    return memory


def taken(found: tuple[Seal | None, Seal | None]) -> list[float | None]:
    return [(s.taken_at - NOW).total_seconds() / 60 if s else None for s in found]


def test_a_snapshot_lies_between_its_own_seals_whatever_its_clock_says() -> None:
    snapshot = point("p2", PointKind.SNAPSHOT, 0.5)
    assert taken(seal.around(stored(), "shop", snapshot)) == [60, 62]


def test_a_moment_lies_between_the_nearest_seals() -> None:
    assert taken(seal.around(stored(), "shop", point("pitr", PointKind.PITR, 30))) == [2, 60]


def test_a_moment_after_the_last_seal_has_none_after_it() -> None:
    assert taken(seal.around(stored(), "shop", point("pitr", PointKind.PITR, 90))) == [62, None]


def test_a_moment_before_the_first_seal_has_none_before_it() -> None:
    assert taken(seal.around(stored(), "shop", point("pitr", PointKind.PITR, -5))) == [None, 0]


def test_a_seal_still_being_taken_at_the_moment_is_not_before_it() -> None:
    memory = stored()
    seal.keep(memory, made("slow", 29, took=5), "before")
    assert taken(seal.around(memory, "shop", point("pitr", PointKind.PITR, 30))) == [2, 60]


def test_a_snapshot_without_seals_lies_between_those_of_others() -> None:
    automated = point("rds:shop-production-2026", PointKind.SNAPSHOT, 30)
    assert taken(seal.around(stored(), "shop", automated)) == [2, 60]


def test_of_several_tries_the_seals_nearest_to_the_snapshot_count() -> None:
    memory = stored()
    seal.keep(memory, made("p1", 1), "before")
    assert taken(seal.around(memory, "shop", point("p1", PointKind.SNAPSHOT, 1.5))) == [1, 2]


def test_a_database_without_seals_has_none() -> None:
    assert seal.around(Memory(), "shop", point("p1", PointKind.SNAPSHOT, 0)) == (None, None)
