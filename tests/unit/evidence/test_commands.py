"""`pgdrill evidence`: what each command prints and how it ends."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from pgdrill.cli import evidence as commands
from pgdrill.errors import NotRunnable
from pgdrill.evidence import archive
from pgdrill.evidence.record import canonical, schema
from tests.unit.evidence.drills import Shelf, damaged, drilled, torn_down


REGION = "ap-southeast-1"


@pytest.fixture(name="shelf", autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A store with one passed and one failed drill, in place of the one that the plan names."""
    shelf = Shelf()
    monkeypatch.setattr(commands, "open_cell", lambda *_: SimpleNamespace(store=shelf))
    first = drilled(1)
    archive.save(shelf, first)
    archive.finish(shelf, torn_down(first))
    link = archive.link(shelf, "shop", REGION, drilled(2).drill)
    archive.save(shelf, damaged(3, drill=drilled(2).drill, **link._asdict()))
    return shelf


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evidence", *arguments])


def test_list_shows_the_newest_drill_first() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert result.stdout.index(drilled(2).drill) < result.stdout.index(drilled(1).drill)


def test_list_as_json_is_a_list_of_summaries() -> None:
    told = json.loads(run("list", "--json").stdout)
    assert [(one["drill"], one["verdict"]) for one in told] == [
        (drilled(2).drill, "failed"),
        (drilled(1).drill, "passed"),
    ]


def test_list_of_nothing_says_how_to_begin() -> None:
    assert run("list", "--database", "bank").stdout == "no drill yet; run one with: pgdrill drill run\n"


def test_show_tells_the_latest_drill_unless_one_is_named() -> None:
    assert "✗ FAILED" in run("show").stdout
    assert "✓ PASSED" in run("show", drilled(1).drill).stdout


def test_show_as_json_is_the_record() -> None:
    told = json.loads(run("show", drilled(1).drill, "--json").stdout)
    assert told == json.loads(canonical(drilled(1)))


def test_show_as_junit_is_what_lies_in_the_store(shelf: Shelf) -> None:
    stored = shelf.held[archive.key(drilled(2), archive.JUNIT)]
    assert run("show", "--junit").stdout_bytes == stored


def test_show_of_an_unknown_drill_is_not_runnable() -> None:
    result = run("show", "nope")
    assert isinstance(result.exception, NotRunnable)
    assert result.exception.message == "no evidence of drill 'nope'"


def test_open_writes_the_report_and_prints_where(shelf: Shelf, tmp_path: Path) -> None:
    result = run("open", drilled(1).drill, "--directory", str(tmp_path))
    path = tmp_path / f"{drilled(1).drill}.html"
    assert result.stdout == f"{path}\n"
    assert path.read_bytes() == shelf.held[archive.key(drilled(1), archive.REPORT)]


def test_verify_of_whole_evidence_ends_well() -> None:
    result = run("verify")
    assert (result.exit_code, result.stdout) == (0, "✓ shop: whole\n")


def test_verify_of_altered_evidence_fails_and_names_the_drill(shelf: Shelf) -> None:
    shelf.held[archive.key(drilled(1), archive.EVIDENCE)] = canonical(drilled(1, source="other"))
    result = run("verify", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["shop"]
    assert {(one["drill"], one["kind"]) for one in found} == {(drilled(1).drill, "altered")}


def test_schema_is_that_of_the_record() -> None:
    assert json.loads(run("schema").stdout) == schema()
