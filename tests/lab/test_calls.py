"""Every call of a role is written down with what it asked for and whether it was allowed, services' calls as well."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pgdrill.cli import lab as cli
from pgdrill.errors import NotRunnable
from pgdrill.lab import calls
from pgdrill.lab.calls import Call
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import execute, machine
from tests.lab.labs import MakeLab, until
from tests.lab.roles import ACCOUNT, Role, allow, refusal

HOME = "ap-southeast-1"
DUE = datetime(2026, 11, 22, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True))
    lab.door.hold_schedules()
    return lab


def of(lab: Lab, role: str) -> list[Call]:
    return [call for call in calls.read(lab.directory) if call.role == role]


def brief(found: list[Call]) -> list[tuple[str, str, bool]]:
    return [(call.action, call.resource, call.allowed) for call in found]


def test_a_role_s_calls_are_written_down_allowed_and_refused(lab: Lab) -> None:
    bucket = f"arn:aws:s3:::{lab.world().evidence_bucket}"
    role = Role(lab, "looker", allow("s3:ListBucket"))
    client = role.client("s3")
    assert refusal(client, "list_objects_v2", Bucket=lab.world().evidence_bucket, Prefix="seals/") is None
    assert refusal(client, "delete_object", Bucket=lab.world().evidence_bucket, Key="a") is not None
    listed, deleted = of(lab, "looker")
    assert brief([listed, deleted]) == [
        ("s3:ListBucket", bucket, True),
        ("s3:DeleteObject", f"{bucket}/a", False),
    ]
    assert (listed.session, listed.region, listed.context["s3:prefix"]) == ("test", HOME, "seals/")


def test_each_action_and_resource_that_a_call_needs_is_written_down(lab: Lab) -> None:
    arn = f"arn:aws:rds:{HOME}:{ACCOUNT}"
    role = Role(lab, "taker", allow("rds:*"))
    arguments = {"DBInstanceIdentifier": "shop", "DBSnapshotIdentifier": "one"}
    tags = [{"Key": "Owner", "Value": "dba"}]
    refusal(role.client("rds"), "create_db_snapshot", **arguments, Tags=tags)
    found = of(lab, "taker")
    assert brief(found) == [
        ("rds:CreateDBSnapshot", f"{arn}:db:shop", True),
        ("rds:CreateDBSnapshot", f"{arn}:snapshot:one", True),
        ("rds:AddTagsToResource", f"{arn}:snapshot:one", True),
    ]
    assert found[0].context["aws:requesttag/owner"] == "dba"


def test_the_account_s_own_calls_are_not(lab: Lab) -> None:
    before = len(list(calls.read(lab.directory)))
    lab.client("s3").list_buckets()
    assert len(list(calls.read(lab.directory))) == before


def scheduled(lab: Lab, name: str, *, may: bool) -> str:
    """Let a schedule, due in years, start a state machine that calls RDS; return the machine's ARN."""
    task = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:rds:describeDBInstances", "End": True}
    runs = Role(lab, f"{name}-runs", allow("rds:DescribeDBInstances"), service="states.amazonaws.com")
    arn = machine(lab, name, {"Ask": task | {"Arguments": {}}}, role=runs.arn)
    granted = allow("states:StartExecution", arn if may else f"{arn}-other")
    starts = Role(lab, f"{name}-starts", granted, service="scheduler.amazonaws.com")
    url = lab.client("sqs").create_queue(QueueName=f"{name}-lost")["QueueUrl"]
    lost = f"arn:aws:sqs:{HOME}:{ACCOUNT}:{name}-lost"
    starts.may(granted, allow("sqs:SendMessage", lost))
    lab.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression="at(2036-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": arn,
            "RoleArn": starts.arn,
            "Input": '{"due_at": "<aws.scheduler.scheduled-time>"}',
            "DeadLetterConfig": {"Arn": lost},
        },
    )
    return str(url)


def test_a_schedule_is_fired_for_any_occasion_and_its_calls_are_its_roles(lab: Lab) -> None:
    scheduled(lab, "fires", may=True)
    fired = lab.door.fire("fires", DUE)
    assert fired["undelivered"] == ""
    (execution,) = fired["executions"]
    states = lab.client("stepfunctions")
    until(lambda: states.describe_execution(executionArn=execution)["status"] == "SUCCEEDED")
    given = json.loads(states.describe_execution(executionArn=execution)["input"])
    assert given == {"due_at": "2026-11-22T06:00:00Z"}
    states_arn = f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:fires"
    assert brief(of(lab, "fires-starts")) == [("states:StartExecution", states_arn, True)]
    assert brief(of(lab, "fires-runs")) == [
        ("rds:DescribeDBInstances", f"arn:aws:rds:{HOME}:{ACCOUNT}:db:*", True)
    ]


