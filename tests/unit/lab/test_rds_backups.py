from datetime import UTC, datetime

import pytest

from pgdrill.lab.rds.backups import QUIET_ROUNDS, Pace, is_due


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}:00+00:00").astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "now", "last", "due"),
    [
        ("18:00-18:30", "23T18:00", "22T18:10", True),
        ("18:00-18:30", "23T18:29", "22T18:10", True),
        ("18:00-18:30", "23T18:30", "22T18:10", False),
        ("18:00-18:30", "23T17:59", "22T18:10", False),
        ("18:00-18:30", "23T18:20", "23T18:05", False),
        ("18:00-18:30", "23T18:20", "23T09:00", True),
        ("23:45-00:15", "24T00:10", "22T23:50", True),
        ("23:45-00:15", "24T00:10", "23T23:50", False),
        ("23:45-00:15", "24T00:15", "22T23:50", False),
    ],
)
def test_a_snapshot_is_due_once_in_each_window(window: str, now: str, last: str, due: bool) -> None:
    assert is_due(window, at(now), at(last)) is due


def test_an_instance_that_is_written_to_is_archived_every_round() -> None:
    pace = Pace()
    for position in range(100):
        assert pace.due(position)
        pace.position = position


def test_an_instance_that_nobody_writes_to_is_archived_seldom() -> None:
    pace = Pace(position=7)
    assert [round_ for round_ in range(1, 3 * QUIET_ROUNDS) if pace.due(7)] == [
        1,
        2,
        3,
        4,
        QUIET_ROUNDS,
        2 * QUIET_ROUNDS,
    ]


def test_the_first_write_ends_the_quiet() -> None:
    pace = Pace(position=7)
    for _ in range(QUIET_ROUNDS - 5):
        pace.due(7)
    assert not pace.due(7)
    assert pace.due(8)
