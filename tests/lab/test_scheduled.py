"""What the plan makes due: a drill of each kind in turn, an age of the window that was not proved, none in a freeze."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from pgdrill.evidence import archive
from pgdrill.lab.lab import Lab
from pgdrill.model import PointKind, Verdict
from tests.lab.labs import until
from tests.lab.production import FEW, Production, environment

SKIPPED = ", ".join(f'"{name}"' for name in FEW.skip)


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    """A production with a PITR window of a few seconds at least."""
    with environment(lab):
        made = Production(lab, checks=FEW)
        made.beat()

        def reaches() -> bool:
            window = made.cell.rds.window(made.database.instance)
            return window is not None and window[1] - window[0] > timedelta(seconds=3)

        until(reaches)
        yield made


def run(production: Production, directory: Path, *arguments: str, drill: str = "") -> Result:
    """Run a command of `pgdrill drill` by the lab's plan with few checks, and with what `[drill]` gets besides."""
    text = production.lab.plan_path.read_text(encoding="utf-8")
    text = text.replace("skip = []", f"skip = [{SKIPPED}]").replace("[checks]", f"{drill}\n[checks]")
    plan = directory / "pgdrill.toml"
    plan.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["drill", *arguments, "--plan", str(plan)], terminal_width=120)


def test_a_drill_of_what_is_unproved_proves_an_age_and_coverage_shows_it(
    production: Production, tmp_path: Path
) -> None:
    before = json.loads(run(production, tmp_path, "coverage", "--json").stdout)
    assert (before["proved"], len(before["ages"])) == (0, 28)
    result = run(production, tmp_path, "run", "--point", "unproved", "--json")
    assert result.exit_code == 0, result.output
    evidence = archive.load(production.cell.store, json.loads(result.stdout)["drill"])
    assert (evidence.verdict, evidence.point.kind) == (Verdict.PASSED, PointKind.PITR)
    after = json.loads(run(production, tmp_path, "coverage", "--json").stdout)
    assert [age["proved"]["drill"] if age["proved"] else None for age in after["ages"]] == [
        evidence.drill,
        *[None] * 27,
    ]
    # The oldest age was never proved either, but the window of a lab that has just begun does not reach it.
    assert after["due"] == {"from_hours": 0, "to_hours": 6}
    shown = run(production, tmp_path, "coverage").stdout
    assert "1 of 28 ages proved, each of six hours" in shown
    assert "next: 0 to 6 h, with: pgdrill drill run --point unproved" in shown
    assert f"✓ {evidence.started_at:%Y-%m-%d}" in shown
    assert "1 of 28 ages, each of six hours, came back" in archive.render(production.cell.store, evidence)


def test_a_scheduled_drill_restores_what_the_plan_says_and_its_evidence_says_who_asked(
    production: Production, tmp_path: Path
) -> None:
    result = run(production, tmp_path, "run", "--scheduled", "--json", drill='point = "oldest"')
    told = json.loads(result.stdout)
    assert (told["trigger"], told["point"]["id"], told["verdict"]) == (
        "schedule",
        production.point.id,
        "passed",
    )


def test_a_scheduled_drill_in_a_freeze_is_skipped_recorded_and_told_also_by_the_next_one(
    production: Production, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    freeze = (
        f'[[drill.freeze]]\nbegins = "{now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"\n'
        f'ends = "{now + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"\nreason = "the year is being closed"\n'
    )
    drills = len(archive.history(production.cell.store, "shop"))
    result = run(production, tmp_path, "run", "--scheduled", "--json", drill=freeze)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["messages"][0]["topic"] == "drill skipped"
    assert "frozen from" in result.stderr
    assert len(archive.history(production.cell.store, "shop")) == drills
    shown = run(production, tmp_path, "coverage", "--json").stdout
    assert [one["reason"] for one in json.loads(shown)["skipped"]] == ["the year is being closed"]
    # Who asks for a drill in person gets one.
    asked = json.loads(run(production, tmp_path, "run", "--json", drill=freeze).stdout)
    assert asked["verdict"] == "passed"
    assert [text for text in asked["warnings"] if text.endswith("UTC: the year is being closed")] != []
