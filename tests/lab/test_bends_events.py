"""Events reach a bus in another region, and state machines, as the role of the target may; else the dead-letter queue."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.lab.bends import schedules
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import machine
from tests.lab.labs import MakeLab, until
from tests.lab.roles import ACCOUNT, Role, Statement, allow, refusal

HOME, DR = "ap-southeast-1", "ap-northeast-1"
BUS = f"arn:aws:events:{DR}:{ACCOUNT}:event-bus/between"
PATTERN = json.dumps({"source": ["pgdrill"]})


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True))
    return lab


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True, bends=False))
    return lab


def queue(lab: Lab, name: str, region: str, *lets_in: str, key: str | None = None) -> tuple[str, str]:
    """Make a queue that lets services in, EventBridge unless others are named; return its URL and ARN."""
    arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
    attributes = {"Policy": resource_policy("sqs:SendMessage", arn, *(lets_in or ("events.amazonaws.com",)))}
    if key:
        attributes["KmsMasterKeyId"] = key
    made = lab.client("sqs", region).create_queue(QueueName=name, Attributes=attributes)
    return made["QueueUrl"], arn


def resource_policy(action: str | list[str], resource: str, *services: str, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": action}
    statement |= {"Condition": condition} if condition else {}
    document = {"Version": "2012-10-17", "Statement": [statement | {"Resource": resource}]}
    return json.dumps(document)


def received(lab: Lab, url: str, region: str) -> list[Any]:
    found = lab.client("sqs", region).receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def until_received(lab: Lab, url: str) -> list[Any]:
    found: list[Any] = []

    def came() -> bool:
        found.extend(received(lab, url, HOME))
        return bool(found)

    until(came)
    return found


def connect(lab: Lab, role: Role, name: str) -> tuple[str, str]:
    """Let a rule here forward to a bus there, and a rule there deliver to a queue; return both queues' URLs."""
    there = lab.client("events", DR)
    if name == "first":
        there.create_event_bus(Name="between")
    arrived, arrived_arn = queue(lab, f"{name}-arrived", DR)
    there.put_rule(Name=name, EventBusName="between", EventPattern=PATTERN)
    there.put_targets(Rule=name, EventBusName="between", Targets=[{"Id": "queue", "Arn": arrived_arn}])
    lost, lost_arn = queue(lab, f"{name}-lost", HOME)
    here = lab.client("events", HOME)
    here.put_rule(Name=name, EventPattern=PATTERN)  # the same name as there, as cells have
    target = {"Id": "bus", "Arn": BUS, "RoleArn": role.arn, "DeadLetterConfig": {"Arn": lost_arn}}
    here.put_targets(Rule=name, Targets=[target])
    return arrived, lost


def send(lab: Lab) -> str:
    entry = {"Source": "pgdrill", "DetailType": "inventory", "Detail": '{"points": 3}'}
    answer = lab.client("events", HOME).put_events(Entries=[entry])
    return str(answer["Entries"][0]["EventId"])


def test_an_event_crosses_to_the_other_region_as_its_role_may(lab: Lab) -> None:
    role = Role(lab, "forwarder", allow("events:PutEvents", BUS), service="events.amazonaws.com")
    arrived, lost = connect(lab, role, "first")
    sent = send(lab)
    (event,) = received(lab, arrived, DR)
    assert (event["id"], event["region"], event["detail"]) == (sent, HOME, {"points": 3})
    assert received(lab, lost, HOME) == []

    role.may(allow("events:PutEvents", BUS.replace("between", "other")))
    sent = send(lab)
    assert received(lab, arrived, DR) == []
    (event,) = received(lab, lost, HOME)
    assert event["id"] == sent
    lab.client("events").disable_rule(Name="first")


def test_a_role_that_does_not_trust_eventbridge_forwards_nothing(lab: Lab) -> None:
    role = Role(lab, "untrusting", allow("events:PutEvents"), service="scheduler.amazonaws.com")
    arrived, lost = connect(lab, role, "second")
    send(lab)
    assert received(lab, arrived, DR) == []
    assert len(received(lab, lost, HOME)) == 1
    lab.client("events").disable_rule(Name="second")


def test_rules_that_forward_to_each_other_end(lab: Lab) -> None:
    role = Role(lab, "looping", allow("events:PutEvents"), service="events.amazonaws.com")
    arrived, _ = connect(lab, role, "third")
    back = {"Id": "back", "Arn": f"arn:aws:events:{HOME}:{ACCOUNT}:event-bus/default", "RoleArn": role.arn}
    lab.client("events", DR).put_targets(Rule="third", EventBusName="between", Targets=[back])
    sent = send(lab)
    assert [event["id"] for event in received(lab, arrived, DR)] == [sent]
    lab.client("events").disable_rule(Name="third")


