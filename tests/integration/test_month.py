"""Days of the deployed system in minutes, a month with `make month`: nothing is lost, doubled or leaked.

The lab's clock is moved from one occasion to the next, and what is due then is fired through its schedule: points and
seals between them, tellings and copies, exports, retention, and drills in both regions. Rounds that are repeated
every few minutes are made once a day, or when there is something to do.

`make test` lets as many days pass as a weekly drill needs, with retention and quota of as many: what is kept for a
month costs a month. The days begin such that the monthly drill of the other region is among them.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from pgdrill.cli import evidence as cli
from pgdrill.database import Address
from pgdrill.lab import calls, production, shop
from pgdrill.lab.deploy import deploy
from pgdrill.lab.deploy.deployment import OUTPUTS, PLAN
from pgdrill.lab.lab import Lab
from pgdrill.plan import Plan
from tests.integration import labs, reached
from tests.integration.deployed import Cell, Deployment, until

pytestmark = pytest.mark.timeout(1800)

DAYS = int(os.environ.get("PGDRILL_DAYS", "8"))
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
EVERY, OFFSET, KEPT = 6 * HOUR, HOUR, (DAYS - 1) * DAY
# What is kept, those of the day that is let go next, and nothing to spare.
QUOTA = (KEPT + DAY) // EVERY


class Occasion(NamedTuple):
    at: datetime
    region: str
    schedule: str


class Month(NamedTuple):
    """What was seen while it passed. `first` is its first slot."""

    lab: Lab
    deployment: Deployment
    first: datetime
    ended_at: datetime
    failed: list[Any]
    most: dict[str, int]
    drills: list[Occasion]

    @property
    def slots(self) -> list[datetime]:
        return [self.first + n * EVERY for n in range(DAYS * DAY // EVERY)]


@pytest.fixture(scope="module")
def month() -> Iterator[Month]:
    settings = deploy.settings()
    settings["points"] = settings["copies"] = {"keep": f"{KEPT.days}d"}
    settings["database"][0]["ledger"] = "off"  # PostgreSQL's own clock cannot be moved
    with labs.deployed(settings, load=little, waits=0.01, manual_snapshots=QUOTA) as lab:
        deployment = Deployment(json.loads((lab.directory / OUTPUTS).read_bytes()))
        yield passed(lab, deployment)


def little(address: Address, _: int) -> None:
    """Make one table: what a seal, an export and a drill cost grows with what there is, and they are many."""
    with shop.connect(address, "postgres") as session:
        session.execute("CREATE TABLE placed (number int PRIMARY KEY)")


def passed(lab: Lab, deployment: Deployment) -> Month:
    """Let the month pass, occasion by occasion."""
    primary, dr = deployment.cells
    first = begin(dr)
    drills = [one for cell in deployment.cells for one in drilled(cell, first, first + DAYS * DAY)]
    every = sorted([*drills, *daily(primary, dr, first), *points(primary, first)])
    address = production.deployed(lab, Plan.load(lab.directory / PLAN).databases[0])
    ahead = timedelta()
    failed: list[Any] = []
    most: Counter[str] = Counter()
    with shop.connect(address, "postgres") as session:
        for number, (at, due) in enumerate(groupby(every, key=lambda occasion: occasion.at)):
            # Where the last ones took longer than there is until these, these are late.
            ahead = max(ahead, at - datetime.now(UTC) + SECOND)
            now = lab.door.move_clock(ahead)
            session.execute("INSERT INTO placed VALUES (%s)", (number,))
            for occasion in due:
                fired = lab.door.fire(occasion.schedule, at, region=occasion.region)
                assert fired["undelivered"] == "", occasion
            failed += [(at, one) for one in lab.door.settle()]
            if "retain" in occasion.schedule:
                for cell in deployment.cells:
                    most[cell.region] = max(most[cell.region], len(manual(cell)))
    until(lambda: {task["Status"] for task in exported(primary)} <= {"COMPLETE", "FAILED", "CANCELED"})
    return Month(lab, deployment, first, now, failed, dict(most), drills)


def begin(dr: Cell) -> datetime:
    """Return the first slot of days that hold a drill of the other region."""
    soon = next_slot(datetime.now(UTC))
    slots = [soon + n * DAY for n in range(31)]
    return next(slot for slot in slots if any(drilled(dr, slot, slot + DAYS * DAY)))


def next_slot(now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return next(slot for n in range(9) if (slot := midnight + OFFSET + n * EVERY) > now)


def points(primary: Cell, first: datetime) -> Iterator[Occasion]:
    """Every point, and the seal half-way to the next."""
    for n in range(DAYS * DAY // EVERY):
        slot = first + n * EVERY
        yield Occasion(slot, primary.region, named(primary, "take-shop"))
        yield Occasion(slot + EVERY / 2, primary.region, named(primary, "seal-shop"))


def daily(primary: Cell, dr: Cell, first: datetime) -> Iterator[Occasion]:
    """With each day's last point what each cell knows of the other, and what it lets go after; and exports' rounds."""
    for n in range(1, DAYS + 1):
        at = first + n * DAY - EVERY
        for minute, thing in (0, "watch"), (5, "retain"):
            for cell in (primary, dr):
                yield Occasion(at + minute * MINUTE, cell.region, named(cell, thing))
        for nth in range(3):
            yield Occasion(at + nth * 5 * MINUTE, primary.region, named(primary, "export"))


def named(cell: Cell, thing: str) -> str:
    return f"pgdrill-{cell.suffix}-{thing}"


def drilled(cell: Cell, first: datetime, last: datetime) -> Iterator[Occasion]:
    """The occasions that the deployed schedule of drills has, after a first point: weekly here, monthly there."""
    name = named(cell, "drill-shop")
    schedule = cell.client("scheduler").get_schedule(Name=name, GroupName=cell["ScheduleGroup"])
    found = re.fullmatch(r"cron\((\d+) (\d+) (\S+) \* (\S+) \*\)", schedule["ScheduleExpression"])
    assert found is not None, schedule["ScheduleExpression"]
    minute, hour, day, weekday = found.groups()
    for n in range(DAYS + 1):
        at = first.replace(hour=int(hour), minute=int(minute)) + n * DAY
        due = f"{at:%a}".upper() == weekday or str(at.day) == day
        if due and first + DAY < at < last:
            yield Occasion(at, cell.region, name)


def manual(cell: Cell) -> list[Any]:
    return list(cell.pages("rds", "describe_db_snapshots", "DBSnapshots", SnapshotType="manual"))


def exported(primary: Cell) -> list[Any]:
    return list(primary.pages("rds", "describe_export_tasks", "ExportTasks"))


def test_every_step_of_it_succeeded(month: Month) -> None:
    assert month.failed == []


@pytest.mark.parametrize("where", ["primary", "dr"])
def test_every_slot_has_one_point_in_both_regions_for_as_long_as_the_plan_keeps_it(
    month: Month, where: str
) -> None:
    retained_at = month.first + DAYS * DAY - EVERY + 5 * MINUTE
    kept = [slot for slot in month.slots if retained_at - slot < KEPT]
    found = manual(month.deployment.cell(where))
    assert Counter(one["DBSnapshotIdentifier"] for one in found) == Counter(
        f"pgdrill-main-shop-{slot:%Y-%m-%dt%H}z" for slot in kept
    )
    assert {one["Status"] for one in found} == {"available"}


def test_the_quota_is_never_exceeded_and_never_far_from_used(month: Month) -> None:
    assert set(month.most) == {cell.region for cell in month.deployment.cells}
    assert all((KEPT - 2 * DAY) // EVERY < most <= QUOTA for most in month.most.values()), month.most


def test_every_day_was_exported_once(month: Month) -> None:
    primary = month.deployment.cell("primary")
    tasks = exported(primary)
    assert {task["Status"] for task in tasks} == {"COMPLETE"}
    days = Counter(task["SnapshotTime"].astimezone(UTC).date() for task in tasks)
    expected = {(month.first + n * DAY).date() for n in range(DAYS)}
    assert set(days.values()) == {1}
    assert len(expected - set(days)) <= 1, (expected, days)
    bucket = primary["ArchiveBucket"]
    written = primary.pages("s3", "list_objects_v2", "Contents", Bucket=bucket)
    told = [one["Key"] for one in written if "export_info_" in one["Key"]]
    assert len(told) == len(tasks)


def test_drills_passed_weekly_here_and_monthly_there(month: Month) -> None:
    regions = Counter(one.region for one in month.drills)
    primary, dr = month.deployment.cells
    weeks = (DAYS - 1) // 7
    assert regions[primary.region] in {weeks, weeks + 1}
    assert regions[dr.region] in {1, 2}
    for cell in (primary, dr):
        records = [json.loads(body) for body in evidence(cell)]
        assert [
            (one["verdict"], one["verdict_reason"]) for one in records if one["verdict"] != "passed"
        ] == []
        assert len(records) == regions[cell.region]


def evidence(cell: Cell) -> Iterator[bytes]:
    bucket, prefix = cell["EvidenceBucket"], f"evidence/shop/{cell.region}/"
    for one in cell.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
        if one["Key"].endswith("/evidence.json"):
            yield cell.client("s3").get_object(Bucket=bucket, Key=one["Key"])["Body"].read()


@pytest.mark.parametrize("where", ["primary", "dr"])
def test_the_chain_of_evidence_holds(month: Month, where: str) -> None:
    plan = str(month.lab.directory / PLAN)
    ran = CliRunner().invoke(cli.app, ["verify", "--plan", plan, "--cell", where, "--json"])
    regions = {cell.region for cell in month.deployment.cells}
    told = json.loads(ran.stdout)
    assert (told["breaks"], told["without_evidence"], told["notes"]) == ({"shop": []}, [], []), ran.output
    assert told["signatures_checked"] == dict.fromkeys(regions, True)
    assert set(told["buckets_compared"]) == regions


def test_nothing_is_left_but_production(month: Month) -> None:
    primary, dr = month.deployment.cells
    found = [
        one["DBInstanceIdentifier"] for one in primary.pages("rds", "describe_db_instances", "DBInstances")
    ]
    assert found == primary.each("DatabaseInstances")
    assert list(dr.pages("rds", "describe_db_instances", "DBInstances")) == []
    for cell in (primary, dr):
        letters = cell["DeadLetterQueueArn"].rpartition(":")[2]
        url = cell.client("sqs").get_queue_url(QueueName=letters)["QueueUrl"]
        assert cell.client("sqs").receive_message(QueueUrl=url).get("Messages", []) == []


def test_every_call_of_the_month_was_allowed_and_went_through_its_network(month: Month) -> None:
    did = list(calls.read(month.lab.directory))
    assert {(call.role, call.action, call.resource) for call in did if not call.allowed} == set()
    assert len(did) > DAYS * 500
    distinct = {(call.role, call.action, call.resource): call for call in did}.values()
    for cell in month.deployment.cells:
        assert reached.unreached(cell, distinct) == set()
