"""Following an execution: each event is seen once, however many there are since the last look."""

from typing import Any

import pytest

from pgdrill.lab import deployed


class _States:
    """Step Functions with one execution, of which pages of its history are asked for."""

    def __init__(self, events: int) -> None:
        self.newest_first = [{"id": number} for number in range(events, 0, -1)]
        self.asked = 0

    def get_execution_history(self, **asked: Any) -> dict[str, Any]:
        assert asked["reverseOrder"]
        self.asked += 1
        begin = int(asked.get("nextToken", 0))
        end = begin + asked["maxResults"]
        more = {"nextToken": str(end)} if end < len(self.newest_first) else {}
        return {"events": self.newest_first[begin:end], **more}


@pytest.mark.parametrize("events", [0, 1, deployed.EVENTS, deployed.EVENTS + 1, 5 * deployed.EVENTS])
def test_every_event_since_the_last_look_is_told_once_and_in_order(events: int) -> None:
    for seen in {0, events // 2, events}:
        found = [event["id"] for event in deployed._since(_States(events), "execution", seen)]
        assert found == list(range(seen + 1, events + 1))


def test_what_was_seen_is_not_asked_for_again() -> None:
    states = _States(20 * deployed.EVENTS)
    assert len(deployed._since(states, "execution", len(states.newest_first) - 2)) == 2
    assert states.asked == 1
