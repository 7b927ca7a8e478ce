import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pgdrill.messages import ALARMED, Event, Level, Message, Metric, Reply

METRIC = Metric(name="CopyAge", value=7.5, unit="Seconds", dimensions={"Database": "x" * 25})


def message(level: Level, number: int = 0) -> Message:
    return Message(level=level, topic="t", text=f"{number} ä{'x' * 90}", hint="look")


def event(number: int = 0) -> Event:
    return Event(kind="PointDeleted", subject=f"{number}{'x' * 60}", detail={"why": "it is 30 days old"})


def size(reply: Reply) -> int:
    return len(reply.model_dump_json().encode())


def test_what_fits_is_passed_on_as_it_is() -> None:
    reply = Reply(metrics=(METRIC,), events=(event(),), messages=(message(Level.NOTE),))
    assert reply.within(4096) is reply


def test_what_does_not_fit_is_counted_and_the_most_urgent_stays() -> None:
    reply = Reply(
        metrics=(METRIC,) * 10,
        events=tuple(event(number) for number in range(40)),
        messages=(message(Level.NOTE), message(Level.ALARM), message(Level.WARNING)),
    )
    cut = reply.within(4096)
    assert cut.metrics == reply.metrics
    assert [one.level for one in cut.messages] == [Level.ALARM, Level.WARNING, Level.WARNING]
    assert 0 < len(cut.events) < 40
    assert cut.events == reply.events[: len(cut.events)]
    assert cut.messages[-1].model_dump() == {
        "level": "warning",
        "kind": "backups",
        "topic": "reply cut",
        "text": f"{41 - len(cut.events)} of 53 metrics, messages and events were too many to be passed on",
        "hint": "all of them stand in the log of the function",
        "attributes": {},
    }


def test_notes_that_do_not_fit_are_left_to_the_log() -> None:
    urgent = message(Level.ALARM)
    notes = tuple(message(Level.NOTE, number) for number in range(60))
    passed_on = Reply(messages=(*notes, urgent)).within(4096)
    assert passed_on.messages[0] == urgent
    assert 0 < len(passed_on.messages) - 1 < 60
    assert {one.topic for one in passed_on.messages} == {"t"}


@pytest.mark.parametrize("topic", sorted(ALARMED))
def test_what_an_alarm_stands_behind_is_a_note_and_all_else_stays(topic: str) -> None:
    behind, other = message(Level.ALARM).model_copy(update={"topic": topic}), message(Level.ALARM)
    told = Reply(metrics=(METRIC,), events=(event(),), messages=(behind, other)).beside_alarms()
    noted = behind.model_copy(update={"level": Level.NOTE})
    assert told == Reply(metrics=(METRIC,), events=(event(),), messages=(noted, other))


@pytest.mark.parametrize("attributes", [{"a b": "c"}, {"verdict": ""}, {f"a{n}": n for n in range(9)}])
def test_an_attribute_that_sns_would_refuse_is_none(attributes: dict[str, str | int]) -> None:
    with pytest.raises(ValidationError):
        Message(level=Level.REPORT, topic="t", text="t", attributes=attributes)


@given(
    st.integers(0, 60),
    st.integers(0, 60),
    st.lists(st.sampled_from(Level), max_size=60),
    st.integers(1024, 8192),
)
def test_no_reply_is_larger_than_it_may_be(metrics: int, events: int, levels: list[Level], most: int) -> None:
    reply = Reply(
        metrics=(METRIC,) * metrics,
        events=tuple(map(event, range(events))),
        messages=tuple(message(level, number) for number, level in enumerate(levels)),
    )
    assert size(reply.within(most)) <= most


@pytest.mark.parametrize("databases", [200])
def test_a_metric_of_each_of_many_databases_is_passed_on(databases: int) -> None:
    """As `beat` has one for each where production is down."""
    reply = Reply(
        metrics=tuple(
            Metric(name="BeatsFailed", value=1, unit="Count", dimensions={"Database": f"{number:025d}"})
            for number in range(databases)
        )
    )
    assert reply.within(24 * 1024) == reply
