"""docs/lab.md names every place where the emulator is bent to AWS, and every integration test that needs a lab."""

import re
from pathlib import Path

from pgdrill.lab import bends

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "lab.md"
HEADING = "## Where the emulator is bent to AWS\n"


def test_the_table_of_bends_is_theirs() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    applied = {bend.__module__.rpartition(".")[2] for bend in bends.ALL}
    # What names the calls of state machines is no graft: `tasks` uses it.
    assert sorted(named) == sorted(applied | {"sdk_names"})


def test_the_integration_tests_that_need_a_lab_are_named() -> None:
    (sentence,) = re.findall(
        r"^Some of its files need a lab,.*$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    needing = [
        path.name
        for path in (ROOT / "tests" / "integration").glob("test_*.py")
        if re.search(
            r"^from (pgdrill\.lab|tests\.integration import .*\blabs\b)", path.read_text(), re.MULTILINE
        )
    ]
    assert sorted(re.findall(r"`(test_\w+\.py)`", sentence)) == sorted(needing)
    assert needing
