"""The record is read as it was written, and never guessed at."""

import re
from pathlib import Path

import pytest

from pgdrill import __version__
from pgdrill.errors import NotRunnable
from pgdrill.lab.record import Record, Settings


def test_no_record_is_no_lab(tmp_path: Path) -> None:
    assert Record.read(tmp_path) is None


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record(settings=Settings(port=4566, amcheck="refused"), port=4566, pid=1, ready=True)
    record.write(tmp_path)
    assert Record.read(tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == ["lab.json"]


def test_a_record_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text('{"colour": "green"}', encoding="utf-8")
    message = (
        f"{str(tmp_path / 'lab.json')!r} is not a record that version {__version__} of the lab understands"
    )
    with pytest.raises(NotRunnable, match=f"^{re.escape(message)}$") as raised:
        Record.read(tmp_path)
    assert raised.value.hint == f"end that lab with the version that began it, or remove {str(tmp_path)!r}"