def test_what_a_machine_starts_is_not_what_the_schedule_started(lab: Lab) -> None:
    runs = Role(lab, "outer-runs", allow("states:StartExecution"), service="states.amazonaws.com")
    inner = machine(lab, "inner", {"Only": {"Type": "Succeed"}}, role=runs.arn)
    start = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {"StateMachineArn": inner, "Input": {}},
        "End": True,
    }
    outer = machine(lab, "outer", {"Start": start}, role=runs.arn)
    assert execute(lab, outer, {})["status"] == "SUCCEEDED"
    starts = Role(lab, "outer-starts", allow("states:StartExecution"), service="scheduler.amazonaws.com")
    lab.client("scheduler").create_schedule(
        Name="outer",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": outer, "RoleArn": starts.arn, "Input": "{}"},
    )
    (execution,) = lab.door.fire("outer", DUE)["executions"]
    assert ":execution:outer:" in execution


def test_a_schedule_that_may_not_start_its_target_says_so(lab: Lab) -> None:
    lost = scheduled(lab, "refused", may=False)
    fired = lab.door.fire("refused", DUE)
    assert fired["executions"] == []
    assert fired["undelivered"] == (
        f"arn:aws:sts::{ACCOUNT}:assumed-role/refused-starts is not authorized to perform: states:StartExecution"
        f" on resource: arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:refused"
    )
    assert of(lab, "refused-starts")[0].allowed is False
    assert len(lab.client("sqs").receive_message(QueueUrl=lost).get("Messages", [])) == 1


def test_a_schedule_that_is_not_there_is_not_fired(lab: Lab) -> None:
    with pytest.raises(NotRunnable) as raised:
        lab.door.fire("nothing", DUE)
    assert (raised.value.message, raised.value.hint) == (
        f"no schedule 'nothing' in {HOME}",
        "aws scheduler list-schedules --region ap-southeast-1",
    )


def test_held_schedules_fire_through_the_door_alone(lab: Lab) -> None:
    runs = Role(lab, "held-runs", service="states.amazonaws.com")
    arn = machine(lab, "held", {"Only": {"Type": "Succeed"}}, role=runs.arn)
    starts = Role(lab, "held-starts", allow("states:StartExecution"), service="scheduler.amazonaws.com")
    lab.client("scheduler").create_schedule(
        Name="held",
        ScheduleExpression="at(2026-11-22T06:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": starts.arn, "Input": "{}"},
    )

    def executions() -> list[Any]:
        return list(lab.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"])

    lab.door.fire("held", DUE)
    assert len(executions()) == 1
    lab.door.hold_schedules(held=False)
    until(lambda: len(executions()) == 2)
    lab.door.hold_schedules()


@pytest.mark.parametrize("command", ["calls", "inbox"])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_without_a_lab_there_is_nothing_to_tell(tmp_path: Path, command: str, more: tuple[str, ...]) -> None:
    ran = CliRunner().invoke(cli.app, [command, "--directory", str(tmp_path), *more])
    assert isinstance(ran.exception, NotRunnable)
    assert (ran.exception.message, ran.exception.hint) == (
        f"no lab runs in {str(tmp_path)!r}",
        "start it with: pgdrill lab up",
    )
    assert ran.stdout == ""


def test_a_deployment_where_policies_are_enforced_is_not_warned_about(lab: Lab, tmp_path: Path) -> None:
    program = tmp_path / "__main__.py"
    program.write_text("", encoding="utf-8")
    words = ["--program", str(program), "--stack", "empty", "--directory", str(lab.directory)]
    ran = CliRunner().invoke(cli.app, ["deploy", *words])
    assert ran.exit_code == 0
    assert "warning" not in ran.stderr


def test_the_command_line_fires_and_tells_calls(lab: Lab) -> None:
    scheduled(lab, "typed", may=True)
    runner, where = CliRunner(), ["--directory", str(lab.directory)]
    ran = runner.invoke(cli.app, ["fire", "typed", "--due-at", "2026-11-22T06:00:00Z", *where])
    assert (ran.exit_code, ":execution:typed:" in ran.stdout) == (0, True)
    told = runner.invoke(cli.app, ["calls", "--role", "typed-starts", "--json", *where])
    assert [call["action"] for call in json.loads(told.stdout)] == ["states:StartExecution"]
    refused = runner.invoke(cli.app, ["calls", "--role", "looker", "--denied", *where])
    assert "s3:DeleteObject" in refused.stdout
    assert "s3:ListBucket" not in refused.stdout
