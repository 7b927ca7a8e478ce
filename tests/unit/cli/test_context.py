"""What a command prints can be copied from any terminal."""

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
