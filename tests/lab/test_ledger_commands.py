"""`pgdrill ledger` against a lab: the same commands as against AWS."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from pgdrill.errors import NotRunnable
from pgdrill.lab.lab import Lab
from pgdrill.ledger import witness_key
from pgdrill.model import Beat
from tests.lab.production import Production, environment

PROGRAM = str(Path(sys.executable).with_name("pgdrill"))


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab)


def ledger(*arguments: str, password: str = "") -> Result:
    return CliRunner().invoke(app, ["ledger", *arguments], env={"PGPASSWORD": password}, terminal_width=200)


def test_beats_are_made_one_at_a_time_and_shown(production: Production) -> None:
    first = Beat.model_validate_json(ledger("beat", "--json").stdout)
    assert ledger("beat").stdout.startswith(f"beat {first.sequence + 1} at ")
    status = json.loads(ledger("status", "--json").stdout)
    assert (status["beat"]["sequence"], status["incidents"]) == (first.sequence + 1, [])
    shown = ledger("status")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"beat {first.sequence + 1} at ")


def test_beating_goes_on_until_it_is_stopped_and_ends_in_peace(production: Production) -> None:
    before = Beat.model_validate_json(ledger("beat", "--json").stdout)
    running = subprocess.Popen(
        [PROGRAM, "ledger", "run", "--every", "1s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline().startswith(f"beat {before.sequence + 1} at ")
    assert running.stdout.readline().startswith(f"beat {before.sequence + 2} at ")
    running.send_signal(signal.SIGTERM)
    _, complaint = running.communicate(timeout=10)
    assert (running.returncode, complaint) == (0, "")


def test_a_beat_that_fails_is_told_and_the_next_one_tried(production: Production) -> None:
    production.execute("ALTER ROLE pgdrill NOLOGIN", "postgres")
    running = subprocess.Popen(
        [PROGRAM, "ledger", "run", "--every", "1s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stderr is not None
        assert "no beat: cannot connect to database 'postgres'" in running.stderr.readline()
        assert running.stderr.readline().startswith("HINT: ")
        production.execute("ALTER ROLE pgdrill LOGIN", "postgres")
        assert running.stdout is not None
        assert running.stdout.readline().startswith("beat ")
    finally:
        production.execute("ALTER ROLE pgdrill LOGIN", "postgres")
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=10)
    assert running.returncode == 0


def test_installing_again_and_taking_it_away_are_one_command_each(production: Production) -> None:
    master = production.master
    dsn = f"postgresql://{master.user}@{master.host}:{master.port}/?sslmode=verify-full"
    installed = ledger("install", dsn, password=master.password)
    assert (installed.exit_code, installed.stderr) == (0, "")
    assert installed.stdout == "ledger installed; role pgdrill may beat and read it, and nothing else\n"
    assert ledger("uninstall", dsn, password=master.password).stdout == "ledger removed\n"
    gone = ledger("beat")
    assert "password authentication failed" in str(gone.exception)
    ledger("install", dsn, password=master.password)
    assert ledger("beat").exit_code == 0


def test_a_database_that_never_beat_is_not_proved(production: Production, tmp_path: Path) -> None:
    plan = replaced(production, tmp_path, 'name = "shop"', 'name = "never"')
    shown = ledger("status", "--plan", plan)
    assert (shown.exit_code, shown.stdout) == (3, "")
    assert "the witness knows no beat of database never" in shown.stderr


def test_what_befell_the_beat_is_told_and_a_beat_that_is_down_is_not_proved(
    production: Production, tmp_path: Path
) -> None:
    """A witness of another database, so that its beats may be of any time."""
    now = datetime.now(UTC)
    for sequence, minutes in ((1, 40), (2, 39), (5, 36), (6, 20)):
        at = now - timedelta(minutes=minutes)
        made = Beat(sequence=sequence, beat_at=at, done_at=at, digest=f"{sequence:064x}")
        production.cell.store.put(witness_key("other", made), b"")
    plan = replaced(production, tmp_path, 'name = "shop"', 'name = "other"')
    shown = ledger("status", "--plan", plan)
    assert shown.exit_code == 3
    assert [line.split(",")[0] for line in shown.stderr.splitlines()] == ["gap", "silence", "silence"]
    assert "2 beats before beat 5 did not reach the witness" in shown.stderr
    told = json.loads(ledger("status", "--plan", plan, "--json").stdout)
    assert [one["sequence"] for one in told["incidents"]] == [5, 6, 7]


@pytest.mark.parametrize("command", ["beat", "run"])
def test_where_the_ledger_is_off_nothing_is_written(
    production: Production, tmp_path: Path, command: str
) -> None:
    plan = replaced(production, tmp_path, 'ledger = "on"', 'ledger = "off"')
    refused = ledger(command, "--plan", plan).exception
    assert isinstance(refused, NotRunnable)
    assert (refused.message, refused.hint) == (
        "the ledger of database 'shop' is off in the plan, so nothing is written there",
        'set ledger = "on" for this database in the plan',
    )
    shown = ledger("status", "--plan", plan)
    assert (shown.exit_code, shown.stdout) == (
        0,
        "the ledger of database shop is off in the plan: what a copy misses before its point is unknown\n",
    )


def replaced(production: Production, directory: Path, what: str, by: str) -> str:
    plan = directory / "pgdrill.toml"
    plan.write_text(production.lab.plan_path.read_text(encoding="utf-8").replace(what, by), encoding="utf-8")
    return str(plan)
