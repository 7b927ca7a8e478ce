"""What rounds find again each time is told once for as long as it lasts."""

from datetime import timedelta

import pytest

from pgdrill.errors import Unavailable
from pgdrill.messages import Level, Message, Reply
from pgdrill.points import lasting
from tests.unit import cells
from tests.unit.memory import Memory
from tests.unit.plans import plan
from tests.unit.snapshots import EPOCH

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Rounds:
    """Rounds of one cell, each at its time."""

    def __init__(self) -> None:
        self.store = Memory()
        self.cell, _ = cells.cell(plan(), self.store, dr=True)

    def tell(self, after: timedelta, *texts: str, topic: str = "copy refused") -> list[Level]:
        messages = tuple(Message(level=Level.ALARM, topic=topic, text=text) for text in texts)
        told = lasting.once(self.cell, Reply(messages=messages), EPOCH + after)
        assert [message.text for message in told.messages] == list(texts)
        return [message.level for message in told.messages]


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


def test_what_lasts_for_weeks_is_told_once(rounds: Rounds) -> None:
    levels = [rounds.tell(hours * HOUR, "a")[0] for hours in range(0, 24 * 14, 12)]
    assert levels == [Level.ALARM] + [Level.NOTE] * 27


def test_what_comes_besides_is_told(rounds: Rounds) -> None:
    assert rounds.tell(0 * HOUR, "a") == [Level.ALARM]
    assert rounds.tell(HOUR, "a", "b") == [Level.NOTE, Level.ALARM]
    assert rounds.tell(2 * HOUR, "a", "b") == [Level.NOTE, Level.NOTE]


def test_what_a_round_did_not_look_at_is_not_over_and_what_comes_back_after_a_day_is_told(
    rounds: Rounds,
) -> None:
    assert rounds.tell(0 * HOUR, "a") == [Level.ALARM]
    assert rounds.tell(HOUR) == []
    assert rounds.tell(DAY - HOUR, "a") == [Level.NOTE]
    assert rounds.tell(2 * DAY, "a") == [Level.ALARM]


def test_what_happens_is_told_each_time(rounds: Rounds) -> None:
    for _ in range(2):
        assert rounds.tell(HOUR, "a", topic="point failed") == [Level.ALARM]
    assert rounds.store.objects == {}


def test_what_was_told_is_forgotten_and_what_cannot_be_read_is_told_once_more(rounds: Rounds) -> None:
    rounds.tell(0 * HOUR, "a")
    (key,) = rounds.store.objects
    assert key == "inventory/ap-northeast-1/said.json"
    rounds.tell(2 * DAY)
    assert rounds.store.objects[key] == b'{"found_at":{}}'
    rounds.store.put(key, b"{")
    assert rounds.tell(2 * DAY, "a") == [Level.ALARM]
    assert rounds.tell(2 * DAY, "a") == [Level.NOTE]


@pytest.mark.parametrize("call", ["get", "put"])
def test_a_store_that_does_not_answer_keeps_nothing_from_being_told(
    rounds: Rounds, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of a copy is told by one round alone."""

    def silent(*_: object) -> None:
        raise Unavailable("S3 does not answer", hint="ask again")

    monkeypatch.setattr(rounds.store, call, silent)
    for _ in range(2):
        assert rounds.tell(HOUR, "a") == [Level.ALARM]