def test_the_bare_emulator_forwards_nothing(unbent: Lab) -> None:
    role = Role(unbent, "forwarder", allow("events:PutEvents", BUS), service="events.amazonaws.com")
    arrived, lost = connect(unbent, role, "first")
    send(unbent)
    assert received(unbent, arrived, DR) == []
    assert received(unbent, lost, HOME) == []


ASKED = json.dumps(
    {
        "now": "<aws.scheduler.scheduled-time>",
        "by": "<aws.scheduler.schedule-arn>",
        "attempt": "<aws.scheduler.attempt-number>",
        "id": "<aws.scheduler.execution-id>",
    }
)


def schedule(lab: Lab, name: str, *may: Statement) -> tuple[str, str]:
    """Let a schedule, due long ago, start a state machine; return the machine's ARN and its dead-letter queue's URL."""
    runs = Role(lab, f"{name}-runs", service="states.amazonaws.com")
    arn = machine(lab, name, {"Only": {"Type": "Succeed"}}, role=runs.arn)
    lost, lost_arn = queue(lab, f"{name}-lost", HOME)
    sets_aside = allow("sqs:SendMessage", lost_arn)
    starts = Role(lab, f"{name}-starts", *may, sets_aside, service="scheduler.amazonaws.com")
    target = {"Arn": arn, "RoleArn": starts.arn, "Input": ASKED, "DeadLetterConfig": {"Arn": lost_arn}}
    lab.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression="at(2026-11-22T06:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    return arn, lost


def started(lab: Lab, arn: str) -> list[Any]:
    """Return the inputs of a state machine's executions."""
    states = lab.client("stepfunctions")
    executions = states.list_executions(stateMachineArn=arn)["executions"]
    arns = [execution["executionArn"] for execution in executions]
    return [json.loads(states.describe_execution(executionArn=each)["input"]) for each in arns]


def test_a_schedule_tells_its_own_time_and_starts_what_its_role_may(lab: Lab, unbent: Lab) -> None:
    arn, _ = schedule(lab, "may", allow("states:StartExecution"))
    refused, lost = schedule(lab, "may-not", allow("states:StartExecution", f"{arn}-other"))
    bare, _ = schedule(unbent, "bare")
    until(lambda: bool(started(lab, arn) and started(unbent, bare)))
    (given,) = started(lab, arn)
    assert re.fullmatch(r"[0-9a-f-]{36}", given.pop("id"))
    assert given == {
        "now": "2026-11-22T06:00:00Z",
        "by": f"arn:aws:scheduler:{HOME}:{ACCOUNT}:schedule/default/may",
        "attempt": "1",
    }
    (message,) = until_received(lab, lost)
    assert message["now"] == "2026-11-22T06:00:00Z"
    assert started(lab, refused) == []
    assert started(unbent, bare) == [json.loads(ASKED)]


@pytest.mark.parametrize(
    ("expression", "last"),
    [
        ("at(2026-11-22T06:00:00)", "2026-11-22T06:00:00"),
        ("cron(0 */6 * * ? *)", "2026-11-23T12:00:00"),
        ("cron(30 17 * * ? *)", "2026-11-23T17:30:00"),
        ("cron(0 3 ? * SUN *)", "2026-11-22T03:00:00"),
        ("cron(0 3 1 * ? *)", "2026-11-01T03:00:00"),
        ("rate(5 minutes)", "2026-11-23T17:27:30"),
    ],
)
def test_the_occasion_is_the_last_that_the_expression_names(expression: str, last: str) -> None:
    made = datetime(2026, 11, 20, 0, 2, 30, tzinfo=UTC).timestamp()
    now = datetime(2026, 11, 23, 17, 30, 4, tzinfo=UTC)
    found = schedules.occasion({"ScheduleExpression": expression, "CreationDate": made}, now)
    assert found == datetime.fromisoformat(f"{last}+00:00")


EVENTS = "events.amazonaws.com"


def rule(lab: Lab, name: str, target: str, **more: Any) -> None:
    lab.client("events", HOME).put_rule(Name=name, EventPattern=PATTERN)
    lab.client("events", HOME).put_targets(Rule=name, Targets=[{"Id": "target", "Arn": target, **more}])


