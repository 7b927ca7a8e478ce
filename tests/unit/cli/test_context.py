"""What a command prints can be copied from any terminal, and what ends it lets it clean up."""

import os
import signal

import pytest
from rich.console import Console
from rich.table import Table

from pgdrill.cli import context


def test_a_name_is_neither_cut_nor_folded_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(context, "out", Console(width=40))
    table = Table("kind", "point", "state")
    name = "pgdrill-production-orders-20261123t165849z"
    table.add_row("snapshot", name, "available now")
    context.print_table(table)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "snapshot" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == ["snapshot", name, "available now"]


def test_sigterm_ends_a_command_as_an_exception_would() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        context.end_on_sigterm()
        with pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
