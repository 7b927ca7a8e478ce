from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

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


def test_of_several_tries_the_seals_that_were_done_first_count() -> None:
    memory = stored()
    seal.keep(memory, made("p1", 1), "before")
    seal.keep(memory, made("p1", 3), "after")
    assert taken(seal.around(memory, "shop", point("p1", PointKind.SNAPSHOT, 1.5))) == [0, 2]


def created(identifier: str, minutes: float) -> RecoveryPoint:
    """A snapshot by a clock of RDS that is a day behind."""
    day = timedelta(days=1, minutes=-minutes)
    return point(identifier, PointKind.SNAPSHOT, minutes).model_copy(update={"created_at": NOW - day})


def twice() -> tuple[Memory, RecoveryPoint, RecoveryPoint]:
    """Two snapshots of one name, sealed at minutes 0 and 2, and after the first was deleted at 10 and 12."""
    memory, first, second = Memory(), created("p1", 1), created("p1", 11)
    for one, start in ((first, 0), (second, 10)):
        seal.keep(memory, made("p1", start), "before")
        after = made("p1", start + 2).model_copy(update={"created_at": one.created_at})
        seal.keep(memory, after, "after")
    return memory, first, second


def test_the_seals_of_a_snapshot_that_had_the_name_before_are_not_those_of_this_one() -> None:
    memory, first, second = twice()
    assert taken(seal.around(memory, "shop", second)) == [10, 12]
    assert taken(seal.around(memory, "shop", first)) == [0, 2]


def test_a_copy_has_the_seals_of_its_original() -> None:
    memory, first, _ = twice()
    copy = first.model_copy(update={"kind": PointKind.COPY, "usable_at": NOW + timedelta(days=3)})
    assert taken(seal.around(memory, "shop", copy)) == [0, 2]


def test_a_snapshot_that_was_not_sealed_after_has_none_of_the_one_before() -> None:
    memory, _, _ = twice()
    third = created("p1", 21)
    seal.keep(memory, made("p1", 20), "before")
    assert taken(seal.around(memory, "shop", third)) == [20, None]


def test_whether_a_snapshot_was_sealed_after_is_known_by_name_and_creation() -> None:
    memory, first, second = twice()
    assert seal.ended(memory, "shop", first)
    assert seal.ended(memory, "shop", second)
    assert not seal.ended(memory, "shop", created("p1", 21))
    assert not seal.ended(memory, "shop", created("p2", 1))


def test_a_database_without_seals_has_none() -> None:
    assert seal.around(Memory(), "shop", point("p1", PointKind.SNAPSHOT, 0)) == (None, None)


KEYS = [
    "seals/shop/20261122T060000000000Z-before-p1.json",
    "seals/shop/20261122T060200000000Z-after-p1.json",
    "seals/shop/20261122T070000000000Z-before-p2.json",
    "seals/shop/20261122T070200000000Z-after-p2.json",
]


def found(memory: Memory) -> list[tuple[str, str]]:
    return [(one.key, one.fault.value) for one in seal.broken(memory, "shop")]


def test_seals_as_they_were_written_are_one_chain() -> None:
    memory = stored()
    assert sorted(memory.objects) == KEYS
    seals = [Seal.model_validate_json(memory.objects[key]) for key in KEYS]
    assert [one.number for one in seals] == [1, 2, 3, 4]
    assert [one.previous for one in seals[1:]] == [
        sha256(memory.objects[key]).hexdigest() for key in KEYS[:3]
    ]
    assert seals[0].previous is None
    assert found(memory) == []
    assert seal.broken(Memory(), "shop") == []


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_seal_that_was_altered_is_named(index: int) -> None:
    memory = stored()
    altered = Seal.model_validate_json(memory.objects[KEYS[index]]).model_copy(
        update={"facts": {"settings": 1}}
    )
    memory.objects[KEYS[index]] = altered.model_dump_json().encode()
    assert found(memory) == [(KEYS[index], "altered")]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_seal_that_is_gone_shows_at_the_next(index: int) -> None:
    memory = stored()
    del memory.objects[KEYS[index]]
    assert found(memory) == [(KEYS[index + 1], "dropped")]
    assert seal.broken(memory, "shop")[0].what == f"is number {index + 2} and comes after number {index}"


def test_a_seal_that_cannot_be_read_is_named_and_the_next_ones_still_count() -> None:
    memory = stored()
    memory.objects[KEYS[1]] = b"{}"
    assert found(memory) == [(KEYS[1], "unreadable"), (KEYS[1], "altered")]
    seal.keep(memory, made("p3", 120), "before")
    assert found(memory) == [(KEYS[1], "unreadable"), (KEYS[1], "altered")]


def test_a_seal_put_under_another_name_is_named() -> None:
    memory = stored()
    memory.objects[KEYS[3].replace("p2", "p9")] = memory.objects.pop(KEYS[3])
    assert found(memory) == [(KEYS[3].replace("p2", "p9"), "altered")]


def test_two_seals_taken_at_once_are_a_fork() -> None:
    memory, other = stored(), stored()
    key = seal.keep(other, made("p3", 120), "before")
    seal.keep(memory, made("p4", 120.5), "before")
    memory.objects[key] = other.objects[key]
    assert [fault for _, fault in found(memory)] == ["forked"]


def test_seals_of_an_instance_that_had_the_name_before_are_not_those_of_this_one() -> None:
    memory = Memory()
    for minutes, resource in ((0, "db-OLD"), (10, "db-NEW"), (40, "db-OLD"), (50, "db-NEW")):
        one = made(f"p{minutes}", minutes).model_copy(update={"resource": resource})
        seal.keep(memory, one, "before")
    moment = point("pitr", PointKind.PITR, 30)
    assert taken(seal.around(memory, "shop", moment.model_copy(update={"resource": "db-NEW"}))) == [10, 50]
    assert taken(seal.around(memory, "shop", moment.model_copy(update={"resource": "db-OLD"}))) == [0, 40]
    assert taken(seal.around(memory, "shop", moment)) == [10, 40]


def test_a_seal_that_cannot_be_read_is_as_good_as_none() -> None:
    memory = stored()
    memory.objects[KEYS[1]] = b"{}"
    assert taken(seal.around(memory, "shop", point("pitr", PointKind.PITR, 30))) == [0, 60]


def estimated(rows: int) -> Seal:
    return made("p1", 0).model_copy(update={"estimates": {"shop": {"public.orders": rows}}})


@pytest.mark.parametrize(
    ("before", "after", "rows", "told"),
    [
        (4000, 5000, 1999, [("shop", "public.orders", 1999, 4000)]),
        (4000, 5000, 2000, []),
        (4000, 100, 0, []),
        (999, 999, 0, []),
    ],
    ids=["under half", "half", "emptied meanwhile", "small"],
)
def test_a_table_far_smaller_than_production_estimated_is_told(
    before: int, after: int, rows: int, told: list[tuple[str, str, int, int]]
) -> None:
    restored = {"shop": {"public.orders": rows, "public.new": 0}}
    assert seal.fewer(estimated(before), estimated(after), restored) == told
    assert seal.fewer(None, estimated(after), restored) == []
