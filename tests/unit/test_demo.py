"""The demo's frame: what it shows where, which beats lie on either side of a target, what it leaves behind."""

import io
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from pgdrill.demo import acts, frame, steps
from pgdrill.errors import Broken
from pgdrill.lab.lab import Lab
from pgdrill.model import Beat

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _beat(sequence: int, seconds: float, lasts: float = 0.01) -> Beat:
    at = NOON + timedelta(seconds=seconds)
    return Beat(
        sequence=sequence, beat_at=at, done_at=at + timedelta(seconds=lasts), digest=f"{sequence:064x}"
    )


def _console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=80, highlight=False), out


def test_the_beats_nearest_to_a_target_are_its_sides() -> None:
    beats = (_beat(1, -2), _beat(2, -1), _beat(3, 1), _beat(4, 2))
    before, after = acts._neighbours(beats, NOON)
    assert (before.sequence, after.sequence) == (2, 3)


def test_a_beat_that_was_under_way_at_the_target_is_on_neither_side() -> None:
    beats = (_beat(1, -1), _beat(2, -0.1, lasts=0.2), _beat(3, 1))
    before, after = acts._neighbours(beats, NOON)
    assert (before.sequence, after.sequence) == (1, 3)


@pytest.mark.parametrize("beats", [(), (_beat(1, -1),), (_beat(1, 1),)])
def test_a_target_without_beats_on_both_sides_shows_nothing(beats: tuple[Beat, ...]) -> None:
    with pytest.raises(Broken) as raised:
        acts._neighbours(beats, NOON)
    assert raised.value.message == "the witness has no beat on both sides of the target"


def test_a_log_gets_a_line_when_a_step_begins_and_one_when_it_ends() -> None:
    console, out = _console(terminal=False)
    with steps.step(console, "loading [a] shop") as says:
        says("row 1")
        assert out.getvalue() == "... loading [a] shop\n"
    first, last = out.getvalue().splitlines()
    assert first == "... loading [a] shop"
    assert re.fullmatch(r" +\d+\.\d s  loading \[a\] shop", last)


def test_a_terminal_shows_how_far_a_step_is() -> None:
    console, out = _console(terminal=True)
    with steps.step(console, "loading a shop") as says:
        says("row 1")
    assert "loading a shop: row 1" in out.getvalue()
    assert re.search(r" +\d+\.\d s  loading a shop\n", out.getvalue())


def test_a_step_that_broke_is_not_told_as_done() -> None:
    console, out = _console(terminal=False)
    with pytest.raises(LookupError), steps.step(console, "loading a shop"):
        raise LookupError
    assert out.getvalue() == "... loading a shop\n"


def test_the_lab_environment_is_there_and_gone_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "environment", {"AWS_REGION": "xx-lab-1"})
    monkeypatch.setenv("AWS_REGION", "eu-mine-1")
    lab = Lab(tmp_path)
    monkeypatch.setenv("AWS_PROFILE", "mine")
    with frame._environment(lab):
        assert os.environ["AWS_REGION"] == "xx-lab-1"
        assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_REGION"] == "eu-mine-1"
    assert os.environ["AWS_PROFILE"] == "mine"


def test_the_log_of_a_lab_that_broke_is_kept_with_the_reports(tmp_path: Path) -> None:
    console, out = _console(terminal=False)
    lab = Lab(tmp_path / "lab")
    lab.directory.mkdir()
    (lab.directory / "daemon.log").write_text("why")
    frame._save_log(lab, console, tmp_path / "reports")
    assert (tmp_path / "reports" / "lab.log").read_text() == "why"
    assert str(tmp_path / "reports" / "lab.log") in out.getvalue()
