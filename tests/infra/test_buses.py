"""Between the cells: what one tells reaches the other, starts what it must, and goes round nowhere."""

import json
from typing import Any

import pytest

from buses import TOLD
from naming import Names
from pgdrill.points import exchange
from queues import policy as queue_policy
from tests.infra.program import ACCOUNT, REGIONS, Run
from tests.infra.roles import AWAY, HOME

RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
CELLS = {"primary": (HOME, AWAY), "dr": (AWAY, HOME)}


def _taken(run: Run, cell: str, region: str, **changed: str) -> set[str]:
    """Return the rules of a cell's bus that take a telling of a region."""
    event: dict[str, Any] = {"Source": "pgdrill.test", "DetailType": TOLD, "Detail": "{}"} | changed
    event |= {"Region": region, "Account": ACCOUNT}
    return {
        one.name
        for one in run.of(RULE, CELLS[cell][0])
        if _matches(json.loads(one.inputs["eventPattern"]), event)
    }


def _matches(pattern: dict[str, list[str]], event: dict[str, Any]) -> bool:
    names = {"source": "Source", "detail-type": "DetailType", "region": "Region"}
    return all(event[names[key]] in values for key, values in pattern.items())


def test_the_rules_wait_for_what_the_code_tells() -> None:
    assert TOLD == exchange.TOLD


@pytest.mark.parametrize("cell", CELLS)
def test_an_own_telling_is_carried_over_and_a_foreign_one_is_acted_on(whole: Run, cell: str) -> None:
    here, there = CELLS[cell]
    assert _taken(whole, cell, here) == {f"{cell}-forward"}
    assert _taken(whole, cell, there) == {f"{cell}-heard"}
    assert _taken(whole, cell, here, DetailType="PointTaken") == set()
    assert _taken(whole, cell, here, Source="pgdrill.another") == set()


@pytest.mark.parametrize("cell", CELLS)
def test_an_event_reaches_its_targets_as_a_role_and_what_does_not_is_set_aside(whole: Run, cell: str) -> None:
    here, there = CELLS[cell]
    queue = whole.one("aws:sqs/queue:Queue", f"{cell}-dead-letters").outputs["arn"]
    targets = {
        one.inputs["targetId"]: one.inputs for one in whole.of(TARGET, here) if "eventBusName" in one.inputs
    }
    machine = f"arn:aws:states:{here}:{ACCOUNT}:stateMachine:pgdrill-test-"
    expected = {
        "forward": (f"arn:aws:events:{there}:{ACCOUNT}:event-bus/pgdrill-test", "forwarder"),
        "hear": (f"{machine}hear", "starter"),
    } | ({"copy": (f"{machine}copy", "starter")} if cell == "dr" else {})
    assert {name: one["arn"] for name, one in targets.items()} == {
        name: arn for name, (arn, _) in expected.items()
    }
    for name, (_, role) in expected.items():
        assert targets[name]["roleArn"] == f"arn:aws:iam::{ACCOUNT}:role/pgdrill-test-{role}-{here}"
        assert targets[name]["deadLetterConfig"] == {"arn": queue}
        assert targets[name]["retryPolicy"]["maximumEventAgeInSeconds"] == 3600


@pytest.mark.parametrize("cell", CELLS)
def test_bus_and_queue_are_under_the_cells_keys(whole: Run, cell: str) -> None:
    storage, messages = (
        whole.one("aws:kms/key:Key", f"{cell}-{key}").outputs["arn"] for key in ("storage", "messages")
    )
    assert whole.one("aws:cloudwatch/eventBus:EventBus", cell).inputs["kmsKeyIdentifier"] == storage
    queue = whole.one("aws:sqs/queue:Queue", f"{cell}-dead-letters").inputs
    assert (queue["kmsMasterKeyId"], queue["messageRetentionSeconds"]) == (messages, 1_209_600)


@pytest.mark.parametrize("region", REGIONS)
def test_a_queue_takes_undelivered_events_of_this_deployments_rules_alone(region: str) -> None:
    names = Names("test", region, ACCOUNT)
    rules, tls = queue_policy(names)["Statement"]
    assert rules["Condition"]["ArnLike"] == {
        "aws:SourceArn": [
            f"arn:aws:events:{region}:{ACCOUNT}:rule/pgdrill-test/*",
            f"arn:aws:events:{region}:{ACCOUNT}:rule/pgdrill-test-*",
        ]
    }
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
