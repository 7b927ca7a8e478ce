"""`pgdrill evidence`: what each command prints and how it ends."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from pgdrill.cli import evidence as commands
from pgdrill.errors import NotRunnable, PlanError, Unavailable
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence, Purpose, canonical, schema
from pgdrill.evidence.signature import sign
from pgdrill.evidence.verification import Verifier
from pgdrill.model import PointKind, Verdict
from tests.unit.evidence.drills import Shelf, damaged, drilled, torn_down
from tests.unit.evidence.pen import Pen
from tests.unit.plans import plan

REGION = "ap-southeast-1"
PEN = Pen("ours")


def cells(monkeypatch: pytest.MonkeyPatch, here: Shelf, there: Shelf, **changes: Any) -> None:
    """Put a store for each cell in the place of those that the plan names."""
    made = plan(**changes)

    def opened(_: Path, where: str = "primary") -> SimpleNamespace:
        place = made.dr if where == "dr" else made.primary
        return SimpleNamespace(plan=made, place=place, store=there if where == "dr" else here)

    monkeypatch.setattr(commands, "open_cell", opened)


@pytest.fixture(name="shelf", autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A store with one passed and one failed drill, in place of the one that the plan names."""
    shelf = Shelf()
    cells(monkeypatch, shelf, shelf)
    first = drilled(1)
    archive.save(shelf, first)
    archive.finish(shelf, torn_down(first))
    link = archive.link(shelf, "shop", REGION, drilled(2).drill)
    archive.save(shelf, damaged(3, drill=drilled(2).drill, **link._asdict()))
    return shelf


class Lost(Shelf):
    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        raise Unavailable(f"cannot list {prefix + after!r}: 503", hint="wait")


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


def test_list_tells_recoveries_from_drills(shelf: Shelf) -> None:
    archive.save(shelf, drilled(3, purpose=Purpose.RECOVERY))
    lines = [line.split() for line in run("list").stdout.splitlines() if "shop" in line]
    assert [(line[0], line[1]) for line in lines] == [
        (drilled(3).drill, "recovery"),
        (drilled(2).drill, "drill"),
        (drilled(1).drill, "drill"),
    ]
    assert [one["purpose"] for one in json.loads(run("list", "--json").stdout)] == [
        "recovery",
        "drill",
        "drill",
    ]


def test_a_cell_selects_the_drills_of_its_region_although_both_buckets_hold_all(shelf: Shelf) -> None:
    away = drilled().point.model_copy(update={"region": "ap-northeast-1", "kind": PointKind.COPY})
    archive.save(shelf, drilled(3, point=away))

    def listed(*cell: str) -> list[str]:
        return [one["drill"] for one in json.loads(run("list", "--json", *cell).stdout)]

    def latest(*cell: str) -> str:
        return str(json.loads(run("show", "latest", "--json", *cell).stdout)["drill"])

    assert listed() == [drilled(number).drill for number in (3, 2, 1)]
    assert listed("--cell", "primary") == [drilled(2).drill, drilled(1).drill]
    assert listed("--cell", "dr") == [drilled(3).drill]
    assert (latest(), latest("--cell", "dr")) == (drilled(3).drill, drilled(3).drill)
    assert latest("--cell", "primary") == drilled(2).drill
    assert (
        json.loads(run("show", drilled(1).drill, "--json", "--cell", "dr").stdout)["drill"]
        == drilled(1).drill
    )


def test_the_other_bucket_is_read_where_the_primary_does_not_answer_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, shelf: Shelf
) -> None:
    warning = "warning: cannot list 'evidence/': 503; what follows is out of the bucket in ap-northeast-1\n"
    assert run("list").stderr == ""
    cells(monkeypatch, Lost(), shelf)
    for command in ("list", "show"):
        result = run(command)
        assert (result.exit_code, result.stderr) == (0, warning)
        assert drilled(2).drill in result.stdout
    assert isinstance(run("list", "--cell", "primary").exception, Unavailable)


