"""What a prompt makes of each answer: only a yes goes on."""

import io
import sys
from typing import NoReturn

import pytest
import typer
from typer.testing import CliRunner

from pgdrill.cli.context import agree
from pgdrill.errors import NotRunnable

app = typer.Typer()


@app.command()
def ask() -> None:
    agree("Recover?", "not recovered")
    typer.echo("recovered")


def test_a_yes_goes_on() -> None:
    ended = CliRunner().invoke(app, input="y\n")
    assert (ended.exit_code, ended.stdout.splitlines()[-1]) == (0, "recovered")


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "nothing", "end of input"])
def test_anything_else_is_not_runnable(answer: str) -> None:
    refused = CliRunner().invoke(app, input=answer).exception
    assert isinstance(refused, NotRunnable)
    assert (refused.message, refused.hint, refused.exit_status) == (
        "not recovered",
        "say yes, or give --yes",
        2,
    )


def test_a_closed_standard_input_is_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(NotRunnable, match="not recovered"):
        agree("Recover?", "not recovered")


class Interrupted(io.StringIO):
    def readline(self, *_: object) -> NoReturn:
        raise KeyboardInterrupt


def test_an_interrupt_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        agree("Recover?", "not recovered")
