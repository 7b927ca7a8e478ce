"""docs/lab.md names every place where the emulator is bent to AWS, and none that is not."""

import re
from pathlib import Path

from pgdrill.lab import bends

DOCUMENT = Path(__file__).parents[2] / "docs" / "lab.md"
HEADING = "## Where the emulator is bent to AWS\n"


def test_the_table_of_bends_is_theirs() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    applied = {bend.__module__.rpartition(".")[2] for bend in bends.ALL}
    # What names the calls of state machines is no graft: `tasks` uses it.
    assert sorted(named) == sorted(applied | {"sdk_names"})
