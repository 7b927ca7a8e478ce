"""The machine `watch` asks Scheduler and Secrets Manager, hands on what they say, and publishes all there is, in parts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import ROLE
from tests.lab.labs import MakeLab
from tests.lab.machines import BUS, SECRETS, Machines, raises
from tests.lab.roles import ACCOUNT

DUE = {"due_at": "2026-11-23T19:00:00Z"}
QUIET: dict[str, list[str]] = {"secrets": [], "schedules": [], "unseen": []}
PARTS = ["watch/ap-southeast-1/01.json", "watch/ap-southeast-1/02.json"]
SCHEDULES = ("pgdrill-test-beat", "pgdrill-test-retain", "pgdrill-test-take-shop")


def reply(name: str) -> dict[str, Any]:
    metric = {"name": name, "value": 1.0, "unit": "Count", "dimensions": {}}
    return {"metrics": [metric], "events": [], "messages": []}


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(waits=0))
    return lab


@pytest.fixture(scope="module")
def machines(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    made = Machines(lab, tmp_path_factory.mktemp("machines"))
    lab.client("scheduler").create_schedule_group(Name=BUS)
    for name in SCHEDULES:
        schedule(lab, name, "ENABLED", lab.client("scheduler").create_schedule)
    for name in SECRETS:
        lab.client("secretsmanager").create_secret(Name=name, SecretString="{}")
    return made


@pytest.fixture(autouse=True)
def well(lab: Lab, machines: Machines) -> Iterator[None]:
    """Put right again what a test did."""
    machines.script(watch={"reply": reply("Watched"), "parts": []})
    yield
    for name in SCHEDULES:
        schedule(lab, name, "ENABLED", lab.client("scheduler").update_schedule)
    secrets = lab.client("secretsmanager")
    for name in SECRETS:
        if "DeletedDate" in secrets.describe_secret(SecretId=name):
            secrets.restore_secret(SecretId=name)


def schedule(lab: Lab, name: str, state: str, put: Any) -> None:
    put(
        Name=name,
        GroupName=BUS,
        State=state,
        ScheduleExpression="rate(1 days)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": f"arn:aws:sqs:ap-southeast-1:{ACCOUNT}:nobody", "RoleArn": ROLE},
    )


def asked(machines: Machines) -> Any:
    """Run the machine; return what it handed to the function."""
    assert machines.run("watch", DUE)["status"] == "SUCCEEDED"
    ((function, event),) = machines.calls
    assert (function, event["due_at"]) == ("watch", DUE["due_at"])
    return event["asked"]


def test_where_all_is_well_there_is_nothing_to_hand_on(machines: Machines) -> None:
    assert asked(machines) == QUIET


def test_schedules_that_are_disabled_are_named(lab: Lab, machines: Machines) -> None:
    for name in SCHEDULES[:2]:
        schedule(lab, name, "DISABLED", lab.client("scheduler").update_schedule)
    assert asked(machines) == QUIET | {"schedules": list(SCHEDULES[:2])}


def test_one_schedule_and_one_secret_are_lists_too(lab: Lab, machines: Machines) -> None:
    schedule(lab, SCHEDULES[0], "DISABLED", lab.client("scheduler").update_schedule)
    lab.client("secretsmanager").delete_secret(SecretId=SECRETS[0], RecoveryWindowInDays=7)
    assert asked(machines) == QUIET | {"schedules": [SCHEDULES[0]], "secrets": [SECRETS[0]]}


def test_a_secret_that_is_gone_is_as_bad_as_one_that_will_be(lab: Lab, machines: Machines) -> None:
    lab.client("secretsmanager").delete_secret(SecretId=SECRETS[0], RecoveryWindowInDays=7)
    lab.client("secretsmanager").delete_secret(SecretId=SECRETS[1], ForceDeleteWithoutRecovery=True)
    try:
        assert sorted(asked(machines)["secrets"]) == sorted(SECRETS)
    finally:
        lab.client("secretsmanager").create_secret(Name=SECRETS[1], SecretString="{}")


def test_what_nobody_answers_is_told_as_that_and_hinders_nothing(lab: Lab, machines: Machines) -> None:
    """Questions that the lab answers with another error stand for services that answer nothing."""
    states = lab.client("stepfunctions")
    definition = json.loads(
        states.describe_state_machine(stateMachineArn=machines.arns["watch"])["definition"]
    )
    first, of_secrets = definition["States"]["Look at schedules"], definition["States"]["Look at secrets"]
    first |= {
        "Resource": "arn:aws:states:::aws-sdk:scheduler:getScheduleGroup",
        "Arguments": {"Name": "none"},
    }
    of_secrets["ItemProcessor"]["States"]["Look at a secret"] |= {
        "Resource": "arn:aws:states:::aws-sdk:sqs:getQueueUrl",
        "Arguments": {"QueueName": "none"},
    }
    silent = states.create_state_machine(name="silent", definition=json.dumps(definition), roleArn=ROLE)
    assert machines.run(silent["stateMachineArn"], DUE)["status"] == "SUCCEEDED"
    ((_, event),) = machines.calls
    unseen = ["the schedules", *(f"secret {name}" for name in SECRETS)]
    assert event["asked"] == QUIET | {"unseen": unseen}


def test_a_cell_that_reads_no_secret_asks_of_none(machines: Machines) -> None:
    dr = machines.make("dr", "watch", secrets="")
    assert machines.run(dr, DUE)["status"] == "SUCCEEDED"
    assert machines.calls[0][1]["asked"] == QUIET


def test_metrics_that_do_not_fit_are_fetched_and_published_in_parts(machines: Machines) -> None:
    answers = [
        {"reply": reply("Watched"), "parts": PARTS},
        {"reply": reply("One"), "parts": []},
        {"reply": reply("Two"), "parts": []},
    ]
    machines.script(watch=answers)
    with machines.published() as replies:
        assert machines.run("watch", DUE)["status"] == "SUCCEEDED"
    assert sorted(event["part"] for _, event in machines.calls[1:]) == PARTS
    assert sorted(one["metrics"][0]["name"] for one in replies) == ["One", "Two", "Watched"]


def test_a_watch_that_fails_says_of_what(machines: Machines) -> None:
    machines.script(watch=raises("Broken", "why (hint)"))
    ended = machines.run("watch", DUE)
    assert (ended["status"], ended["error"]) == ("FAILED", "Broken")
    assert json.loads(ended["cause"])["errorMessage"] == "why (hint)"
