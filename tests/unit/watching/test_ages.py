"""Ages count from the later of the first look and the last good thing, to the second."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from pgdrill.aws.snapshots import Mark
from pgdrill.model import Verdict
from pgdrill.watching.ages import measure
from pgdrill.watching.sighting import Archived, Ended, Running, Sighting, Watched
from tests.unit.instances import instance
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME, copied, snapshot
from tests.unit.watching.world import DAY, FIRST, HOUR, MINUTE, PLAN, look, own

NOON = FIRST + 10 * DAY + 12 * HOUR
SLOT = NOON - 5 * HOUR


def seen(region: str = HOME, now: datetime = NOON, **changes: object) -> Sighting:
    """Return a look at a cell that has been watched for a while and holds nothing, unless told otherwise."""
    one = Watched(database="shop", since=FIRST).model_copy(update=changes)
    nothing = own(region, now).model_copy(update={"snapshots": (), "ledger": {}})
    return Sighting(now=now, since=FIRST, own=nothing, databases=(one,))


def holding(sighting: Sighting, *points: object) -> Sighting:
    return sighting.model_copy(update={"own": sighting.own.model_copy(update={"snapshots": points})})


def values(sighting: Sighting) -> dict[str, float]:
    return {metric.name: metric.value for metric in measure(sighting, PLAN)}


def test_the_age_of_a_point_is_that_of_its_slot() -> None:
    found = holding(seen(), snapshot(SLOT - 6 * HOUR), snapshot(SLOT, recovers_to=SLOT + 4 * MINUTE))
    assert values(found)["SnapshotAge"] == 5 * 3600


def test_a_point_out_of_turn_counts_from_its_moment() -> None:
    mark = Mark(suffix="lab", database="shop", resource="db-1")
    found = holding(seen(), snapshot(SLOT), snapshot(NOON, recovers_to=NOON - MINUTE, tags=mark.tags()))
    assert values(found)["SnapshotAge"] == 60


@pytest.mark.parametrize(
    "changes", [{"status": "creating", "recovers_to": None}, {"status": "failed"}, {"tags": {}}]
)
def test_a_point_that_cannot_be_used_makes_nothing_younger(changes: dict[str, Any]) -> None:
    found = holding(seen(), snapshot(SLOT - 6 * HOUR), snapshot(SLOT, **changes))
    assert values(found)["SnapshotAge"] == 11 * 3600


def test_another_databases_point_makes_nothing_younger() -> None:
    found = holding(seen(), snapshot(SLOT - 6 * HOUR), snapshot(SLOT, database="other"))
    assert values(found)["SnapshotAge"] == 11 * 3600


def test_before_the_first_point_the_age_is_that_of_the_slot_in_which_the_watch_began() -> None:
    """So the first alarm comes when the first point is due, and not a whole rhythm after the deployment."""
    found = seen(since=NOON - timedelta(minutes=7))
    assert values(found)["SnapshotAge"] == 5 * 3600


def test_what_happened_before_the_watch_began_does_not_make_it_older() -> None:
    since = NOON - HOUR
    found = values(
        seen(
            since=since,
            instance=instance(restorable_to=since - DAY),
            passed_at=since - 30 * DAY,
        )
    )
    assert (found["RestorableAge"], found["DrillAge"]) == (3600, 3600)


def test_an_instance_that_is_gone_has_no_backups() -> None:
    found = values(seen())
    assert found["RetentionDays"] == 0
    assert found["RestorableAge"] == (NOON - FIRST).total_seconds()


def test_a_drill_is_told_of_while_it_runs() -> None:
    requested = NOON - HOUR
    running = Running(drill="d", started_at=requested - MINUTE, requested_at=requested)
    found = values(seen(running=running))
    assert (found["DrillRunning"], found["RecoveryRunning"]) == (3660, 3600)
    queried = running.model_copy(update={"queried_at": NOON - MINUTE})
    assert values(seen(running=queried))["RecoveryRunning"] == 0
    over = values(seen())
    assert (over["DrillRunning"], over["RecoveryRunning"]) == (0, 0)


@pytest.mark.parametrize(
    ("verdict", "inconclusive"), [(Verdict.PASSED, 0), (Verdict.FAILED, 0), (Verdict.INCONCLUSIVE, 1)]
)
def test_that_nothing_was_proved_is_told_until_the_next_verdict(verdict: Verdict, inconclusive: int) -> None:
    found = values(seen(ended=Ended(drill="d", verdict=verdict)))
    assert found["LastDrillInconclusive"] == inconclusive
    assert "RecoveryTook" not in found


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_what_failed_is_told_whatever_the_last_verdict_is(failed: int) -> None:
    found = values(seen(ended=Ended(drill="d", verdict=Verdict.PASSED), failed=failed))
    assert found["DrilledPointsFailed"] == failed


def test_an_export_is_as_old_as_the_point_that_it_is_of() -> None:
    found = values(seen(archived=Archived(passed_of=SLOT, missing=3)))
    assert (found["ExportAge"], found["ExportTablesLost"]) == (5 * 3600, 3)


def test_copies_wait_from_when_their_point_was_made() -> None:
    source = snapshot(SLOT)
    heard = own(HOME, NOON - MINUTE).model_copy(update={"snapshots": (source, snapshot(SLOT - 6 * HOUR))})
    here = copied(snapshot(SLOT - 6 * HOUR), SLOT)
    found = values(holding(seen(AWAY), here).model_copy(update={"heard": heard}))
    assert (found["CopyAge"], found["CopiesQueued"]) == (11 * 3600, 1)
    assert found["CopyWaiting"] == 5 * 3600 - 60
    assert "SnapshotAge" not in found
    assert "RetentionDays" not in found


def test_a_cell_that_was_never_heard_is_silent_since_the_first_look() -> None:
    found = values(seen(AWAY, since=NOON).model_copy(update={"since": NOON - HOUR}))
    assert found["OtherCellSilence"] == 3600
    assert "CopiesQueued" not in found


def test_what_a_plan_does_not_have_is_not_measured() -> None:
    database = {"name": "shop", "instance": "shop-production", "secret": "s", "ledger": "off"}
    asked = plan(database=[database], exports={"schedule": "off"})
    names = {metric.name for metric in measure(look(HOME, NOON), asked)}
    assert not {"LedgerAge", "LedgerForks", "ExportAge", "ExportTablesLost"} & names
    assert {"SnapshotAge", "DrillAge", "Watched"} <= names


def test_a_look_at_two_hundred_databases_is_quick() -> None:
    """Each point is read once, however many databases there are."""
    databases = [{"name": f"d{n}", "instance": f"i{n}", "secret": "s"} for n in range(200)]
    points = [snapshot(SLOT - 6 * HOUR * turn, database=f"d{n}") for n in range(200) for turn in range(8)]
    watched = tuple(Watched(database=f"d{n}", since=FIRST) for n in range(200))
    found = holding(seen(), *points).model_copy(update={"databases": watched})
    metrics = measure(found, plan(database=databases))
    ages = {metric.value for metric in metrics if metric.name == "SnapshotAge"}
    assert (len(metrics), ages) == (200 * 11 + 8, {5 * 3600})
