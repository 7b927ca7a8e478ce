"""Who publishes to the topics, who is told, and what of AWS's own events reaches them, in words."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ministack.services import eventbridge, sns

from canary import policy as queue_policy
from fast_path import INSTANCE as OF_INSTANCES
from fast_path import LONGEST, Rule, rules, template
from fast_path import SNAPSHOT as OF_SNAPSHOTS
from naming import Names
from pgdrill.messages import Kind
from settings import load
from subscriptions import subscribers
from tests.infra import definitions
from tests.infra.program import ACCOUNT, ADOPTED, REGIONS, SETTINGS, Resource, Run, program
from tests.infra.roles import HOME
from topics import policy

SUBSCRIPTION, RULE, TARGET = (
    "aws:sns/topicSubscription:TopicSubscription",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
)
MACHINES = definitions.NAMES
INSTANCE, POINT = "pgdrill-test-production-shop", "pgdrill-test-shop-20261122t06z"


# ------------------------------------------------------------------------------------ who may publish


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("kind", Kind)
def test_alarms_of_this_deployment_publish_and_eventbridge_which_names_nobody(
    region: str, kind: Kind
) -> None:
    names = Names("test", region, ACCOUNT)
    statements = {one["Sid"]: one for one in policy(names, kind)["Statement"]}
    assert {
        sid: (one["Effect"], one["Principal"], one.get("Condition")) for sid, one in statements.items()
    } == {
        "Alarms": (
            "Allow",
            {"Service": "cloudwatch.amazonaws.com"},
            {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:pgdrill-test-*"}},
        ),
        # EventBridge tells a topic nothing of whom it comes for, so a condition would shut it out.
        "Events": ("Allow", {"Service": "events.amazonaws.com"}, None),
        "TlsOnly": ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}}),
    }
    assert {one["Resource"] for one in statements.values()} == {names.arn("sns", f"pgdrill-test-{kind}")}


@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_the_key_of_the_topics_lets_in_who_the_topics_let_in(whole: Run, cell: str) -> None:
    key = json.loads(whole.one("aws:kms/key:Key", f"{cell}-messages").inputs["policy"])
    services = {
        one["Principal"]["Service"]: one.get("Condition")
        for one in key["Statement"]
        if "Service" in one["Principal"]
    }
    assert services["cloudwatch.amazonaws.com"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    # A key is told nothing of whom EventBridge comes for, so a condition would shut it out.
    assert services["events.amazonaws.com"] is None


# ------------------------------------------------------------------------------------ who is told


TOLD: dict[str, Any] = {
    "email": ["dba@example.com"],
    "https": ["https://pages.example/hook"],
    "sqs": [f"arn:aws:sqs:{HOME}:{ACCOUNT}:ours"],
    "chat": [{"workspace": "T0123ABCD", "channel": "C0123ABCD"}],
    "subscription": [
        {
            "protocol": "email",
            "endpoint": "audit@example.com",
            "topics": ["drills"],
            "only": {"verdict": ["failed"]},
        }
    ],
}


@pytest.fixture(scope="module")
def told() -> Run:
    return program(SETTINGS | {"notify": TOLD})


def test_who_is_to_be_told_subscribes_in_both_cells(told: Run) -> None:
    made = [one for one in told.of(SUBSCRIPTION) if "canary" not in one.name]
    assert {one.inputs["region"] for one in made} == set(REGIONS)
    per_topic = sorted(
        (one.inputs["topic"].rpartition("-")[2], one.inputs["protocol"], one.inputs["endpoint"])
        for one in made
        if one.inputs["region"] == HOME
    )
    everything = [
        ("email", "dba@example.com"),
        ("https", "https://pages.example/hook"),
        ("sqs", TOLD["sqs"][0]),
    ]
    assert per_topic == sorted(
        [(kind.value, *one) for kind in Kind for one in everything]
        + [("drills", "email", "audit@example.com")]
    )
    assert [one.name for one in made if "example" in one.name] == []


def test_a_channel_follows_every_topic_of_both_cells_and_can_do_nothing(told: Run) -> None:
    (chat,) = told.of("aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration")
    topics = {one.outputs["arn"] for one in told.of("aws:sns/topic:Topic")}
    assert (set(chat.inputs["snsTopicArns"]), len(topics)) == (topics, 4)
    assert chat.inputs["guardrailPolicyArns"] == ["arn:aws:iam::aws:policy/AWSDenyAll"]
    role = told.one("aws:iam/rolePolicy:RolePolicy", "chats").inputs["policy"]
    assert json.loads(role)["Statement"] == [
        {"Sid": "Nothing", "Effect": "Deny", "Action": ["*"], "Resource": ["*"]}
    ]


def test_nobody_has_a_chat_who_asked_for_none(whole: Run) -> None:
    assert whole.of("aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration") == []


PASSED = {"verdict": ("String", "passed"), "level": ("String", "report")}
FAILED = {"verdict": ("String", "failed"), "level": ("String", "alarm")}


@pytest.mark.parametrize(
    ("attributes", "heard"),
    [
        ({}, {"dba@example.com"}),  # an alarm
        (PASSED, {"dba@example.com"}),
        (FAILED, {"dba@example.com", "audit@example.com"}),
        ({"canary": ("String", "x"), "level": ("String", "note")}, {"dba@example.com", "queue"}),
    ],
)
def test_a_filter_lets_through_what_was_asked_for(
    told: Run, attributes: dict[str, tuple[str, str]], heard: set[str]
) -> None:
    queue = told.one("aws:sqs/queue:Queue", "primary-canary").outputs["arn"]
    known = {"dba@example.com": "dba@example.com", "audit@example.com": "audit@example.com", queue: "queue"}
    message = {name: {"DataType": kind, "StringValue": value} for name, (kind, value) in attributes.items()}
    through = {
        known[one.inputs["endpoint"]]
        for one in told.of(SUBSCRIPTION, HOME)
        if one.inputs["endpoint"] in known
        and one.inputs["topic"].endswith("-drills")
        and sns._matches_filter_policy(
            {"attributes": {"FilterPolicy": one.inputs.get("filterPolicy", "")}}, message, "text"
        )
    }
    assert through == heard


def test_two_filters_of_one_endpoint_are_two_subscriptions() -> None:
    one = TOLD["subscription"][0]
    other = one | {"only": {"verdict": ["inconclusive"]}}
    notify = load(SETTINGS | {"notify": {"subscription": [one, other]}}).notify
    assert len({each.digest for each in subscribers(notify)}) == 2


# ------------------------------------------------------------------------------------ the canary


@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_the_canary_is_awaited_behind_both_topics(whole: Run, cell: str) -> None:
    queue = whole.one("aws:sqs/queue:Queue", f"{cell}-canary")
    assert queue.inputs["kmsMasterKeyId"] == whole.one("aws:kms/key:Key", f"{cell}-messages").outputs["arn"]
    made = [whole.one(SUBSCRIPTION, f"{cell}-canary-{kind}").inputs for kind in Kind]
    topics = [whole.one("aws:sns/topic:Topic", f"{cell}-{kind}").outputs["arn"] for kind in Kind]
    assert [(one["topic"], one["endpoint"]) for one in made] == [
        (arn, queue.outputs["arn"]) for arn in topics
    ]
    assert all(one["rawMessageDelivery"] for one in made)
    definition = whole.one("aws:sfn/stateMachine:StateMachine", f"{cell}-canary-machine").inputs["definition"]
    assert queue.outputs["url"] in definition
    assert all(arn in definition for arn in topics)
    assert "${" not in definition


@pytest.mark.parametrize("region", REGIONS)
def test_only_the_two_topics_send_to_the_canarys_queue(region: str) -> None:
    topics, tls = queue_policy(Names("test", region, ACCOUNT))["Statement"]
    assert topics["Principal"] == {"Service": "sns.amazonaws.com"}
    assert topics["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        f"arn:aws:sns:{region}:{ACCOUNT}:pgdrill-test-{kind}" for kind in Kind
    ]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


# ------------------------------------------------------------------------------------ the fast path


def rds(number: str, subject: str, region: str = HOME) -> dict[str, Any]:
    instance = subject in {INSTANCE, "somebody-elses"} or "-drill-" in subject
    return {
        "Source": "aws.rds",
        "DetailType": "RDS DB Instance Event" if instance else "RDS DB Snapshot Event",
        "Region": region,
        "Account": ACCOUNT,
        "Detail": json.dumps(
            {
                "EventID": f"RDS-EVENT-{number}",
                "SourceIdentifier": subject,
                "Message": "as RDS says it",
                "Date": "2026-11-23T06:00:00.000Z",
            }
        ),
    }


def execution(machine: str, status: str) -> dict[str, Any]:
    arn = f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:{machine}"
    return {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Region": HOME,
        "Account": ACCOUNT,
        "Detail": json.dumps(
            {
                "status": status,
                "stateMachineArn": arn,
                "executionArn": f"{arn.replace(':stateMachine', ':execution')}:e",
            }
        ),
    }


def alarm(name: str, before: str, after: str) -> dict[str, Any]:
    return {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Region": HOME,
        "Account": ACCOUNT,
        "Detail": json.dumps(
            {
                "alarmName": name,
                "state": {"value": after, "timestamp": "2026-11-23T06:10:00.000+0000"},
                "previousState": {"value": before, "timestamp": "2026-11-23T06:00:00.000+0000"},
            }
        ),
    }


def _matches(rule: Resource, event: dict[str, Any]) -> bool:
    return bool(eventbridge._matches_pattern(rule.inputs["eventPattern"], event))  # type: ignore[no-untyped-call] # the emulator's


def through(run: Run, event: dict[str, Any]) -> set[str]:
    """Return the rules of the default bus in the primary region that take an event."""
    return {
        one.name.removeprefix("primary-")
        for one in run.of(RULE, HOME)
        if "eventBusName" not in one.inputs and _matches(one, event)
    }


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        *((rds(number, INSTANCE), "instance-failed") for number in ("0028", "0031", "0067", "0003", "0089")),
        *((rds(number, POINT), "point-failed") for number in ("0061", "0159", "0484")),
        *(
            (execution("pgdrill-test-take", how), "backups-execution-failed")
            for how in ("FAILED", "TIMED_OUT")
        ),
        (execution("pgdrill-test-drill", "ABORTED"), "drills-execution-failed"),
        (alarm("pgdrill-test-snapshot-late-shop", "ALARM", "OK"), "backups-alarm-over"),
        (alarm("pgdrill-test-drill-failed-shop", "ALARM", "OK"), "drills-alarm-over"),
    ],
)
def test_a_failure_and_the_end_of_an_alarm_are_told_once(
    whole: Run, event: dict[str, Any], rule: str
) -> None:
    assert through(whole, event) == {rule}


@pytest.mark.parametrize(
    "event",
    [
        rds("0002", INSTANCE),
        rds("0031", "pgdrill-test-drill-shop"),
        rds("0003", "pgdrill-test-drill-shop"),
        rds("0031", "somebody-elses"),
        rds("0042", POINT),
        rds("0041", POINT),
        rds("0061", "pgdrill-tests-shop-20261122t06z"),
        execution("pgdrill-test-take", "SUCCEEDED"),
        execution("pgdrill-other-take", "FAILED"),
        alarm("pgdrill-test-snapshot-late-shop", "INSUFFICIENT_DATA", "OK"),
        alarm("pgdrill-test-snapshot-late-shop", "OK", "ALARM"),
        # Told where nobody can be told, it would set itself off anew.
        alarm("pgdrill-test-backups-unheard", "ALARM", "OK"),
        alarm("pgdrill-test-drills-unheard", "ALARM", "OK"),
        alarm("pgdrill-other-snapshot-late-shop", "ALARM", "OK"),
    ],
    ids=lambda event: event["Detail"][:60],
)
def test_what_is_well_or_not_ours_is_told_to_nobody(whole: Run, event: dict[str, Any]) -> None:
    assert through(whole, event) == set()


@pytest.mark.parametrize("region", REGIONS)
def test_every_machine_is_in_one_rule_and_every_pattern_fits(region: str) -> None:
    databases = [
        {"name": f"d{n}", "instance": f"a-database-of-a-customer-with-a-long-name-{n:03}", "secret": "s"}
        for n in range(200)
    ]
    plan = load(ADOPTED | {"stack": {"suffix": "abcdefghijklmno"}, "database": databases})
    made = list(rules(plan, Names("abcdefghijklmno", region, ACCOUNT), MACHINES))
    assert max(len(json.dumps(one.pattern)) for one in made) <= LONGEST
    assert len({one.thing for one in made}) == len(made)
    listed = [
        arn.rpartition("-")[2] for one in made for arn in one.pattern["detail"].get("stateMachineArn", [])
    ]
    assert sorted(listed) == sorted(MACHINES)
    named = [
        each
        for one in made
        if one.thing.startswith("instance-failed")
        for each in one.pattern["detail"]["SourceIdentifier"]
    ]
    assert named == ([one["instance"] for one in databases] if region == HOME else [])


def test_a_rule_tells_the_topic_of_what_it_is_about_in_a_sentence(whole: Run) -> None:
    target = whole.one(TARGET, "primary-instance-failed").inputs
    assert target["arn"] == whole.one("aws:sns/topic:Topic", "primary-backups").outputs["arn"]
    assert target["deadLetterConfig"] == {
        "arn": whole.one("aws:sqs/queue:Queue", "primary-dead-letters").outputs["arn"]
    }
    drills = whole.one(TARGET, "primary-drills-execution-failed").inputs
    assert drills["arn"] == whole.one("aws:sns/topic:Topic", "primary-drills").outputs["arn"]


def read(rule: Rule, event: dict[str, Any]) -> str:
    """Return what a person reads, as the lab's EventBridge fills it in."""
    view = eventbridge._pattern_event_view(event | {"Time": 1_790_000_000, "EventId": "e"})  # type: ignore[no-untyped-call] # the emulator's
    transformer = {"InputPathsMap": rule.paths, "InputTemplate": template("test", rule.text)}
    return str(json.loads(eventbridge._apply_input_transformer(transformer, {}, view)))  # type: ignore[no-untyped-call] # the emulator's