def test_a_queue_gets_events_only_where_its_policy_lets_eventbridge_in(lab: Lab, unbent: Lab) -> None:
    for each, arrives in (lab, False), (unbent, True):
        closed, closed_arn = queue(each, "closed", HOME, "sns.amazonaws.com")
        lost, lost_arn = queue(each, "closed-lost", HOME)
        rule(each, "closed", closed_arn, DeadLetterConfig={"Arn": lost_arn})
        send(each)
        assert bool(received(each, closed, HOME)) == arrives
        assert bool(received(each, lost, HOME)) != arrives
        each.client("events", HOME).disable_rule(Name="closed")


def test_what_the_dead_letter_queue_does_not_let_in_is_gone(lab: Lab) -> None:
    _, closed_arn = queue(lab, "shut", HOME, "sns.amazonaws.com")
    lost, lost_arn = queue(lab, "shut-lost", HOME, "sns.amazonaws.com")
    rule(lab, "shut", closed_arn, DeadLetterConfig={"Arn": lost_arn})
    send(lab)
    assert received(lab, lost, HOME) == []
    lab.client("events", HOME).disable_rule(Name="shut")


def key_of(lab: Lab) -> str:
    """Make a key that the account alone may use."""
    account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Resource": "*"}
    own = {"Version": "2012-10-17", "Statement": [account | {"Action": "kms:*"}]}
    made = lab.client("kms", HOME).create_key(Policy=json.dumps(own))
    return str(made["KeyMetadata"]["Arn"])


def open_key(lab: Lab, key: str, service: str) -> None:
    """Let a service use a key in its own name as well."""
    kms = lab.client("kms", HOME)
    own = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    use = json.loads(resource_policy(["kms:Decrypt", "kms:GenerateDataKey*"], "*", service))["Statement"]
    opened = own | {"Statement": [*own["Statement"], *use]}
    kms.put_key_policy(KeyId=key, Policy=json.dumps(opened), PolicyName="default")


def test_an_encrypted_queue_gets_events_only_where_its_key_lets_eventbridge(lab: Lab, unbent: Lab) -> None:
    for each, arrives in (lab, False), (unbent, True):
        made = key_of(each)
        url, arn = queue(each, "encrypted", HOME, key=made)
        rule(each, "encrypted", arn)
        send(each)
        assert bool(received(each, url, HOME)) == arrives
        open_key(each, made, EVENTS)
        send(each)
        assert received(each, url, HOME)
        each.client("events", HOME).disable_rule(Name="encrypted")


def test_a_topic_tells_of_events_only_where_its_policy_lets_eventbridge_in(lab: Lab, unbent: Lab) -> None:
    for each, arrives in (lab, False), (unbent, True):
        url, arn = queue(each, "subscribed", HOME, "sns.amazonaws.com")
        sns = each.client("sns", HOME)
        topic = sns.create_topic(Name="told")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        rule(each, "told", topic)
        send(each)
        assert bool(received(each, url, HOME)) == arrives
        sns.set_topic_attributes(
            TopicArn=topic,
            AttributeName="Policy",
            AttributeValue=resource_policy("sns:Publish", topic, EVENTS),
        )
        send(each)
        assert received(each, url, HOME)
        each.client("events", HOME).disable_rule(Name="told")


