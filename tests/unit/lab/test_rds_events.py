"""Events are told to a state without any PostgreSQL behind it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pgdrill.lab.clock import LabClock
from pgdrill.lab.faults import Faults
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.rds import events
from pgdrill.lab.rds.neighbours import Nobody
from pgdrill.lab.rds.records import Configuration, Instance
from pgdrill.lab.rds.state import LabSettings, State
from pgdrill.lab.rds.wire import RdsError
from pgdrill.lab.tls import Authority

REGION = "ap-southeast-1"
Heard = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def heard() -> Heard:
    return []


@pytest.fixture
def make_state(tmp_path: Path, heard: Heard) -> Callable[[], State]:
    return lambda: State(
        tmp_path,
        Binaries(tmp_path, 15, "15.0"),
        Authority(tmp_path / "tls"),
        Faults(),
        account="000000000000",
        publish=lambda region, entry: heard.append((region, entry)),
        vpc_of=lambda _region, _subnet: None,
        neighbours=Nobody(),
        settings=LabSettings(),
        clock=LabClock(),
    )


@pytest.fixture
def state(make_state: Callable[[], State]) -> State:
    return make_state()


def published(state: State, heard: Heard) -> list[str]:
    """Publish all that was told, to its end, and return the events' ids as they were heard."""
    state.outbox.put(None)
    events.publish_for_ever(state)
    return [json.loads(entry["Detail"])["EventID"].removeprefix("RDS-EVENT-") for _, entry in heard]


def tell(state: State, *numbers: str) -> None:
    for number in numbers:
        events.tell(state, instance(), number)


def instance(identifier: str = "shop") -> Instance:
    return Instance(
        region=REGION,
        identifier=identifier,
        resource_id="db-A",
        status="available",
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        configuration=Configuration(
            DBInstanceClass="db.t3.micro",
            EngineVersion="15.0",
            MasterUsername="master",
            AllocatedStorage=20,
            AvailabilityZone="ap-southeast-1a",
            DBParameterGroupName="default.postgres15",
            OptionGroupName="default:postgres-15",
            VpcSecurityGroupIds=("sg-1",),
        ),
    )


def test_an_event_is_published_as_rds_writes_it(state: State, heard: Heard) -> None:
    events.tell(state, instance(), "0019", source="shop", target="copy")
    published(state, heard)
    [(region, entry)] = heard
    detail = json.loads(entry["Detail"])
    assert region == REGION
    assert (entry["Source"], entry["DetailType"]) == ("aws.rds", "RDS DB Instance Event")
    assert entry["Resources"] == ["arn:aws:rds:ap-southeast-1:000000000000:db:shop"]
    assert datetime.fromisoformat(detail.pop("Date")).timestamp() // 1 == entry["Time"]
    assert detail == {
        "EventCategories": ["restoration"],
        "SourceType": "DB_INSTANCE",
        "SourceArn": "arn:aws:rds:ap-southeast-1:000000000000:db:shop",
        "Message": "Restored from DB instance shop to copy.",
        "SourceIdentifier": "shop",
        "EventID": "RDS-EVENT-0019",
    }


def test_events_come_once_and_in_order(state: State, heard: Heard) -> None:
    tell(state, "0005", "0001", "0002")
    assert published(state, heard) == ["0005", "0001", "0002"]


@pytest.mark.parametrize(("copies", "ids"), [(0, []), (2, ["0005", "0005", "0003", "0003"])])
def test_events_are_lost_or_doubled_when_the_faults_say_so(
    state: State, heard: Heard, copies: int, ids: list[str]
) -> None:
    state.faults.set({"events": {"copies": copies}})
    tell(state, "0005", "0003")
    assert published(state, heard) == ids


def test_events_come_late_when_the_faults_say_so(state: State, heard: Heard) -> None:
    state.faults.set({"events": {"late": 0.2}})
    told = time.monotonic()
    tell(state, "0005")
    assert published(state, heard) == ["0005"]
    assert time.monotonic() - told >= 0.2


def test_events_come_out_of_order_when_the_faults_say_so(state: State, heard: Heard) -> None:
    state.faults.set({"events": {"shuffled": 0.01}})
    tell(state, "0005", "0001", "0002")
    assert published(state, heard) == ["0002", "0001", "0005"]


def test_one_event_that_cannot_be_published_does_not_stop_the_next(state: State, heard: Heard) -> None:
    refusals = [ConnectionError("the bus is away")]

    def publish(region: str, entry: dict[str, Any]) -> None:
        if refusals:
            raise refusals.pop()
        heard.append((region, entry))

    state.publish = publish
    tell(state, "0005", "0003")
    assert published(state, heard) == ["0003"]


def test_events_are_described_by_source_category_and_time(state: State) -> None:
    events.tell(state, instance(), "0005")
    events.tell(state, instance("other"), "0003")

    def described(**request: Any) -> list[str]:
        return [event["Message"] for event in events.describe(state, REGION, request)["Events"]]

    assert described() == ["DB instance created", "DB instance deleted"]
    assert described(EventCategories=["deletion"]) == ["DB instance deleted"]
    assert described(SourceIdentifier="shop", SourceType="db-instance") == ["DB instance created"]
    assert described(SourceType="db-snapshot") == []
    assert described(EndTime=datetime(2026, 1, 1, tzinfo=UTC)) == []
    assert events.describe(state, "ap-northeast-1", {})["Events"] == []


def test_a_source_needs_its_type(state: State) -> None:
    with pytest.raises(RdsError) as refused:
        events.describe(state, REGION, {"SourceIdentifier": "shop"})
    assert str(refused.value) == (
        "InvalidParameterCombination: Cannot specify source identifier without source type"
    )


def test_events_outlive_a_lab_that_was_killed_while_it_wrote_one(
    make_state: Callable[[], State], tmp_path: Path
) -> None:
    before = make_state()
    events.tell(before, instance(), "0005")
    with (tmp_path / "events.jsonl").open("a") as lines:
        lines.write('{"region": "ap-south')
    after = make_state()
    events.load(after)
    assert after.events == before.events