def test_list_shows_the_point_of_each_drill_within_100_columns(shelf: Shelf) -> None:
    name = "pgdrill-lab-shop-2026-11-22t06z"
    away = drilled().point.model_copy(update={"kind": PointKind.COPY, "id": name})
    archive.save(shelf, drilled(3, point=away, verdict=Verdict.INCONCLUSIVE))
    lines = run("list").stdout.splitlines()
    assert max(map(len, lines)) <= 100
    told = [line.split() for line in lines if "z-shop" in line]
    assert [(line[2], line[-1]) for line in told] == [
        ("copy", name),
        ("snapshot", drilled().point.id),
        ("snapshot", drilled().point.id),
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
    assert (result.exit_code, result.stdout) == (
        0,
        "✓ shop: whole\nsignatures were not checked: give the key with --public-key\n",
    )


def test_verify_of_altered_evidence_fails_and_names_the_drill(shelf: Shelf) -> None:
    shelf.held[archive.key(drilled(1), archive.EVIDENCE)] = canonical(drilled(1, source="other"))
    result = run("verify", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["breaks"]["shop"]
    assert {(one["drill"], one["kind"]) for one in found} == {(drilled(1).drill, "altered")}


def test_verify_as_json_says_what_was_looked_at() -> None:
    assert json.loads(run("verify", "--json").stdout) == {
        "breaks": {"shop": []},
        "without_evidence": [],
        "signatures_checked": {"ap-southeast-1": False},
        "buckets_compared": ["ap-southeast-1", "ap-northeast-1"],
        "notes": ["signatures were not checked: give the key with --public-key"],
    }


def test_verify_of_a_database_that_has_no_evidence_verifies_nothing() -> None:
    result = run("verify", "--database", "shpo")
    assert result.exit_code == 3
    assert result.stdout.startswith("? shpo: no evidence, so nothing is verified\n")
    told = json.loads(run("verify", "--database", "shpo", "--json").stdout)
    assert (told["breaks"], told["without_evidence"]) == ({}, ["shpo"])


def test_verify_misses_the_evidence_of_a_database_of_the_plan(shelf: Shelf) -> None:
    shelf.held.clear()
    archive.save(shelf, drilled(1, database="other"))
    result = run("verify")
    assert result.exit_code == 3
    assert result.stdout.startswith("✓ other: whole\n? shop: no evidence, so nothing is verified\n")


def test_verify_of_what_is_left_of_a_database_is_no_lack_of_evidence(shelf: Shelf) -> None:
    shelf.held = {key: body for key, body in shelf.held.items() if key.endswith(archive.TEARDOWN)}
    result = run("verify")
    assert result.exit_code == 1
    assert "✗ shop: 1 break\n" in result.stdout


def replicated(monkeypatch: pytest.MonkeyPatch, shelf: Shelf) -> Shelf:
    """Give the other cell a store of its own, with all that is in this one."""
    there = Shelf()
    there.held = dict(shelf.held)
    cells(monkeypatch, shelf, there)
    return there


def test_verify_misses_the_newest_drill_that_the_other_cell_has(
    monkeypatch: pytest.MonkeyPatch, shelf: Shelf
) -> None:
    replicated(monkeypatch, shelf)
    assert run("verify").exit_code == 0
    newest = archive.key(drilled(2), archive.EVIDENCE)
    del shelf.held[newest]
    for where in ("primary", "dr"):
        result = run("verify", "--cell", where)
        assert result.exit_code == 1
        assert f"dropped: drill {drilled(2).drill} has no record in the bucket in {REGION}" in " ".join(
            result.stdout.split()
        )


def test_verify_misses_a_database_that_only_the_other_cell_has(
    monkeypatch: pytest.MonkeyPatch, shelf: Shelf
) -> None:
    replicated(monkeypatch, shelf)
    shelf.held.clear()
    result = run("verify", "--json")
    assert result.exit_code == 1
    assert {one["kind"] for one in json.loads(result.stdout)["breaks"]["shop"]} == {"dropped"}


def test_verify_says_what_is_not_in_the_other_cell(monkeypatch: pytest.MonkeyPatch, shelf: Shelf) -> None:
    there = replicated(monkeypatch, shelf)
    del there.held[archive.key(drilled(2), archive.EVIDENCE)]
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.endswith(
        "1 record of ap-southeast-1 not in the bucket in ap-northeast-1: not replicated yet, or deleted there\n"
    )


def test_verify_says_when_the_other_cell_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, shelf: Shelf
) -> None:
    cells(monkeypatch, shelf, Lost())
    result = run("verify")
    assert result.exit_code == 0
    assert "not compared with the bucket in ap-northeast-1: cannot list 'evidence/': 503\n" in result.stdout
    assert json.loads(run("verify", "--json").stdout)["buckets_compared"] == []


@pytest.fixture(name="signed")
def _signed(shelf: Shelf, tmp_path: Path) -> Path:
    """Sign what is there, and download it; beside it lies the key, as `public.pem`."""
    for place in [place for place in shelf.held if place.endswith((archive.EVIDENCE, archive.TEARDOWN))]:
        shelf.put(archive.beside(place), sign(PEN, shelf.held[place]).model_dump_json().encode())
    for place, body in shelf.held.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(body)
    (tmp_path / "public.pem").write_text(PEN.public_key())
    return tmp_path


def offline(signed: Path, *arguments: str) -> Result:
    """Verify a downloaded folder; a plan that is not there shows that none is read."""
    return run("verify", "--plan", "/nowhere", "--directory", str(signed), *arguments)


def test_verify_of_a_downloaded_folder_needs_no_aws(signed: Path) -> None:
    result = offline(signed, "--public-key", str(signed / "public.pem"))
    assert (result.exit_code, result.stdout) == (0, "✓ shop: whole\n")


def test_verify_of_a_downloaded_folder_finds_what_was_altered_there(signed: Path) -> None:
    place = signed / archive.key(drilled(2), archive.EVIDENCE)
    altered = Evidence.model_validate_json(place.read_bytes()).model_copy(update={"source": "other"})
    place.write_bytes(canonical(altered))
    assert offline(signed).exit_code == 0
    result = offline(signed, "--public-key", str(signed / "public.pem"), "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["signatures_checked"] == {"ap-southeast-1": True}
    (found,) = told["breaks"]["shop"]
    assert (found["drill"], found["kind"]) == (drilled(2).drill, "altered")


def test_verify_says_when_it_could_not_look_at_signatures(signed: Path) -> None:
    assert offline(signed).stdout == (
        "✓ shop: whole\nsignatures were not checked: give the key with --public-key\n"
    )


def test_verify_says_of_which_region_the_plan_names_no_key(
    monkeypatch: pytest.MonkeyPatch, shelf: Shelf
) -> None:
    verifier = Verifier(lambda region: None if region == REGION else [])
    monkeypatch.setattr("pgdrill.cli.signatures.trusting_kms", lambda _: verifier)
    result = run("verify")
    assert (result.exit_code, result.stdout) == (
        0,
        "✓ shop: whole\nsignatures in ap-southeast-1 were not checked: the plan names no key there\n",
    )


def test_verify_with_another_key_fails(signed: Path) -> None:
    (signed / "other.pem").write_text(Pen("other").public_key())
    result = offline(signed, "--public-key", str(signed / "other.pem"))
    assert result.exit_code == 1
    assert result.stdout.startswith("✗ shop: 3 breaks\n")
    # A key that was replaced is given with the new one.
    both = (str(signed / "other.pem"), "--public-key", str(signed / "public.pem"))
    assert offline(signed, "--public-key", *both).exit_code == 0


def test_verify_of_the_bucket_takes_a_key_from_a_file_too(signed: Path) -> None:
    result = run("verify", "--public-key", str(signed / "public.pem"))
    assert (result.exit_code, result.stdout) == (0, "✓ shop: whole\n")


def test_verify_of_no_evidence_at_all_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    result = run("verify", "--plan", "/nowhere", "--directory", str(tmp_path))
    assert result.exit_code == 3
    assert "no evidence yet" in result.stdout


def test_verify_of_a_folder_that_is_none_says_how_to_get_one(tmp_path: Path) -> None:
    result = offline(tmp_path)
    assert isinstance(result.exception, NotRunnable)
    assert result.exception.message == f"directory {str(tmp_path)!r} has no folder 'evidence'"
    assert result.exception.hint == (
        "download the bucket's: aws s3 sync s3://BUCKET/evidence DIRECTORY/evidence"
    )


def test_verify_with_a_key_that_is_not_there_says_how_to_get_it(signed: Path) -> None:
    result = offline(signed, "--public-key", "/nowhere.pem")
    assert isinstance(result.exception, NotRunnable)
    assert result.exception.message == (
        "the public key cannot be read: [Errno 2] No such file or directory: '/nowhere.pem'"
    )
    assert result.exception.hint == "write one with: pgdrill evidence public-key"


def test_public_key_needs_one_in_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    place = SimpleNamespace(region=REGION)
    monkeypatch.setattr(commands, "open_cell", lambda *_: SimpleNamespace(place=place, signer=None))
    result = run("public-key")
    assert isinstance(result.exception, PlanError)
    assert result.exception.message == "the plan names no signing key in ap-southeast-1"
    assert result.exception.hint == (
        "set signing_key of this region in the plan: a KMS key of the kind ECC_NIST_P256"
    )


def test_public_key_prints_what_verify_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "open_cell", lambda *_: SimpleNamespace(signer=PEN))
    assert run("public-key").stdout == PEN.public_key()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_matrix_fits_the_terminal_and_nothing_of_it_is_cut(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    period = ("--since", "2026-10-01", "--until", "2026-12-01")
    piped = run("matrix", *period).stdout
    assert max(map(len, piped.splitlines())) > width
    shown = StringIO()
    monkeypatch.setattr(
        commands, "out", Console(file=shown, width=width, force_terminal=True, no_color=True, _environ={})
    )
    run("matrix", *period)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    # Folded within words too, so letters are counted and not words.
    letters = [Counter(re.sub(r"[\s─]", "", text)) for text in ("".join(lines), piped)]
    assert letters[0] == letters[1]
    assert not any("…" in line for line in lines)


def test_schema_is_that_of_the_record() -> None:
    assert json.loads(run("schema").stdout) == schema()