def test_a_topic_s_policy_is_not_told_of_the_rule_and_a_queue_s_is(lab: Lab, unbent: Lab) -> None:
    named = {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{HOME}:{ACCOUNT}:rule/asking"}}
    for each, arrives in (lab, False), (unbent, True):
        url, arn = queue(each, "told-by-topic", HOME, "sns.amazonaws.com")
        direct, direct_arn = queue(each, "told-directly", HOME)
        sns = each.client("sns", HOME)
        topic = sns.create_topic(Name="asking")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        sns.set_topic_attributes(
            TopicArn=topic,
            AttributeName="Policy",
            AttributeValue=resource_policy("sns:Publish", topic, EVENTS, **named),
        )
        policy = resource_policy("sqs:SendMessage", direct_arn, EVENTS, **named)
        each.client("sqs", HOME).set_queue_attributes(QueueUrl=direct, Attributes={"Policy": policy})
        rule(each, "asking", topic)
        also = [{"Id": "queue", "Arn": direct_arn}]
        each.client("events", HOME).put_targets(Rule="asking", Targets=also)
        send(each)
        assert bool(received(each, url, HOME)) == arrives
        assert received(each, direct, HOME)
        each.client("events", HOME).disable_rule(Name="asking")


def test_an_encrypted_queue_gets_what_a_topic_tells_only_where_its_key_lets_sns(
    lab: Lab, unbent: Lab
) -> None:
    for each, arrives in (lab, False), (unbent, True):
        made = key_of(each)
        url, arn = queue(each, "kept-secret", HOME, "sns.amazonaws.com", key=made)
        sns = each.client("sns", HOME)
        topic = sns.create_topic(Name="telling")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        sns.publish(TopicArn=topic, Message="first")
        assert [body["Message"] for body in received(each, url, HOME)] == ["first"] * arrives
        open_key(each, made, EVENTS)
        sns.publish(TopicArn=topic, Message="second")
        assert [body["Message"] for body in received(each, url, HOME)] == ["second"] * arrives
        open_key(each, made, "sns.amazonaws.com")
        sns.publish(TopicArn=topic, Message="third")
        assert [body["Message"] for body in received(each, url, HOME)] == ["third"]


def test_an_encrypted_topic_takes_the_publisher_s_right_to_its_key(lab: Lab, unbent: Lab) -> None:
    for each, asked in (lab, True), (unbent, False):
        key = each.world().storage_key
        topic = each.client("sns", HOME).create_topic(Name="secret", Attributes={"KmsMasterKeyId": key})
        message = {"TopicArn": topic["TopicArn"], "Message": "hello"}
        role = Role(each, "publisher", allow("sns:Publish"))
        client = role.client("sns")
        assert (refusal(client, "publish", **message) is not None) == asked
        via = {"StringEquals": {"kms:ViaService": f"sns.{HOME}.amazonaws.com"}}
        role.may(allow("sns:Publish"), allow(["kms:GenerateDataKey", "kms:Decrypt"], key, **via))
        assert refusal(client, "publish", **message) is None


def test_a_schedule_reaches_a_queue_as_its_role_may(lab: Lab, unbent: Lab) -> None:
    due = datetime(2026, 11, 22, 6, tzinfo=UTC)
    for each, arrives in (lab, False), (unbent, True):
        url, arn = queue(each, "scheduled", HOME, "sns.amazonaws.com")
        role = Role(each, "sends", service="scheduler.amazonaws.com")
        daily(each, "sends", arn, role.arn)
        assert each.door.fire("sends", due)["undelivered"] == (
            ""
            if arrives
            else f"arn:aws:sts::{ACCOUNT}:assumed-role/sends is not authorized to perform: sqs:SendMessage"
            f" on resource: {arn}"
        )
        assert bool(received(each, url, HOME)) == arrives
        role.may(allow("sqs:SendMessage", arn))
        assert each.door.fire("sends", due)["undelivered"] == ""
        assert received(each, url, HOME) == [{}]


def test_what_the_lab_does_not_know_is_not_delivered(lab: Lab) -> None:
    role = Role(lab, "streams", allow("*"), service="scheduler.amazonaws.com")
    daily(lab, "streams", f"arn:aws:kinesis:{HOME}:{ACCOUNT}:stream/s", role.arn)
    fired = lab.door.fire("streams", datetime(2026, 11, 22, 6, tzinfo=UTC))
    assert fired["undelivered"] == "the lab delivers nothing to kinesis"


def daily(lab: Lab, name: str, target: str, role: str, **more: Any) -> None:
    lab.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": target, "RoleArn": role, "Input": "{}"},
        **more,
    )


def test_a_schedule_is_read_with_its_key(lab: Lab) -> None:
    key = lab.world().storage_key
    runs = Role(lab, "read-runs", service="states.amazonaws.com")
    arn = machine(lab, "read", {"Only": {"Type": "Succeed"}}, role=runs.arn)
    start = allow("states:StartExecution", arn)
    starts = Role(lab, "read-starts", start, service="scheduler.amazonaws.com")
    daily(lab, "read", arn, starts.arn, KmsKeyArn=key)
    due = datetime(2026, 11, 22, 6, tzinfo=UTC)
    assert "kms:Decrypt" in lab.door.fire("read", due)["undelivered"]
    own = f"arn:aws:scheduler:{HOME}:{ACCOUNT}:schedule/default/read"
    context = {"kms:EncryptionContext:aws:scheduler:schedule:arn": own}
    starts.may(start, allow("kms:Decrypt", key, ArnLike=context))
    assert len(lab.door.fire("read", due)["executions"]) == 1
