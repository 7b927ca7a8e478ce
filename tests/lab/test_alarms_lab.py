"""Alarms of a lab: looked at when the test says, told to topics, buses and history as AWS tells them."""

import json
import re
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from pgdrill.cli import app
from pgdrill.lab import calls
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.watching import alarm_model, alarms
from pgdrill.watching.alarm_model import Subject
from pgdrill.watching.thresholds import TRIES
from tests.lab.functions import deploy, execute, invoke, machine
from tests.lab.labs import MakeLab, until
from tests.lab.roles import ACCOUNT, Role, Statement
from tests.unit.plans import plan

HOME, DR = "ap-southeast-1", "ap-northeast-1"
NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPACE = "pgdrill"


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


def publish(lab: Lab, value: float, at: datetime, *, suffix: str = "main", region: str = HOME) -> None:
    datum = {
        "MetricName": "Age",
        "Value": value,
        "Timestamp": at,
        "Dimensions": [{"Name": "Suffix", "Value": suffix}],
    }
    lab.client("cloudwatch", region).put_metric_data(Namespace=SPACE, MetricData=[datum])


def put(lab: Lab, name: str, *, region: str = HOME, **members: Any) -> None:
    """Put an alarm on ages over 10, of data points a minute long, one of one, missing data breaching."""
    defaults = {
        "Namespace": SPACE,
        "MetricName": "Age",
        "Dimensions": [{"Name": "Suffix", "Value": "main"}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "breaching",
    }
    lab.client("cloudwatch", region).put_metric_alarm(AlarmName=name, **defaults | members)


def described(lab: Lab, name: str, region: str = HOME) -> Any:
    types = ["MetricAlarm", "CompositeAlarm"]
    found = lab.client("cloudwatch", region).describe_alarms(AlarmNames=[name], AlarmTypes=types)
    (alarm,) = found["MetricAlarms"] + found["CompositeAlarms"]
    return alarm


def state(lab: Lab, name: str, region: str = HOME) -> str:
    return str(described(lab, name, region)["StateValue"])


def topic(lab: Lab, name: str, region: str = HOME, *, service: str = "cloudwatch.amazonaws.com") -> str:
    """Make a topic that a service may publish to."""
    sns = lab.client("sns", region)
    arn = str(sns.create_topic(Name=name)["TopicArn"])
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return arn


def letters(lab: Lab, arn: str) -> list[Any]:
    return [letter for letter in lab.door.inbox() if letter["topic"] == arn]


def test_an_alarm_looks_at_its_own_dimensions_alone(lab: Lab) -> None:
    put(lab, "dimensions")
    publish(lab, 1, NOON - MINUTE)
    publish(lab, 99, NOON - MINUTE, suffix="other")
    lab.door.evaluate_alarms(NOON)
    assert state(lab, "dimensions") == "OK"
    publish(lab, 99, NOON)
    lab.door.evaluate_alarms(NOON + MINUTE)
    assert state(lab, "dimensions") == "ALARM"


def test_missing_data_breach_without_anything_arriving(lab: Lab) -> None:
    put(lab, "silence", MetricName="Never")
    lab.door.evaluate_alarms(NOON)
    alarm = described(lab, "silence")
    assert alarm["StateValue"] == "ALARM"
    assert alarm["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[Breaching]."
    )
    assert alarm["StateUpdatedTimestamp"] == NOON


def test_an_alarm_of_another_region_is_of_another_region(lab: Lab) -> None:
    for region in (HOME, DR):
        put(lab, "regional", region=region, TreatMissingData="missing", MetricName="Age")
    publish(lab, 99, NOON + 5 * MINUTE, region=DR)
    lab.door.evaluate_alarms(NOON + 6 * MINUTE)
    assert state(lab, "regional", DR) == "ALARM"
    assert state(lab, "regional", HOME) != "ALARM"


def test_a_topic_is_told_in_the_words_of_cloudwatch_and_the_inbox_keeps_it(lab: Lab) -> None:
    arn = topic(lab, "told")
    lab.client("sns").subscribe(TopicArn=arn, Protocol="email", Endpoint="night@example.com")
    description = "Too old. Look at the runbook."
    put(lab, "tells", MetricName="Told", AlarmActions=[arn], OKActions=[arn], AlarmDescription=description)
    metric = {"MetricName": "Told", "Dimensions": [{"Name": "Suffix", "Value": "main"}]}
    for minute, value in enumerate((1, 99, 99), start=1):
        datum = metric | {"Value": value, "Timestamp": NOON + minute * MINUTE}
        lab.client("cloudwatch").put_metric_data(Namespace=SPACE, MetricData=[datum])
        lab.door.evaluate_alarms(NOON + (minute + 1) * MINUTE)
    ok, alarm = letters(lab, arn)
    assert [ok["subject"], alarm["subject"]] == [
        'OK: "tells" in Asia Pacific (Singapore)',
        'ALARM: "tells" in Asia Pacific (Singapore)',
    ]
    assert datetime.fromisoformat(alarm["when"]) == NOON + 3 * MINUTE
    assert [each["endpoint"] for each in alarm["recipients"]] == ["night@example.com"]
    message = json.loads(alarm["text"])
    assert message.pop("AlarmConfigurationUpdatedTimestamp")
    assert message == {
        "AlarmName": "tells",
        "AlarmDescription": "Too old. Look at the runbook.",
        "AWSAccountId": ACCOUNT,
        "NewStateValue": "ALARM",
        "NewStateReason": (
            "Threshold Crossed: 1 out of the last 1 datapoints [99.0 (20/11/26 12:02:00)] was greater than the threshold "
            "(10.0) (minimum 1 datapoint for OK -> ALARM transition)."
        ),
        "StateChangeTime": "2026-11-20T12:03:30.000+0000",
        "Region": "Asia Pacific (Singapore)",
        "AlarmArn": f"arn:aws:cloudwatch:{HOME}:{ACCOUNT}:alarm:tells",
        "OldStateValue": "OK",
        "OKActions": [arn],
        "AlarmActions": [arn],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "Told",
            "Namespace": SPACE,
            "StatisticType": "Statistic",
            "Statistic": "MAXIMUM",
            "Unit": None,
            "Dimensions": [{"value": "main", "name": "Suffix"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 10.0,
            "TreatMissingData": "breaching",
            "EvaluateLowSampleCountPercentile": "",
        },
    }


def test_a_topic_whose_policy_does_not_know_cloudwatch_is_not_told(lab: Lab) -> None:
    arn = topic(lab, "closed", service="events.amazonaws.com")
    put(lab, "refused", MetricName="Never", AlarmActions=[arn])
    lab.door.evaluate_alarms(NOON + 10 * MINUTE)
    assert state(lab, "refused") == "ALARM"
    assert letters(lab, arn) == []
    history = lab.client("cloudwatch").describe_alarm_history(AlarmName="refused", HistoryItemType="Action")
    (item,) = history["AlarmHistoryItems"]
    assert item["HistorySummary"] == (
        f"Failed to execute action {arn}. Received error: "
        f"cloudwatch.amazonaws.com is not authorized to perform: sns:Publish on resource: {arn}"
    )


@pytest.mark.parametrize(
    ("admits", "condition"),
    [
        (True, {}),
        (True, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        (False, {"StringEquals": {"aws:SourceAccount": "210987654321"}}),
        (False, None),
    ],
    ids=["anybody's", "own", "another's", "nobody's"],
)
def test_an_encrypted_topic_is_told_where_its_key_admits_cloudwatch(
    lab: Lab, request: pytest.FixtureRequest, *, admits: bool, condition: Statement | None
) -> None:
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statements: list[Statement] = [
        {"Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"}
    ]
    if condition is not None:
        service = {"Service": "cloudwatch.amazonaws.com"}
        actions = ["kms:GenerateDataKey*", "kms:Decrypt"]
        allowed = {"Effect": "Allow", "Principal": service, "Action": actions, "Resource": "*"}
        statements.append(allowed | ({"Condition": condition} if condition else {}))
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    key = lab.client("kms").create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    name = re.sub("[^a-z]", "", request.node.callspec.id)
    arn = topic(lab, f"encrypted-{name}")
    lab.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=key)
    put(lab, f"encrypted-{name}", MetricName="Never", AlarmActions=[arn])
    lab.door.evaluate_alarms(NOON + 11 * MINUTE)
    assert len(letters(lab, arn)) == int(admits)
    asked = [one for one in calls.read(lab.directory) if one.session.endswith(f":encrypted-{name}")]
    assert {(one.role, one.action, one.allowed) for one in asked} >= {
        ("cloudwatch.amazonaws.com", "sns:Publish", True),
        ("cloudwatch.amazonaws.com", "kms:GenerateDataKey", admits),
    }


def test_a_topic_whose_key_nobody_can_use_is_not_told(lab: Lab) -> None:
    arn = topic(lab, "locked")
    sns, kms = lab.client("sns"), lab.client("kms")
    put(lab, "locked", MetricName="Locked", TreatMissingData="notBreaching", AlarmActions=[arn])
    cloudwatch = lab.client("cloudwatch")

    def told() -> int:
        for state in "OK", "ALARM":
            cloudwatch.set_alarm_state(AlarmName="locked", StateValue=state, StateReason="try")
        return len(letters(lab, arn))

    key = lab.world().storage_key
    for name in "alias/aws/sns", key:
        sns.set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=name)
        assert told() == 0
    own = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    uses = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Resource": "*",
    }
    policy = json.dumps(own | {"Statement": [*own["Statement"], uses]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    kms.disable_key(KeyId=key)
    assert told() == 0
    kms.enable_key(KeyId=key)
    assert told() == 1


def test_silence_for_maintenance_is_kept_and_ended(lab: Lab) -> None:
    arn = topic(lab, "maintenance")
    put(lab, "maintained", AlarmActions=[arn], MetricName="Maintained", TreatMissingData="notBreaching")
    cloudwatch = lab.client("cloudwatch")
    cloudwatch.disable_alarm_actions(AlarmNames=["maintained"])
    cloudwatch.set_alarm_state(AlarmName="maintained", StateValue="ALARM", StateReason="try")
    assert letters(lab, arn) == []
    cloudwatch.enable_alarm_actions(AlarmNames=["maintained"])
    cloudwatch.set_alarm_state(AlarmName="maintained", StateValue="OK", StateReason="try")
    cloudwatch.set_alarm_state(AlarmName="maintained", StateValue="ALARM", StateReason="try again")
    (letter,) = letters(lab, arn)
    assert json.loads(letter["text"])["NewStateReason"] == "try again"


def test_a_mute_rule_holds_back_what_it_names_for_its_time(lab: Lab) -> None:
    arn = topic(lab, "muted")
    for name in "muted", "spoken":
        put(lab, name, MetricName="Muted", TreatMissingData="notBreaching", AlarmActions=[arn])
    cloudwatch = lab.client("cloudwatch")
    begins = datetime.now(UTC).replace(second=0, microsecond=0)
    schedule = {"Expression": f"at({begins:%Y-%m-%dT%H:%M})", "Duration": "PT10M", "Timezone": "UTC"}
    cloudwatch.put_alarm_mute_rule(
        Name="quiet", Rule={"Schedule": schedule}, MuteTargets={"AlarmNames": ["muted"]}
    )
    for name in "muted", "spoken":
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="try")

    def told() -> list[str]:
        return [json.loads(one["text"])["AlarmName"] for one in letters(lab, arn)]

    assert told() == ["spoken"]
    assert state(lab, "muted") == "ALARM"
    cloudwatch.delete_alarm_mute_rule(AlarmMuteRuleName="quiet")
    assert cloudwatch.list_alarm_mute_rules()["AlarmMuteRuleSummaries"] == []
    for value in "OK", "ALARM":
        cloudwatch.set_alarm_state(AlarmName="muted", StateValue=value, StateReason="try again")
    assert told() == ["spoken", "muted"]


def test_the_bare_emulator_has_no_mute_rules(unbent: Lab) -> None:
    with pytest.raises(ClientError):
        unbent.client("cloudwatch").list_alarm_mute_rules()


def test_a_rule_on_the_default_bus_hears_of_a_transition(lab: Lab) -> None:
    sqs, events = lab.client("sqs"), lab.client("events")
    url = sqs.create_queue(QueueName="transitions")["QueueUrl"]
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail": {"alarmName": ["heard"], "state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name="transitions", EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": f"arn:aws:sqs:{HOME}:{ACCOUNT}:transitions"}
    events.put_targets(Rule="transitions", Targets=[target])
    admit(lab, url, "events.amazonaws.com")
    put(lab, "heard", MetricName="Heard")
    lab.door.evaluate_alarms(NOON + 12 * MINUTE)
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"]
    event = json.loads(message["Body"])
    assert (event["detail-type"], event["region"]) == ("CloudWatch Alarm State Change", HOME)
    assert event["time"] == "2026-11-20T12:12:30Z"
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert event["detail"]["configuration"]["metrics"] == [
        {
            "id": "m1",
            "metricStat": {
                "metric": {"dimensions": {"Suffix": "main"}, "name": "Heard", "namespace": SPACE},
                "period": 60,
                "stat": "Maximum",
            },
            "returnData": True,
        }
    ]


def admit(lab: Lab, url: str, service: str) -> None:
    """Let a service send to a queue."""
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    lab.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def test_a_composite_alarm_says_which_child_made_it(lab: Lab) -> None:
    arn = topic(lab, "composite")
    put(lab, "child", MetricName="Child", TreatMissingData="notBreaching")
    put(lab, "sibling", MetricName="Sibling", TreatMissingData="notBreaching")
    lab.door.evaluate_alarms(NOON + 13 * MINUTE)
    cloudwatch = lab.client("cloudwatch")
    cloudwatch.put_composite_alarm(
        AlarmName="recoverable", AlarmRule="ALARM(child) OR ALARM(sibling)", AlarmActions=[arn]
    )
    assert state(lab, "recoverable") == "OK"
    cloudwatch.set_alarm_state(AlarmName="child", StateValue="ALARM", StateReason="try")
    (letter,) = letters(lab, arn)
    message = json.loads(letter["text"])
    assert message["AlarmRule"] == "ALARM(child) OR ALARM(sibling)"
    assert message["TriggeringChildren"][0]["Arn"] == f"arn:aws:cloudwatch:{HOME}:{ACCOUNT}:alarm:child"
    types = ["CompositeAlarm"]
    history = cloudwatch.describe_alarm_history(AlarmName="recoverable", AlarmTypes=types)
    assert [item["HistoryItemType"] for item in history["AlarmHistoryItems"]] == [
        "Action",
        "StateUpdate",
        "StateUpdate",
        "ConfigurationUpdate",
    ]


def test_metrics_are_told_in_the_periods_of_the_clock_newest_first(lab: Lab) -> None:
    cloudwatch = lab.client("cloudwatch")
    start = NOON.replace(minute=0, second=0)
    data = [
        {"MetricName": "Read", "Value": value, "Timestamp": start + minute * MINUTE, "Unit": "Seconds"}
        for minute, value in ((0, 1), (1, 3), (6, 5))
    ]
    cloudwatch.put_metric_data(Namespace=SPACE, MetricData=data)
    over = {"StartTime": start, "EndTime": start + 15 * MINUTE}
    stat = {"Metric": {"Namespace": SPACE, "MetricName": "Read"}, "Period": 300, "Stat": "Average"}
    queries = [
        {"Id": "read", "MetricStat": stat},
        {"Id": "filled", "Expression": "FILL(read, 0) * 10", "Label": "ten times"},
    ]
    read, filled = cloudwatch.get_metric_data(MetricDataQueries=queries, **over)["MetricDataResults"]
    assert (read["Label"], read["Values"]) == ("Read", [5, 2])
    assert read["Timestamps"] == [start + 5 * MINUTE, start]
    assert (filled["Label"], filled["Values"]) == ("ten times", [0, 50, 20])
    given = {"Namespace": SPACE, "MetricName": "Read", "Period": 300, "Statistics": ["Sum", "SampleCount"]}
    points = cloudwatch.get_metric_statistics(**given, **over)["Datapoints"]
    assert [(point["Sum"], point["SampleCount"], point["Unit"]) for point in points] == [
        (4, 2, "Seconds"),
        (5, 1, "Seconds"),
    ]
    listed = cloudwatch.list_metrics(Namespace=SPACE, MetricName="Read")["Metrics"]
    assert listed == [{"Namespace": SPACE, "MetricName": "Read", "Dimensions": []}]


def test_a_week_of_data_points_is_watched_minute_by_minute(lab: Lab) -> None:
    arn = topic(lab, "week")
    stat = {"Metric": {"Namespace": SPACE, "MetricName": "Week"}, "Period": 300, "Stat": "Maximum"}
    metrics = [
        {"Id": "age", "MetricStat": stat, "ReturnData": False},
        {"Id": "filled", "Expression": "FILL(age, 86400)", "ReturnData": True},
    ]
    lab.client("cloudwatch").put_metric_alarm(
        AlarmName="week",
        Metrics=metrics,
        EvaluationPeriods=1,
        Threshold=10,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="breaching",
        AlarmActions=[arn],
    )
    start = NOON.replace(hour=0, minute=0, second=0, month=12, day=1)
    moments = [start + 5 * minute * MINUTE for minute in range(7 * 288)]
    silent = range(100, 103)
    data = [
        {"MetricName": "Week", "Value": 1, "Timestamp": at}
        for place, at in enumerate(moments)
        if place not in silent
    ]
    for first in range(0, len(data), 1000):
        lab.client("cloudwatch").put_metric_data(Namespace=SPACE, MetricData=data[first : first + 1000])
    lab.door.evaluate_alarms(moments[-1] + 5 * MINUTE, since=moments[0] + 4 * MINUTE)
    (letter,) = letters(lab, arn)
    assert datetime.fromisoformat(letter["when"]) == moments[100] + MINUTE


def test_alarms_and_metrics_outlive_the_lab_and_are_looked_at_by_themselves(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up(Settings())
    put(lab, "kept", MetricName="Kept", Dimensions=[])
    datum = {"MetricName": "Kept", "Value": 99, "Timestamp": NOON}
    lab.client("cloudwatch").put_metric_data(Namespace=SPACE, MetricData=[datum])
    lab.down(keep=True)
    lab.up()
    lab.door.evaluate_alarms(NOON + MINUTE)
    assert json.loads(described(lab, "kept")["StateReasonData"])["recentDatapoints"] == [99]
    put(lab, "by-itself", MetricName="Never", Period=10)
    lab.door.alarms_go_on()
    until(lambda: state(lab, "by-itself") == "ALARM", 30)


def test_the_bare_emulator_does_none_of_it(unbent: Lab) -> None:
    arn = topic(unbent, "bare", service="events.amazonaws.com")
    put(unbent, "bare", AlarmActions=[arn])
    url = unbent.client("sqs").create_queue(QueueName="bare")["QueueUrl"]
    admit(unbent, url, "sns.amazonaws.com")
    queue = f"arn:aws:sqs:{HOME}:{ACCOUNT}:bare"
    unbent.client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
    assert state(unbent, "bare") == "INSUFFICIENT_DATA"  # and so it stays: missing data do not breach
    publish(unbent, 99, datetime.now(UTC), suffix="other")
    assert state(unbent, "bare") == "ALARM"  # of another suffix's datum
    (message,) = unbent.client("sqs").receive_message(QueueUrl=url)["Messages"]  # past the topic's policy
    assert "AlarmArn" not in json.loads(json.loads(message["Body"])["Message"])


def test_the_inbox_is_for_reading(lab: Lab) -> None:
    arn = topic(lab, "readable")
    sns = lab.client("sns")
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="day@example.com")
    policy = json.dumps({"verdict": ["failed"]})
    sns.subscribe(TopicArn=arn, Protocol="sms", Endpoint="+6560000000", Attributes={"FilterPolicy": policy})
    attributes = {"verdict": {"DataType": "String", "StringValue": "passed"}}
    sns.publish(TopicArn=arn, Subject="drill", Message="passed\nin 4 s", MessageAttributes=attributes)
    runner = CliRunner()
    asked = ["lab", "inbox", "--directory", str(lab.directory), "--topic", "readable"]
    shown = runner.invoke(app, asked).stdout.splitlines()
    assert shown[0].endswith(f"UTC  {HOME}  readable")
    assert shown[1:] == [
        "drill",
        "    passed",
        "    in 4 s",
        "    verdict: passed",
        "    to email day@example.com",
        "",
    ]
    (letter,) = json.loads(runner.invoke(app, [*asked, "--json"]).stdout)
    assert (letter["subject"], letter["attributes"]) == ("drill", {"verdict": "passed"})


def watched_by(lab: Lab, kind: str, name: str, dimensions: dict[str, str], timeout: int = 10) -> str:
    """Put an alarm as the deployment would, and tell a topic of it; return the topic."""
    arn = topic(lab, kind)
    subject = Subject(plan(), HOME, name, timeout)
    request = alarm_model.request(alarms.BY_NAME[kind], subject, kind, dimensions)
    lab.client("cloudwatch").put_metric_alarm(**request, AlarmActions=[arn])
    return arn


def soon() -> datetime:
    """Return when the minute that is now is over; what happened in it can be looked at then."""
    return datetime.now(UTC) + MINUTE


def test_an_execution_that_fails_is_told_and_one_that_ends_well_is_not(lab: Lab) -> None:
    runs = Role(lab, "watched-runs", service="states.amazonaws.com")
    well = machine(lab, "well", {"Only": {"Type": "Succeed"}}, role=runs.arn)
    ill = machine(lab, "ill", {"Only": {"Type": "Fail", "Error": "Broken"}}, role=runs.arn)
    told = watched_by(lab, "machine-failed", "ill", {"StateMachineArn": well})
    execute(lab, well)
    lab.door.evaluate_alarms(soon())
    assert state(lab, "machine-failed") == "OK"
    told = watched_by(lab, "machine-failed", "ill", {"StateMachineArn": ill})
    execute(lab, ill)
    lab.door.evaluate_alarms(soon())
    (letter,) = letters(lab, told)
    message = json.loads(letter["text"])
    assert message["AlarmDescription"].startswith(
        f"{HOME}: an execution of the state machine ill failed, timed out or was aborted.\nSince: "
    )
    assert [query["MetricStat"]["Metric"]["MetricName"] for query in message["Trigger"]["Metrics"][:3]] == [
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
    ]


def test_a_function_that_fails_as_often_as_a_step_is_tried_is_told(lab: Lab) -> None:
    runs = Role(lab, "failing-runs", service="lambda.amazonaws.com")
    deploy(lab, "failing", "def handler(event, context):\n    raise ValueError\n", role=runs.arn)
    told = watched_by(lab, "function-errors", "failing", {"FunctionName": "failing"})
    for _ in range(TRIES - 1):
        invoke(lab, "failing")
    lab.door.evaluate_alarms(soon())
    assert letters(lab, told) == []
    invoke(lab, "failing")
    lab.door.evaluate_alarms(soon())
    assert len(letters(lab, told)) == 1


@pytest.mark.parametrize("gone", ["the queue", "its policy", "the endpoint"])
def test_what_does_not_reach_a_subscriber_is_told_and_what_does_is_not(lab: Lab, gone: str) -> None:
    name = gone.replace(" ", "-")
    arn, (sns, sqs) = topic(lab, name), (lab.client("sns"), lab.client("sqs"))
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    admit(lab, url, "sns.amazonaws.com")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{HOME}:{ACCOUNT}:{name}")
    told = watched_by(lab, "backups-unheard", name, {"TopicName": arn.rpartition(":")[2]})
    sns.publish(TopicArn=arn, Message="heard")
    lab.door.evaluate_alarms(soon())
    assert state(lab, "backups-unheard") == "OK"
    before = len(letters(lab, told))
    if gone == "the queue":
        sqs.delete_queue(QueueUrl=url)
    elif gone == "its policy":
        admit(lab, url, "events.amazonaws.com")
    else:
        closes(lab, arn)
    sns.publish(TopicArn=arn, Message="not heard")
    metric = {"Namespace": "AWS/SNS", "MetricName": "NumberOfNotificationsFailed"}
    about = [{"Name": "TopicName", "Value": arn.rpartition(":")[2]}]
    until(lambda: bool(lab.client("cloudwatch").list_metrics(**metric, Dimensions=about)["Metrics"]), 10)
    lab.door.evaluate_alarms(soon())
    (letter,) = letters(lab, told)[before:]
    assert json.loads(letter["text"])["Trigger"]["MetricName"] == "NumberOfNotificationsFailed"


def closes(lab: Lab, arn: str) -> None:
    """Subscribe an endpoint that confirms, and then is not there any more."""
    tokens: SimpleQueue[str] = SimpleQueue()

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            tokens.put(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Token"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Desk) as server:
        asked = Thread(target=server.handle_request)
        asked.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        lab.client("sns").subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint)
        asked.join()
    lab.client("sns").confirm_subscription(TopicArn=arn, Token=tokens.get(timeout=1))


def test_the_bare_emulator_counts_no_deliveries(unbent: Lab) -> None:
    arn, (sns, sqs) = topic(unbent, "unheard"), (unbent.client("sns"), unbent.client("sqs"))
    url = sqs.create_queue(QueueName="unheard")["QueueUrl"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{HOME}:{ACCOUNT}:unheard")
    sqs.delete_queue(QueueUrl=url)
    sns.publish(TopicArn=arn, Message="not heard")
    assert unbent.client("cloudwatch").list_metrics(Namespace="AWS/SNS")["Metrics"] == []


def test_the_bare_emulator_counts_no_executions(unbent: Lab) -> None:
    runs = Role(unbent, "bare-runs", service="states.amazonaws.com")
    execute(unbent, machine(unbent, "bare", {"Only": {"Type": "Succeed"}}, role=runs.arn))
    assert unbent.client("cloudwatch").list_metrics(Namespace="AWS/States")["Metrics"] == []
