"""docs/functions.md names every function, metric, event and message there is, and none that there is not."""

import re
from pathlib import Path

from pgdrill.drills import telling
from pgdrill.model import Verdict
from pgdrill.watching.ages import measure
from pgdrill.watching.sighting import Sighting
from pgdrill.watching.storage import Kind, Stored
from tests.unit.evidence.drills import drilled
from tests.unit.handlers.test_imports import FUNCTIONS
from tests.unit.snapshots import AWAY, HOME
from tests.unit.watching import world
from tests.unit.watching.world import PLAN

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/functions.md").read_text()
# What runs in functions; the lab, the command line and the pure part of watching tell nothing of their own.
SOURCES = [
    path
    for path in (ROOT / "src/pgdrill").rglob("*.py")
    if not {"lab", "cli", "watching", "compliance", "build"}
    & set(path.relative_to(ROOT / "src/pgdrill").parts)
]


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(title: str, column: int = 0) -> set[str]:
    """Return what stands in backquotes in one column of the section's table."""
    rows = [line.strip("| ").split(" | ") for line in section(title).splitlines() if line.startswith("| ")]
    return {name for row in rows[1:] for name in re.findall(r"`([^`]+)`", row[column])}


def written(*patterns: str) -> set[str]:
    text = "\n".join(path.read_text() for path in SOURCES)
    return {name for pattern in patterns for name in re.findall(pattern, text)}


def test_every_function_stands_there() -> None:
    assert named("Payloads") == set(FUNCTIONS)


def test_every_metric_stands_there() -> None:
    of_drills = {metric.name for metric in telling.judged(drilled(), "evidence").metrics}
    made = written(r'Metric\(\s*name="(\w+)"', r'_seconds\(\s*[\w.]+, "(\w+)"', r'_count\(\s*[\w.]+, "(\w+)"')
    assert named("Metrics") == made | of_drills


def test_no_metric_of_the_watch_is_published_by_another_function_in_the_same_dimensions() -> None:
    """CloudWatch would add up what means two things."""
    told: dict[tuple[str, str], list[str]] = {}
    for title in ("Metrics", "Metrics of the watch"):
        rows = [line.split("|")[1:4] for line in section(title).splitlines() if line[:1] == "|"]
        for first, _, dimensions in rows[2:]:
            for name in re.findall(r"`([^`]+)`", first):
                told.setdefault((name, dimensions.strip()), []).append(title)
    assert {about: by for about, by in told.items() if len(by) > 1} == {}
    assert ("CopyAge", "Database") in told
    assert ("CopyAge", "Region, Database") in told


def test_every_metric_of_the_watch_stands_there_with_its_unit_and_dimension() -> None:
    metrics = {metric.name: metric for region in (HOME, AWAY) for metric in measure(look(region), PLAN)}
    rows = [line.split("|")[1:4] for line in section("Metrics of the watch").splitlines() if line[:1] == "|"]
    told = {name: cells for first, *cells in rows for name in re.findall(r"`([^`]+)`", first)}
    assert set(told) == set(metrics)
    for name, (unit, dimensions) in told.items():
        assert unit.strip() == metrics[name].unit
        assert set(metrics[name].dimensions) <= set(re.findall("[A-Z][a-z]+", dimensions)), name


def look(region: str) -> Sighting:
    stored = Stored(kind=Kind.COPIES, gigabytes=20, most_gigabytes=20, usd=2, most_usd=2)
    return world.look(region, world.FIRST + 20 * world.DAY).model_copy(update={"stored": (stored,)})


def test_every_event_stands_there() -> None:
    made = written(r'Event\(\s*kind="(\w+)"') | {"InventoryTold"}
    assert named("Events") == made


def test_every_message_stands_there() -> None:
    verdicts = {f"drill {verdict.value}" for verdict in Verdict if verdict is not Verdict.NOT_ASKED}
    made = written(r'topic="([a-z ]+)"', r'Message\.of\(\s*"([a-z ]+)"')
    assert named("Messages", 1) == made | verdicts
