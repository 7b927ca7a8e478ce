"""The matrix: every clause answered, gaps shown as gaps, in the terminal, as JSON and as a page that stands alone."""

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from pgdrill.cli import evidence as commands
from pgdrill.compliance import matrix
from pgdrill.compliance.clauses import CLAUSES
from pgdrill.errors import PlanError
from pgdrill.evidence import archive
from pgdrill.model import Verdict
from tests.unit.compliance.test_demands import copied, period, weekly
from tests.unit.evidence.drills import Shelf, damaged, drilled, torn_down
from tests.unit.plans import plan


@pytest.fixture(name="shelf")
def _shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf()
    monkeypatch.setattr(commands, "open_cell", lambda *_: SimpleNamespace(store=shelf, plan=plan()))
    for evidence in weekly():
        linked = archive.link(shelf, "shop", evidence.point.region, evidence.drill)
        kept = drilled(
            int((evidence.started_at - drilled(1).started_at) / timedelta(days=7)) + 1,
            reference="another restore",
            **linked._asdict(),
        )
        archive.save(shelf, kept)
        archive.finish(shelf, torn_down(kept))
    return shelf


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evidence", "matrix", *arguments])


MONTH = ("--since", "2026-10-30", "--until", "2026-11-29")


def test_every_framework_that_was_asked_for_is_there() -> None:
    told = {clause.frame.split()[0] for clause in CLAUSES}
    assert told == {"MAS", "DORA,", "SOC", "ISO/IEC"}


def test_a_clause_is_as_good_as_the_worst_of_its_demands() -> None:
    made = matrix.matrix(period(*weekly(), copied(), drilled(7, reference="another")))
    for row in made.rows:
        verdicts = [answer.verdict for answer in row.answers.values()]
        assert row.verdict is (Verdict.PASSED if set(verdicts) == {Verdict.PASSED} else row.verdict)
        assert row.verdict in verdicts
    assert made.verdict is Verdict.PASSED


def test_a_period_without_evidence_is_all_gaps() -> None:
    made = matrix.matrix(period(weeks=60))
    assert {row.verdict for row in made.rows} == {Verdict.INCONCLUSIVE}


def test_the_command_shows_each_clause_and_ends_with_3_where_there_are_gaps(shelf: Shelf) -> None:
    result = run(*MONTH)
    assert result.exit_code == 3
    assert "DORA 12(3)" in result.stdout
    assert "✓ shown" in result.stdout
    assert "? gap" in result.stdout
    assert "2026-10-30 to 2026-11-29, 4 drills: 11 clauses, 9 shown, 2 gap" in result.stdout


def test_the_command_ends_with_1_where_evidence_shows_the_contrary(shelf: Shelf) -> None:
    archive.save(shelf, damaged(drill="20261125t060500z-shop"))
    result = run(*MONTH)
    assert result.exit_code == 1
    assert "✗ not met" in result.stdout


def test_as_json_it_is_the_matrix(shelf: Shelf) -> None:
    told = json.loads(run(*MONTH, "--json").stdout)
    assert [row["number"] for row in told["rows"]] == [clause.number for clause in CLAUSES]


def test_the_page_stands_alone_and_escapes_what_it_quotes(shelf: Shelf, tmp_path: Path) -> None:
    archive.save(shelf, damaged(drill="20261125t060500z-shop", verdict_reason="<b>rows</b> are gone"))
    page = tmp_path / "matrix.html"
    assert run(*MONTH, "--html", str(page)).exit_code == 1
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;rows&lt;/b&gt; are gone" in text
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert (
        "shop: no concluded drill of a copy of it, and the period is too short for one to be missed" in text
    )


def test_a_period_that_ends_before_it_begins_is_an_error(shelf: Shelf) -> None:
    result = run("--since", "2026-11-29", "--until", "2026-10-30")
    assert isinstance(result.exception, PlanError)
    assert result.exception.message == "the period from 2026-11-29 to 2026-10-30 is empty"
    assert result.exception.hint == "give --since before --until"
