"""The record of calls is read whole, or it is said where it is not; only its last line may still be being written."""

from pathlib import Path

import pytest

from pgdrill.errors import Broken
from pgdrill.lab.calls import FILE, Call, read


def call(number: int) -> Call:
    return Call(
        at=float(number), role="r", session="s", action="s3:GetObject", resource="*", region="r", allowed=True
    )


@pytest.fixture
def recorded(tmp_path: Path) -> list[Call]:
    calls = [call(number) for number in range(3)]
    (tmp_path / FILE).write_text("".join(f"{one.model_dump_json()}\n" for one in calls))
    return calls


def test_all_of_it_is_read(tmp_path: Path, recorded: list[Call]) -> None:
    assert list(read(tmp_path)) == recorded


def test_where_there_is_no_record_there_are_no_calls(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []


def test_a_last_line_that_is_being_written_is_left_out(tmp_path: Path, recorded: list[Call]) -> None:
    path = tmp_path / FILE
    path.write_text(path.read_text()[:-5])
    assert list(read(tmp_path)) == recorded[:-1]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_is_no_call_is_an_error_wherever_it_is(
    tmp_path: Path, recorded: list[Call], number: int
) -> None:
    path = tmp_path / FILE
    lines = path.read_text().splitlines(keepends=True)
    lines[number - 1] = '{"at": 1}\n'
    path.write_text("".join(lines))
    with pytest.raises(Broken) as raised:
        list(read(tmp_path))
    assert (raised.value.message, raised.value.hint) == (
        f"line {number} of {str(path)!r} is no call of a role",
        "see who else writes there; end this lab with: pgdrill lab down",
    )
