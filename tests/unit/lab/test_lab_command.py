"""The lab's commands are there without the lab's own dependencies, and say what is missing."""

import importlib.util
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pgdrill.cli import lab as cli
from pgdrill.cli import lab_context
from pgdrill.errors import NotRunnable
from pgdrill.lab import calls
from pgdrill.lab.calls import Call
from pgdrill.lab.cloudwatch import inbox
from pgdrill.lab.cloudwatch.inbox import Letter
from pgdrill.lab.record import Record, Settings

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def test_without_the_extra_the_lab_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def find(name: str, *_: Any) -> object:
        return None if name in {"ministack", "psutil"} else object()

    monkeypatch.setattr(importlib.util, "find_spec", find)
    message = "the lab needs ministack, psutil, not installed here"
    with pytest.raises(NotRunnable, match=f"^{message}$") as raised:
        lab_context.open_lab(tmp_path)
    assert raised.value.hint == "pip install 'pgdrill[lab]'"


def test_the_commands_load_without_the_extra() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('ministack', 'psutil', 'cryptography'))); "
        "import importlib.util as u; s = u.spec_from_file_location('lab', sys.argv[1]); "
        "s.loader.exec_module(u.module_from_spec(s))"
    )
    subprocess.run([sys.executable, "-c", code, str(cli.__file__)], check=True)


# ------------------------------------------------------------------------------- calls and letters there are none of


def told(directory: Path, *words: str) -> tuple[str, str]:
    """Return what a command of a lab that has ended says on standard output and on standard error."""
    ran = CliRunner().invoke(cli.app, [*words, "--directory", str(directory)], env={"COLUMNS": "400"})
    assert ran.exit_code == 0
    return ran.stdout, ran.stderr


def called(directory: Path, *roles: str, auth: bool = True) -> None:
    Record(settings=Settings(auth=auth)).write(directory)
    lines = [
        Call(at=1.0, role=role, session="s", action="a:B", resource="*", region="r", allowed=True)
        for role in roles
    ]
    (directory / calls.FILE).write_text("".join(f"{line.model_dump_json()}\n" for line in lines))


@pytest.mark.parametrize("more", [(), ("--role", "drill")])
def test_a_lab_without_policies_says_that_it_records_no_calls(tmp_path: Path, more: tuple[str, ...]) -> None:
    called(tmp_path, auth=False)
    assert told(tmp_path, "calls", *more) == (
        "",
        (
            "nothing is recorded, since this lab enforces no policies;"
            " one that does: pgdrill lab down, then: pgdrill lab up --auth\n"
        ),
    )


def test_a_lab_with_policies_says_that_nobody_has_asked_yet(tmp_path: Path) -> None:
    called(tmp_path)
    assert told(tmp_path, "calls") == ("", "no role has asked for anything yet\n")


@pytest.mark.parametrize(("more", "printed"), [((), ""), (("--json",), "[]\n")])
def test_a_role_that_is_nobodys_is_told_with_how_many_there_are(
    tmp_path: Path, more: tuple[str, ...], printed: str
) -> None:
    called(tmp_path, "pgdrill-main-take", "pgdrill-main-drill")
    assert told(tmp_path, "calls", "--role", "zzz", *more) == (
        printed,
        "no role whose name contains 'zzz' asked for anything; 2 did: pgdrill lab calls\n",
    )


def test_a_role_to_which_nothing_was_refused_is_told_so(tmp_path: Path) -> None:
    called(tmp_path, "pgdrill-main-take")
    assert told(tmp_path, "calls", "--role", "take", "--denied") == ("", "no such call was refused\n")
    shown, said = told(tmp_path, "calls", "--role", "take")
    assert ("pgdrill-main-take" in shown, said) == (True, "")


def test_a_topic_that_nobody_told_is_told_with_those_that_were(tmp_path: Path) -> None:
    (tmp_path / inbox.FILE).touch()
    assert told(tmp_path, "inbox", "--topic", "zzz") == ("", "no topic was told anything\n")
    inbox.Inbox(tmp_path).put(
        Letter(when=NOW, region="r", topic="arn:aws:sns:r:1:pgdrill-main-alarms", subject="s", text="t")
    )
    assert told(tmp_path, "inbox", "--topic", "zzz") == (
        "",
        "no topic whose name contains 'zzz' was told anything; those that were: pgdrill-main-alarms\n",
    )
    shown, said = told(tmp_path, "inbox", "--topic", "alarms")
    assert ("pgdrill-main-alarms" in shown, said) == (True, "")
