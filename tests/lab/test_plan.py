"""The plan held against an RDS that answers: quotas in use, windows, sizes and versions of both regions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pgdrill.cli import app
from pgdrill.lab.lab import Lab
from tests.lab.production import FEW, Production, environment

TIERED = {"[points]": '[copies]\ndaily_after = "7d"\n\n[points]\ndaily_after = "7d"'}


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab, checks=FEW)


def run(production: Production, folder: Path, changes: dict[str, str], command: str = "check") -> Result:
    """Run a command of `pgdrill plan` online, with the lab's own plan changed."""
    text = production.lab.plan_path.read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    path = folder / "pgdrill.toml"
    path.write_text(text)
    return CliRunner().invoke(app, ["plan", command, "--online", "--plan", str(path)])


def test_every_slot_for_thirty_days_does_not_fit_the_quota_that_is_there(
    production: Production, tmp_path: Path
) -> None:
    found = run(production, tmp_path, {})
    assert found.exit_code == 2
    assert [line.split(" [")[0] for line in found.stdout.splitlines() if line.startswith("error")] == [
        "error points.keep = 30d",
        "error copies.keep = 30d",
    ]
    assert "120 snapshots are kept in ap-southeast-1, the quota is 100: full at the slot" in found.stdout


def test_a_tiered_plan_fits_what_is_there(production: Production, tmp_path: Path) -> None:
    found = run(production, tmp_path, TIERED)
    assert found.exit_code == 0
    assert "unknown" not in found.stdout
    assert "error" not in found.stdout


def test_snapshots_of_others_are_counted(production: Production, tmp_path: Path) -> None:
    rds = production.lab.client("rds")
    rds.create_db_snapshot(
        DBSnapshotIdentifier="before-the-release", DBInstanceIdentifier=production.database.instance
    )
    found = run(production, tmp_path, {})
    assert "120 snapshots are kept in ap-southeast-1 beside 1 other, the quota is 100" in found.stdout


def test_a_slot_in_the_backup_window_of_the_instance_is_found_and_a_clear_offset_named(
    production: Production, tmp_path: Path
) -> None:
    production.lab.client("rds").modify_db_instance(
        DBInstanceIdentifier=production.database.instance,
        PreferredBackupWindow="18:45-19:15",
        ApplyImmediately=True,
    )
    found = run(production, tmp_path, TIERED)
    assert found.exit_code == 2
    assert "the slot at 19:00 UTC lies in the backup window of shop-production, 18:45-19:15" in found.stdout
    offset = found.stdout.partition('set points.offset = "')[2].partition('"')[0]
    moved = {"[points]": f'{TIERED["[points]"]}\noffset = "{offset}"'}
    assert run(production, tmp_path, moved).exit_code == 0


def test_time_and_cost_are_those_of_the_instance_and_not_of_the_plan(
    production: Production, tmp_path: Path
) -> None:
    larger = TIERED | {'ledger = "on"': 'ledger = "on"\nstorage_gb = 4000'}
    found = run(production, tmp_path, larger, "explain")
    assert "shop-production has 20: a recovered instance would differ from it" in found.stdout
    assert "objectives.rto" not in found.stdout


def test_an_instance_that_is_not_there_is_an_error(production: Production, tmp_path: Path) -> None:
    found = run(production, tmp_path, TIERED | {'"shop-production"': '"shop-elsewhere"'})
    assert found.exit_code == 2
    assert "there is no such instance in ap-southeast-1" in found.stdout