def test_what_a_person_reads_says_what_happened_to_what_where_and_what_to_read() -> None:
    made = {one.thing: one for one in rules(load(SETTINGS), Names("test", HOME, ACCOUNT), MACHINES)}
    assert read(made["instance-failed"], rds("0028", INSTANCE)) == (
        f"pgdrill test: in {HOME} RDS told of {INSTANCE}, at 2026-11-23T06:00:00.000Z: as RDS says it"
        " (RDS-EVENT-0028)"
        " Read: docs/operations.md#the-fast-path"
    )
    text = read(made["drills-execution-failed"], execution("pgdrill-test-drill", "ABORTED"))
    begin = f"pgdrill test: in {HOME} the execution arn:aws:states:{HOME}:{ACCOUNT}:execution:pgdrill-test-drill:e"
    assert text.startswith(f"{begin} ended: ABORTED, at ")
    assert "<" not in text


def test_a_drill_that_met_another_one_is_told_with_what_that_means_and_a_point_is_not() -> None:
    made = {one.thing: one for one in rules(load(SETTINGS), Names("test", HOME, ACCOUNT), MACHINES)}
    busy = (
        "If that error is Busy, another drill of the database was under way, which tells its own result: nothing is"
        " to be done."
    )
    assert busy in read(made["drills-execution-failed"], execution("pgdrill-test-drill", "FAILED"))
    assert "Busy" not in read(made["backups-execution-failed"], execution("pgdrill-test-point", "FAILED"))


def test_every_event_of_the_fast_path_stands_in_the_runbook() -> None:
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text().partition("### The fast path")[2]
    rows = [line for line in text.partition("\n### ")[0].splitlines() if line.startswith("| `")]
    listed = {number for row in rows for number in re.findall(r"`(?:RDS-EVENT-)?(\d{4})`", row.split("|")[1])}
    assert listed == {*OF_INSTANCES, *OF_SNAPSHOTS}
