"""Which points are exported, and under which names."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill import slots
from pgdrill.aws.export_tasks import ExportTask
from pgdrill.aws.snapshots import Mark, Snapshot
from pgdrill.cell import Cell
from pgdrill.errors import PlanError
from pgdrill.exporting import exports
from pgdrill.points import choice
from tests.unit.plans import SMALL, plan

PLAN = plan()
SHOP = PLAN.databases[0]
NOON = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
ARN = "arn:aws:rds:ap-southeast-1:000000000000:snapshot:"


def snapshot(slot: datetime, **changes: object) -> Snapshot:
    name = slots.point_id(PLAN.point_prefix(SHOP), slot)
    mark = Mark(suffix="lab", database="shop", resource="db-1", slot=slots.name(slot))
    made = Snapshot(
        id=name,
        arn=f"{ARN}{name}",
        region="ap-southeast-1",
        source="shop-production",
        resource="db-1",
        status="available",
        recovers_to=slot,
        engine_version="15.18",
        storage_gb=20,
        encrypted=True,
        tags=mark.tags(),
    )
    return made.model_copy(update=changes)


def at(*hours: int, day: int = 22) -> list[Snapshot]:
    return [snapshot(datetime(2026, 11, day, hour, tzinfo=UTC)) for hour in hours]


def task(of: Snapshot, status: str) -> ExportTask:
    return ExportTask(id="e", source=of.arn, status=status, bucket="archive")


def due(
    held: list[Snapshot], tasks: list[ExportTask] | None = None, schedule: str = "daily", now: datetime = NOON
) -> list[str]:
    wanted = plan(exports={"schedule": schedule})
    return [
        one.id.removeprefix("pgdrill-lab-shop-") for one in exports.due(wanted, SHOP, held, tasks or [], now)
    ]


def test_the_first_point_of_each_day_is_exported() -> None:
    assert due(at(1, 7, 13, 19, day=21) + at(1, 7)) == ["2026-11-21t01z", "2026-11-22t01z"]


def test_a_day_whose_first_slot_failed_is_exported_by_its_second() -> None:
    failed = snapshot(datetime(2026, 11, 22, 1, tzinfo=UTC), status="failed")
    assert due([failed, *at(7)]) == ["2026-11-22t07z"]


def test_a_day_that_was_exported_is_not_exported_again_by_its_later_points() -> None:
    before = at(1, 7, 13, 19, day=20)
    assert due(before, [task(before[0], "COMPLETE")]) == []
    assert due(before[1:], [task(before[0], "COMPLETE")]) == []
    assert due(at(7), [task(at(1)[0], "IN_PROGRESS")]) == []
    assert due(at(7), [task(at(1)[0], "FAILED")]) == ["2026-11-22t07z"]


def test_every_slot_is_exported_where_the_plan_says_so_and_none_where_it_says_off() -> None:
    assert due(at(1, 7), schedule="slot") == ["2026-11-22t01z", "2026-11-22t07z"]
    assert due(at(1, 7), schedule="off") == []


def test_what_is_older_than_two_days_is_not_made_up_for() -> None:
    assert due(at(7, 13, day=20)) == []
    assert due(at(13, day=20)) == ["2026-11-20t13z"]
    assert due(at(7, 13, day=20), schedule="slot") == ["2026-11-20t13z"]


@pytest.mark.parametrize(
    "other",
    [
        {"copied_from": "arn:of:another"},
        {"tags": {}},
        {"manual": False},
        {"status": "creating"},
    ],
)
def test_only_our_own_usable_points_are_exported(other: dict[str, object]) -> None:
    assert due([snapshot(datetime(2026, 11, 22, 1, tzinfo=UTC), **other)]) == []


@pytest.mark.parametrize("mark", [{"suffix": "other"}, {"database": "other"}, {"slot": None}])
def test_a_point_of_another_suffix_or_database_or_out_of_turn_is_not_due(mark: dict[str, str | None]) -> None:
    one = at(1)[0]
    assert one.mark is not None
    tags = one.mark.model_copy(update=mark).tags()
    renamed = "pgdrill-" + "-".join(str(tags[key]) for key in ("PgDrillSuffix", "PgDrillDatabase")) + "-x"
    assert due([one.model_copy(update={"tags": tags, "id": renamed})]) == []


@pytest.mark.parametrize("status", ["STARTING", "IN_PROGRESS", "CANCELING", "COMPLETE", "UNHEARD_OF"])
def test_a_point_is_exported_once(status: str) -> None:
    one = at(1)[0]
    assert due([one], [task(one, status)]) == []


def test_an_export_that_failed_is_tried_three_times() -> None:
    one = at(1)[0]
    assert due([one], [task(one, "FAILED")] * 2) == ["2026-11-22t01z"]
    assert due([one], [task(one, "FAILED")] * 3) == []


def test_the_name_of_a_point_is_the_name_of_its_export() -> None:
    assert exports.identifier("pgdrill-lab-shop-2026-11-22t01z") == "pgdrill-lab-shop-2026-11-22t01z"


def test_a_second_attempt_has_a_name_of_its_own() -> None:
    names = {exports.identifier("pgdrill-lab-shop-2026-11-22t01z", attempt) for attempt in (1, 2, 3)}
    assert len(names) == 3


NAMES = st.one_of(
    st.from_regex(r"\A[a-z][a-z0-9:-]{0,80}\Z"),
    st.builds("pgdrill-{}".format, st.text("abz019-", min_size=1, max_size=80)),
)


@given(NAMES, st.integers(1, 3))
def test_every_name_is_one_that_rds_takes(point: str, attempt: int) -> None:
    name = exports.identifier(point, attempt)
    assert len(name) <= 60
    assert re.fullmatch(r"[a-z](-?[a-z0-9])*", name)


@given(NAMES, NAMES, st.integers(1, 3), st.integers(1, 3))
def test_no_two_exports_share_a_name(one: str, other: str, first: int, second: int) -> None:
    same = (one, first) == (other, second)
    assert (exports.identifier(one, first) == exports.identifier(other, second)) is same


def test_long_names_that_begin_alike_stay_apart() -> None:
    long = "pgdrill-production-sg-payments-settlement-2026-11-22t0130z" + "-and-more"
    assert exports.identifier(long + "1") != exports.identifier(long + "2")
    assert exports.identifier(long + "1").startswith("pgdrill-production-sg-payments-settlement-2026")


def test_an_export_belongs_to_the_database_with_the_longest_matching_name() -> None:
    databases = [
        {"name": name, "instance": f"{name}-production", "secret": name} for name in ("shop", "shop-eu")
    ]
    both = plan(database=databases)
    shop, eu = both.databases

    def belongs(snapshot: str) -> list[bool]:
        return [exports._belongs(both, one, snapshot) for one in (shop, eu)]

    assert belongs("pgdrill-lab-shop-2026-11-22t01z") == [True, False]
    assert belongs("pgdrill-lab-shop-eu-2026-11-22t01z") == [False, True]
    assert belongs("rds:shop-eu-production-2026-11-22-18-00") == [False, True]
    assert belongs("somebody-elses") == [False, False]
    assert SMALL["database"][0]["name"] == "shop"


def test_a_slot_ahead_is_not_due() -> None:
    assert due(at(13)) == []
    assert due(at(13), now=NOON + timedelta(hours=1)) == ["2026-11-22t13z"]


def test_nobody_is_asked_where_the_plan_wants_no_exports_and_has_no_archive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr(choice, "held", lambda *_: [])
    off, daily = Cell.open(plan(exports={"schedule": "off"})), Cell.open(PLAN)
    assert exports.tend(off, SHOP, NOON) == exports.Tended()
    with pytest.raises(PlanError) as refused:
        exports.tend(daily, SHOP, NOON)
    assert refused.value.message == "the plan names no archive bucket in ap-southeast-1"
