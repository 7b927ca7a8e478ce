"""The matrix: every clause answered, gaps shown as gaps, in the terminal, as JSON and as a page that stands alone."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pgdrill import seal
from pgdrill.cli import app, signatures
from pgdrill.cli import evidence as commands
from pgdrill.compliance import demands, matrix
from pgdrill.compliance.answers import Demand
from pgdrill.compliance.clauses import CLAUSES, Clause
from pgdrill.errors import PlanError
from pgdrill.evidence import archive, verification
from pgdrill.evidence.record import Evidence, canonical
from pgdrill.model import Seal, Verdict
from tests.unit.compliance.test_demands import KEPT_APART, compared, copied, every_slot, period, weekly
from tests.unit.evidence.drills import START, damaged, drilled, torn_down
from tests.unit.evidence.pen import REGION, Pen
from tests.unit.memory import Memory
from tests.unit.plans import plan


@pytest.fixture(name="store")
def _store(monkeypatch: pytest.MonkeyPatch) -> Memory:
    store = Memory()
    monkeypatch.setattr(commands, "open_cell", lambda *_: SimpleNamespace(store=store, plan=plan()))
    for number in range(4, 8):
        keep(store, compared(number))
    for taken_at in every_slot():
        seal.keep(store, sealed(taken_at), "after")
    return store


def keep(store: Memory, evidence: Evidence, pen: Pen | None = None) -> Evidence:
    """Keep a drill in its place in the chain, and that its instance is gone."""
    linked = archive.link(store, evidence.database, evidence.point.region, evidence.drill)
    kept = evidence.model_copy(update=linked._asdict())
    archive.save(store, kept, pen)
    archive.finish(store, torn_down(kept), pen)
    return kept


def sealed(taken_at: datetime, point: str = "a point") -> Seal:
    return Seal(point=point, database="shop", taken_at=taken_at, done_at=taken_at, facts={})


def bad_day(**changes: Any) -> Evidence:
    return damaged(drill="20261125t060500z-shop", started_at=START + timedelta(days=3), **changes)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evidence", "matrix", *arguments])


MONTH = ("--since", "2026-11-01", "--until", "2026-11-29")


def test_every_framework_that_was_asked_for_is_there() -> None:
    told = {clause.frame.split()[0] for clause in CLAUSES}
    assert told == {"MAS", "DORA,", "SOC", "ISO/IEC"}


@pytest.mark.parametrize(
    ("of_whole", "of_encrypted", "expected"),
    [
        (Verdict.PASSED, Verdict.PASSED, Verdict.PASSED),
        (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.FAILED),
        (Verdict.FAILED, Verdict.PASSED, Verdict.FAILED),
    ],
)
def test_a_clause_is_as_good_as_the_worst_of_its_demands(
    of_whole: Verdict, of_encrypted: Verdict, expected: Verdict
) -> None:
    isolation = KEPT_APART if of_encrypted is Verdict.PASSED else drilled().isolation
    make = damaged if of_whole is Verdict.FAILED else drilled
    clause = Clause(frame="ours", number="1", says="both", demands=(demands.whole, demands.encrypted))
    made = matrix.matrix(period(make(isolation=isolation)), (clause,))
    (row,) = made.rows
    assert {name: answer.verdict for name, answer in row.answers.items()} == {
        "whole": of_whole,
        "encrypted": of_encrypted,
    }
    assert row.verdict is expected
    assert made.verdict is expected


def test_the_matrix_is_as_good_as_the_worst_of_its_clauses() -> None:
    def clause(*asked: Demand) -> Clause:
        return Clause(frame="ours", number="1", says="one", demands=asked)

    made = matrix.matrix(period(drilled()), (clause(demands.whole), clause(demands.encrypted)))
    assert [row.verdict for row in made.rows] == [Verdict.PASSED, Verdict.INCONCLUSIVE]
    assert made.verdict is Verdict.INCONCLUSIVE


def test_evidence_of_all_that_is_demanded_shows_every_clause() -> None:
    made = matrix.matrix(period(*weekly(), copied(), compared()))
    assert {row.verdict for row in made.rows} == {Verdict.PASSED}


def test_a_period_without_evidence_is_all_gaps() -> None:
    made = matrix.matrix(period(weeks=60, points={}))
    assert {row.verdict for row in made.rows} == {Verdict.INCONCLUSIVE}


def test_the_command_shows_each_clause_and_ends_with_3_where_there_are_gaps(store: Memory) -> None:
    result = run(*MONTH)
    assert result.exit_code == 3
    assert "DORA 12(3)" in result.stdout
    assert "✓ shown" in result.stdout
    assert "? gap" in result.stdout
    assert "2026-11-01 to 2026-11-29, 4 drills: 11 clauses, 9 shown, 2 gap" in result.stdout


def test_the_command_ends_with_1_where_evidence_shows_the_contrary(store: Memory) -> None:
    keep(store, bad_day())
    result = run(*MONTH)
    assert result.exit_code == 1
    assert "✗ not met" in result.stdout


def test_as_json_it_is_the_matrix(store: Memory) -> None:
    told = json.loads(run(*MONTH, "--json").stdout)
    assert [row["number"] for row in told["rows"]] == [clause.number for clause in CLAUSES]


def test_the_page_stands_alone_and_escapes_what_it_quotes(store: Memory, tmp_path: Path) -> None:
    keep(store, bad_day(verdict_reason="<b>rows</b> are gone"))
    page = tmp_path / "matrix.html"
    assert run(*MONTH, "--html", str(page)).exit_code == 1
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;rows&lt;/b&gt; are gone" in text
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert (
        "shop: no successful drill of a copy of it, and the period is too short for one to be missed" in text
    )


def test_a_period_that_ends_before_it_begins_is_an_error(store: Memory) -> None:
    result = run("--since", "2026-11-29", "--until", "2026-10-30")
    assert isinstance(result.exception, PlanError)
    assert result.exception.message == "the period from 2026-11-29 to 2026-10-30 is empty"
    assert result.exception.hint == "give --since before --until"


# What is read --------------------------------------------------------------------------------------------


def test_the_seals_after_points_of_the_period_are_its_points() -> None:
    store = Memory()
    begin, end = START, START + timedelta(hours=12)
    for taken_at in (begin - timedelta(seconds=1), begin, end - timedelta(seconds=1), end):
        seal.keep(store, sealed(taken_at), "after")
    seal.keep(store, sealed(begin + timedelta(hours=1)), "before")
    seal.keep(store, sealed(begin + timedelta(hours=2), f"{seal.BETWEEN}20261122t08z"), "after")
    assert matrix.read(store, plan(), begin, end, None).points == {
        "shop": (begin, end - timedelta(seconds=1))
    }


def test_a_record_that_cannot_be_read_is_no_clause_shown(store: Memory) -> None:
    kept = keep(store, bad_day())
    store.put(archive.key(kept, archive.EVIDENCE), b"{}")
    rows = json.loads(run(*MONTH, "--json").stdout)["rows"]
    assert Verdict.PASSED not in {row["verdict"] for row in rows}
    told = {name: answer["says"] for row in rows for name, answer in row["answers"].items()}
    assert "shop: unreadable at 20261125t060500z-shop: is not evidence in canonical form" in told["unaltered"]
    assert told["whole"][-1].startswith(
        "shop: its evidence is not whole: unreadable at 20261125t060500z-shop"
    )


def test_a_forged_record_that_lies_outside_every_chain_shows_nothing(store: Memory) -> None:
    bad = keep(store, bad_day())
    forged = canonical(drilled(8, drill="20261129t060500z-shop", database="shop"))
    store.put("evidence/other/ap-southeast-1/20261129t060500z-shop/evidence.json", forged)
    read = matrix.read(store, plan(), START, START + timedelta(days=9), None)
    assert [one.evidence.drill for one in read.drills] == ["20261122t060500z-shop", bad.drill]


@pytest.fixture(name="signed")
def _signed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Memory, Path]:
    store, pen = Memory(), Pen("ours")
    monkeypatch.setattr(commands, "open_cell", lambda *_: SimpleNamespace(store=store, plan=plan()))
    keep(store, drilled(6), pen)
    archive.save(store, damaged(**archive.link(store, "shop", REGION, drilled(7).drill)._asdict()), pen)
    key = tmp_path / "key.pem"
    key.write_text(pen.public_key())
    return store, key


def unaltered(*arguments: str) -> tuple[str, tuple[str, ...]]:
    rows = json.loads(run(*MONTH, "--json", *arguments).stdout)["rows"]
    [answer, *_] = (row["answers"]["unaltered"] for row in rows if "unaltered" in row["answers"])
    return answer["verdict"], tuple(answer["says"])


def test_signatures_that_hold_are_told(signed: tuple[Memory, Path]) -> None:
    assert unaltered("--public-key", str(signed[1])) == (
        "passed",
        ("shop: 2 drills, chained; each signature that is due holds",),
    )
    assert unaltered() == ("passed", ("shop: 2 drills, chained; no signature was checked: no key is known",))


def test_a_failed_record_that_was_overwritten_with_a_pass_is_altered(signed: tuple[Memory, Path]) -> None:
    store, key = signed
    bad = archive.load(store, drilled(7).drill)
    place = archive.key(bad, archive.EVIDENCE)
    store.put(place, canonical(drilled(7, number=bad.number, previous_sha256=bad.previous_sha256)))
    verdict, says = unaltered("--public-key", str(key))
    assert verdict == "failed"
    assert says[0].startswith(f"shop: altered at {bad.drill}: has SHA-256 ")
    assert run(*MONTH, "--public-key", str(key)).exit_code == 1


def test_the_keys_that_the_plan_names_are_asked_of_kms(
    signed: tuple[Memory, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = verification.public_key(Pen("theirs").public_key().encode(), "test")
    monkeypatch.setattr(signatures, "trusting_kms", lambda _: verification.Verifier(lambda _: [other]))
    assert unaltered()[0] == "failed"
