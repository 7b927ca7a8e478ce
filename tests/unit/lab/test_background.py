"""What goes on in the background goes on until it is left, and what goes wrong there is not lost."""

import threading

import pytest

from pgdrill.lab.background import Background


def test_it_calls_again_and_again_until_it_is_left() -> None:
    enough = threading.Event()
    calls: list[int] = []

    def act() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            enough.set()

    with Background(act, pause=0.001) as background:
        assert enough.wait(5)
    done = len(calls)
    assert background.done == done >= 3
    assert len(calls) == done


def test_what_goes_wrong_is_raised_where_it_is_left() -> None:
    failed = threading.Event()

    def act() -> None:
        failed.set()
        raise LookupError("no such order")

    with pytest.raises(LookupError, match="no such order"), Background(act, pause=0.001):
        assert failed.wait(5)


def test_an_error_of_the_foreground_is_the_one_that_counts() -> None:
    failed = threading.Event()

    def act() -> None:
        failed.set()
        raise LookupError("no such order")

    def foreground() -> None:
        with Background(act, pause=0.001):
            assert failed.wait(5)
            raise KeyError("foreground")

    with pytest.raises(KeyError, match="foreground"):
        foreground()
