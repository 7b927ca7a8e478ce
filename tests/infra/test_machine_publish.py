"""The machine `publish` and `pgdrill.publishing` tell the same, whatever there is to tell."""

import json
import string
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgdrill import publishing
from pgdrill.aws import metrics, topics
from pgdrill.cell import Cell
from pgdrill.messages import MOST_ATTRIBUTES, Event, Kind, Level, Message, Metric, Reply
from tests.infra import definitions
from tests.infra.definitions import evaluate

PLACE = {"bus": "a-bus", "backups_topic": "arn-of-backups", "drills_topic": "arn-of-drills"}
FILLED = json.loads(
    definitions.filled(
        "publish",
        {
            "suffix": "test",
            "bus": "a-bus",
            "topic_backups": "arn-of-backups",
            "topic_drills": "arn-of-drills",
        },
    )
)["States"]

NAMES = st.text(string.ascii_letters + string.digits + " .'-", min_size=1, max_size=12) | st.just("n" * 120)
TEXTS = st.text(max_size=20)
VALUES = TEXTS | st.integers(-(2**31), 2**31) | st.floats(allow_nan=False, allow_infinity=False) | st.none()
REPLIES = st.builds(
    Reply,
    metrics=st.lists(
        st.builds(
            Metric,
            name=NAMES,
            value=st.floats(0, 1e9),
            unit=st.sampled_from(["Seconds", "Count", "Percent"]),
            dimensions=st.dictionaries(st.sampled_from(["Database", "Region"]), NAMES),
        ),
        max_size=4,
    ).map(tuple),
    events=st.lists(
        st.builds(Event, kind=NAMES, subject=NAMES, detail=st.dictionaries(NAMES, VALUES, max_size=2)),
        max_size=12,
    ).map(tuple),
    messages=st.lists(
        st.builds(
            Message,
            level=st.sampled_from(Level),
            kind=st.sampled_from(Kind),
            topic=NAMES,
            text=NAMES,
            hint=st.just("") | NAMES,
            attributes=st.dictionaries(
                st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=20),
                NAMES | st.integers(-(10**9), 10**9),
                max_size=MOST_ATTRIBUTES,
            ),
        ),
        max_size=3,
    ).map(tuple),
)


class Told:
    """Clients of SNS, EventBridge and CloudWatch that write down what they are told."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.put: list[dict[str, Any]] = []

    def publish(self, **given: Any) -> None:
        self.sent.append(given)

    def put_events(self, **given: Any) -> dict[str, int]:
        entries = [entry | {"Detail": json.loads(entry["Detail"])} for entry in given["Entries"]]
        self.events.append({"Entries": entries})
        return {"FailedEntryCount": 0}

    def put_metric_data(self, **given: Any) -> None:
        self.put.append(given)


def by_the_command_line(reply: Reply) -> Told:
    told = Told()
    plan = SimpleNamespace(stack=SimpleNamespace(suffix="test"))
    cell = SimpleNamespace(plan=plan, place=SimpleNamespace(**PLACE), client=lambda _: told)
    assert publishing.publish(cast("Cell", cell), reply) == ()
    return told


def by_the_machine(reply: Reply) -> Told:
    told = Told()
    states = {"input": {"reply": reply.model_dump(mode="json")}}
    send, put, data = FILLED["Send messages"], FILLED["Put events"], FILLED["Put metrics"]
    told.sent = [_inside(send, item) for item in evaluate(send["Items"], states)]
    told.events = [_inside(put, item) for item in evaluate(put["Items"], states)]
    (choice,) = FILLED["Any metrics?"]["Choices"]
    if evaluate(choice["Condition"], states):
        told.put = [evaluate(data["Arguments"], states)]
    return told


def _inside(outer: definitions.Body, item: Any) -> Any:
    processor = outer["ItemProcessor"]
    return evaluate(processor["States"][processor["StartAt"]]["Arguments"], {"input": item})


# How long drawing a reply takes says how busy the machine is, and nothing of what is tested.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(REPLIES)
def test_both_tell_the_same(reply: Reply) -> None:
    machine, command_line = by_the_machine(reply), by_the_command_line(reply)
    assert machine.sent == command_line.sent
    assert machine.events == command_line.events
    assert machine.put == command_line.put


def test_an_empty_attribute_is_left_out_since_sns_refuses_it() -> None:
    attributes: dict[str, str | int] = {"database": "", "region": "here", "failed": 0}
    plain = Message(level=Level.ALARM, topic="t", text="text")
    empty = plain.model_copy(update={"topic": "", "attributes": attributes})
    reply = Reply(messages=(plain, empty))
    machine, command_line = by_the_machine(reply), by_the_command_line(reply)
    assert machine.sent == command_line.sent
    assert [set(message["MessageAttributes"]) for message in machine.sent] == [
        {"level", "topic"},
        {"level", "region", "failed"},
    ]


def test_a_long_reply_is_within_the_limits_of_each_service() -> None:
    events = tuple(Event(kind="k", subject=str(number)) for number in range(23))
    long = Message(level=Level.ALARM, topic="t" * 200, text="text")
    told = by_the_machine(Reply(events=events, messages=(long,)))
    assert [len(batch["Entries"]) for batch in told.events] == [10, 10, 3]
    assert [len(message["Subject"]) for message in told.sent] == [topics.LONGEST]


def test_the_namespace_is_the_one_that_alarms_look_at() -> None:
    assert FILLED["Put metrics"]["Arguments"]["Namespace"] == metrics.NAMESPACE
