"""`plan check` and `plan explain`, offline: what they print, and with which status."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from tests.unit.test_plan import TEXT

ARCHIVE = 'archive_bucket = "archive"\nexport_role = "arn:aws:iam::1:role/export"\n'
WHOLE = TEXT.replace("[primary.place]", f"{ARCHIVE}[primary.place]")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pgdrill.toml"
    path.write_text(WHOLE)
    return path


def run(command: str, path: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["plan", command, "--plan", str(path), *options])


def test_a_plan_with_warnings_alone_is_valid(path: Path) -> None:
    found = run("check", path)
    assert found.exit_code == 0
    assert found.stdout.endswith("valid: shop; 14 of 14 checks asked\n")
    assert "warning points.keep = 30d [from " in found.stdout
    assert "REMEDY: raise the quota L-272F1212 in ap-southeast-1 to 120 or more" in found.stdout


def test_an_error_of_the_solver_ends_with_status_two(path: Path) -> None:
    path.write_text(TEXT)
    found = run("check", path)
    assert found.exit_code == 2
    assert found.stdout.startswith("error exports.schedule = daily\n")
    assert found.stdout.endswith("1 error: shop; 14 of 14 checks asked\n")


def test_a_plan_as_json_is_the_plan_alone_and_obstacles_are_told_beside_it(path: Path) -> None:
    path.write_text(TEXT)
    found = run("check", path, "--json")
    assert found.exit_code == 2
    assert json.loads(found.stdout)["points"]["keep"] == "30d"
    assert "exports are planned" in found.stderr


def test_explain_shows_what_is_made_kept_paid_and_in_the_way(path: Path) -> None:
    found = run("explain", path)
    assert found.exit_code == 0
    for said in (
        "What it makes",
        "525,600",
        "█" * 30,
        "30 d ago",
        "interface endpoints",
        "197.68",
        "the ceiling of 500.00 holds up to 100% changed a day",
        "warning points.keep",
    ):
        assert said in found.stdout, said


def test_explain_as_json_has_every_line_with_its_price_and_source(path: Path) -> None:
    found = json.loads(run("explain", path, "--json").stdout)
    assert set(found) == {"online", "counts", "kept", "cost", "prices", "obstacles"}
    assert found["online"] is False
    assert found["cost"]["total"] == 197.68
    units = {price["unit"] for price in found["prices"].values()}
    assert {line["unit"] for line in found["cost"]["lines"]} <= units
    assert [o["severity"] for o in found["obstacles"]] == ["warning", "warning", "unknown"]


def test_the_picture_is_written_where_it_is_asked_for(path: Path, tmp_path: Path) -> None:
    assert run("explain", path, "--json", "--svg", str(tmp_path / "kept.svg")).exit_code == 0
    assert (tmp_path / "kept.svg").read_text().startswith("<svg ")


def test_a_picture_that_cannot_be_written_is_refused(path: Path, tmp_path: Path) -> None:
    found = run("explain", path, "--svg", str(tmp_path / "none" / "kept.svg"))
    assert str(found.exception) == (
        f"cannot write {str(tmp_path / 'none' / 'kept.svg')!r}: No such file or directory"
    )
