"""`pgdrill seal`: what each command prints and how it ends."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from pgdrill.cli import seal as commands
from tests.unit.memory import Memory
from tests.unit.plans import plan
from tests.unit.test_seal import KEYS, stored


@pytest.fixture(name="memory", autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """A store with the seals of two points, in place of the one that the plan names."""
    memory = stored()
    monkeypatch.setattr(commands, "open_cell", lambda *_: SimpleNamespace(store=memory, plan=plan()))
    return memory


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["seal", *arguments], terminal_width=200)


def test_list_shows_the_newest_seal_first() -> None:
    told = json.loads(run("list", "--json").stdout)
    assert [one["key"] for one in told] == KEYS[::-1]
    assert (told[0]["point"], told[0]["phase"], told[0]["taken_at"]) == (
        "p2",
        "after",
        "2026-11-22T07:02:00Z",
    )
    assert run("list").stdout.splitlines()[1].split() == ["2026-11-22", "07:02:00", "after", "p2"]


def test_list_of_nothing_says_how_to_begin(memory: Memory) -> None:
    memory.objects.clear()
    assert run("list").stdout == "no seal yet; the next point has some: pgdrill point take\n"


def test_seals_as_they_were_written_are_whole() -> None:
    result = run("verify")
    assert (result.exit_code, result.stdout) == (0, "✓ shop: 4 seals, whole\n")
    assert json.loads(run("verify", "--json").stdout) == []


def test_a_seal_that_is_gone_fails_and_is_told(memory: Memory) -> None:
    del memory.objects[KEYS[1]]
    result = run("verify")
    assert (result.exit_code, result.stdout) == (
        1,
        f"✗ shop: 3 seals, 1 break\n  dropped: {KEYS[2]} is number 3 and comes after number 1\n",
    )
    assert [one["fault"] for one in json.loads(run("verify", "--json").stdout)] == ["dropped"]
