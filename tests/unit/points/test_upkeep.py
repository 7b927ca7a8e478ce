"""What is told of deletions is what was done."""

from datetime import timedelta

import pytest

from pgdrill.errors import Unavailable
from pgdrill.points import exchange, upkeep
from tests.unit.memory import Memory
from tests.unit.points.regions import Region
from tests.unit.snapshots import EPOCH, copied, snapshot

NOW = EPOCH + timedelta(days=1)
SLOTS = [copied(snapshot(EPOCH + timedelta(hours=hours)), EPOCH) for hours in (0, 6, 12)]
REFUSED = Unavailable("not now", hint="ask again")


@pytest.fixture
def full() -> Region:
    """A region whose quota leaves no room: one point of the day must go, and one may."""
    return Region(now=NOW, offered={}, there={one.id: one for one in SLOTS}, limit=3)


def forced(kept: upkeep.Kept) -> list[float]:
    return [metric.value for metric in kept.reply.metrics if metric.name == "PointsDeletedForRoom"]


def test_points_that_made_room_are_counted_and_told(full: Region) -> None:
    kept = upkeep.retain(full.cell(Memory()), NOW)
    assert (forced(kept), [one.snapshot.id for one in kept.deleted]) == ([1.0], [SLOTS[1].id])
    topics = [message.topic for message in kept.reply.messages]
    assert topics == ["retention shortened", "points deleted"]
    assert SLOTS[1].id not in full.there


@pytest.mark.parametrize("seconds", [60.0, 0.0])
def test_points_that_rds_did_not_delete_made_no_room(full: Region, seconds: float) -> None:
    full.refusing["delete"] = REFUSED
    kept = upkeep.retain(full.cell(Memory()), NOW, remaining=lambda: seconds)
    assert (forced(kept), kept.deleted, [one.snapshot.id for one in kept.left]) == ([0.0], (), [SLOTS[1].id])
    said = [(message.topic, message.text) for message in kept.reply.messages]
    exhausted = (
        "1 snapshots too many stay in ap-northeast-1: its quota is 3 manual snapshots, 3 are there, and no more"
        " could be deleted; the next one will be refused"
    )
    assert said == [("quota exhausted", exhausted)] + ([("point not deleted", "not now")] if seconds else [])
    assert kept.reply.events == ()


def test_a_dry_run_tells_what_would_be_done(full: Region) -> None:
    kept = upkeep.retain(full.cell(Memory()), NOW, dry_run=True)
    assert forced(kept) == [1.0]
    assert [message.topic for message in kept.reply.messages] == ["retention shortened"]
    assert full.calls["delete"] == 0


def test_what_was_gathered_already_is_not_asked_for_again(full: Region) -> None:
    cell = full.cell(Memory())
    upkeep.retain(cell, NOW, own=exchange.gather(cell, NOW))
    assert (full.calls["ours"], full.calls["quota"]) == (1, 1)
