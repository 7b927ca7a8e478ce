"""What is waited for is asked for again, and said once; only a drill that can be continued is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from pgdrill.cell import Cell
from pgdrill.drills.conduct import resume, until_gone
from pgdrill.errors import Broken, NotRunnable, Unavailable
from pgdrill.model import Clock
from tests.unit.memory import Memory

START = datetime(2026, 11, 22, 6, tzinfo=UTC)
CREATING = "cannot delete 'x': it is being created."


class Passing:
    """A clock on which the seconds that are waited pass."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self, wait: float) -> Clock:
        self.now += timedelta(seconds=wait)
        return Clock(now=self.now, remaining=lambda: 60.0, budget=60.0)


def test_a_refusal_that_stays_the_same_is_told_once() -> None:
    answers: Iterator[str] = iter([CREATING, CREATING, "cannot delete 'x': Throttling", ""])

    def gone() -> bool:
        if refusal := next(answers):
            raise Unavailable(refusal, hint="")
        return True

    said: list[str] = []
    until_gone("instance 'x'", gone, Passing(), said.append)
    assert said == [
        "cannot delete 'x': it is being created; asking again until it is gone",
        "cannot delete 'x': Throttling; asking again until it is gone",
    ]


def test_what_is_there_after_an_hour_is_told() -> None:
    with pytest.raises(Broken) as raised:
        until_gone("instance 'x'", lambda: False, Passing(), lambda _: None)
    assert raised.value.message == "instance 'x' is not gone after an hour of asking"


def test_a_drill_of_another_version_is_not_continued() -> None:
    store = Memory()
    store.put("drills/shop/d1/drill.json", b'{"id": "d1", "a_key_of": "another version"}')
    with pytest.raises(NotRunnable) as raised:
        resume(cast("Cell", SimpleNamespace(store=store)), "shop", "d1")
    assert (raised.value.message, raised.value.hint) == (
        "drill 'd1' was begun by another version of pgdrill",
        "continue it with that one, or end it with: pgdrill drill reap --drill d1",
    )
