"""`pgdrill dashboard` draws what is deployed, as the alarms that are there tell."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pgdrill.aws import metrics
from pgdrill.cli import app, dashboard
from pgdrill.dashboard.sections import board
from pgdrill.model import Clock
from tests.unit.dashboard.example import NOW, PLAN, Cloud, cell_of, lived
from tests.unit.snapshots import AWAY, HOME


@pytest.fixture(name="opened", scope="module")
def _opened() -> SimpleNamespace:
    return deployed(lived(HOME))


def deployed(cloud: Cloud) -> SimpleNamespace:
    place = SimpleNamespace(region=cloud.cell.region, evidence_bucket=cloud.cell.bucket)
    return SimpleNamespace(plan=PLAN, place=place, client=lambda _: cloud)


def run(opened: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(dashboard, "open_cell", lambda *_: opened)
    monkeypatch.setattr(dashboard, "clock", lambda: Clock(NOW, lambda: 60.0, 60.0))
    return CliRunner().invoke(app, ["dashboard", *arguments])


def test_the_board_that_is_drawn_is_the_one_that_is_deployed(opened: Any) -> None:
    cloud = opened.client("cloudwatch")
    found = dashboard._deployed(opened, metrics.alarms(cloud, "pgdrill-lab-"))
    assert found.account == cloud.cell.account
    assert set(found.functions) == set(cloud.cell.functions)
    assert set(found.machines) == set(cloud.cell.machines)
    assert set(board(found).alarms()) == set(board(cloud.cell).alarms())


def test_it_writes_a_page_and_says_where(
    opened: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "dashboard.html"
    result = run(opened, monkeypatch, "--html", str(path))
    assert (result.exit_code, result.stdout.strip()) == (0, str(path))
    assert '<h1><span class="symbol">✓</span> Recoverable</h1>' in path.read_text()


def test_on_a_terminal_it_is_printed(opened: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(opened, monkeypatch, "--terminal")
    assert result.exit_code == 0
    assert "✓ recoverable" in result.stdout
    assert "pgdrill lab: primary cell in ap-southeast-1" in result.stdout


def test_where_nothing_is_deployed_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud(cell_of(AWAY))
    cloud._alarms.clear()
    cloud._composites.clear()
    result = run(deployed(cloud), monkeypatch, "--terminal")
    assert result.exit_code == 0
    assert "? nobody knows whether it is recoverable" in result.stdout
