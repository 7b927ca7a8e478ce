"""What purge does with what it found, whatever refuses."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from pgdrill.aws import store
from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Snapshot
from pgdrill.drills import purge
from pgdrill.drills.purge import Doomed, Kind, Thing
from pgdrill.errors import NotOurs, Unavailable
from pgdrill.model import Clock, Lease
from tests.unit.instances import instance
from tests.unit.plans import SMALL, plan

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def test_every_kind_of_record_that_the_store_holds_is_within_reach() -> None:
    named = set(re.findall(r"^ +(\w+)/<database>/", store.__doc__ or "", re.MULTILINE))
    assert set(purge.RECORDS) == named
    assert "evidence" in named


class Rds:
    """Lists instances, none of them leased."""

    def named(self, prefix: str) -> list[Instance]:
        names = ("pgdrill-lab-production-shop", "pgdrill-lab-production-other")
        return [instance(id=name) for name in names if name.startswith(prefix)]

    def leased(self, _: str) -> list[tuple[Instance, Lease]]:
        return []


class Snapshots:
    def ours(self, _: str) -> list[Snapshot]:
        return []

    def named(self, _: str) -> list[Snapshot]:
        return []


def test_production_that_was_deployed_is_named_as_such_and_left_alone() -> None:
    database = SMALL["database"][0] | {"instance": "pgdrill-lab-production-shop", "origin": "created"}
    deployed = plan(database=[database])
    cell: Any = SimpleNamespace(plan=deployed, place=deployed.primary, rds=Rds(), snapshots=Snapshots())
    assert [(thing.id, thing.kind) for thing in purge.kept(cell)] == [
        ("pgdrill-lab-production-shop", Kind.PRODUCTION),
        ("pgdrill-lab-production-other", Kind.UNKNOWN),
    ]


class Time:
    """A clock that goes on by what is waited for."""

    def __init__(self) -> None:
        self.now = NOW

    def tick(self, wait: float) -> Clock:
        self.now += timedelta(seconds=wait)
        return Clock(now=self.now, remaining=lambda: 60.0, budget=60.0)


def doomed(identifier: str, gone: Callable[[], bool]) -> Doomed:
    thing = Thing(region="ap-southeast-1", kind=Kind.SNAPSHOT, id=identifier, why="point of shop")
    return Doomed(thing, gone)


def purged(*things: Doomed) -> list[str]:
    told: list[str] = []
    purge.purge(things, Time().tick, told.append)
    return told


def test_each_thing_is_asked_for_until_it_is_gone() -> None:
    answers = iter([False, False, True])
    assert purged(doomed("a", lambda: next(answers))) == ["ap-southeast-1: deleting snapshot 'a'"]
    assert list(answers) == []


def test_what_is_not_ours_any_more_is_told_and_the_next_one_deleted() -> None:
    deleted: list[str] = []

    def changed() -> bool:
        raise NotOurs("snapshot 'a' is not the one", hint="see its tags")

    def gone() -> bool:
        deleted.append("b")
        return True

    assert purged(doomed("a", changed), doomed("b", gone)) == [
        "ap-southeast-1: deleting snapshot 'a'",
        "snapshot 'a' is not the one. see its tags",
        "ap-southeast-1: deleting snapshot 'b'",
    ]
    assert deleted == ["b"]


def test_what_is_busy_for_an_hour_is_given_up() -> None:
    def busy() -> bool:
        raise Unavailable("being copied", hint="later")

    told = purged(doomed("a", busy))
    assert told[1].startswith("being copied")
    assert told[-1] == (
        "snapshot 'a' is not gone after an hour of asking."
        " see its status in RDS; the next reap or purge asks again"
    )
