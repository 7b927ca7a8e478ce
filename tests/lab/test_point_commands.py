"""`pgdrill point` and drills of the DR region against a lab: the same commands as against AWS."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pgdrill import slots
from pgdrill.cli import app
from pgdrill.errors import Broken, NotRunnable, PlanError
from pgdrill.lab.lab import Lab
from pgdrill.points import taking
from tests.lab.production import FEW, Production, environment

DR = "ap-northeast-1"


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        made = Production(lab, checks=FEW)
        lab.client("rds").delete_db_snapshot(DBSnapshotIdentifier=made.point.id)
        yield made


@pytest.fixture(scope="module")
def taken(production: Production) -> dict[str, Any]:
    """What `point take --json` said of the slot of now."""
    result = point("take", "--json")
    told: dict[str, Any] = json.loads(result.stdout)
    steps = f"  ... {told['point']['id']}: sealing shop\n"  # where no terminal is alive, a log can be read
    assert (result.exit_code, result.stderr) == (0, steps)
    return told


@pytest.fixture(autouse=True)
def _no_faults(production: Production) -> Iterator[None]:
    yield
    production.lab.door.clear_faults()


def pgdrill(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, terminal_width=200)


def point(*arguments: str) -> Result:
    return pgdrill("point", *arguments)


def test_the_point_of_now_is_that_of_its_slot(production: Production, taken: dict[str, Any]) -> None:
    slot = slots.name(taking.slot_now(production.plan, datetime.now(UTC)))
    assert (taken["point"]["slot"], taken["point"]["kind"]) == (slot, "snapshot")
    assert [event["kind"] for event in taken["reply"]["events"]] == ["PointTaken", "InventoryTold"]


def test_taking_it_again_takes_nothing(taken: dict[str, Any]) -> None:
    again = point("take", "--slot", taken["point"]["slot"])
    assert (again.exit_code, again.stdout.split()[0]) == (0, taken["point"]["id"])
    listed = json.loads(point("list", "--json").stdout)["snapshots"]
    assert [one["made_by"] for one in listed if one["id"] == taken["point"]["id"]] == ["pgdrill"]


def test_listing_points_of_an_instance_that_is_not_there_says_so(
    production: Production, taken: dict[str, Any], tmp_path: Path
) -> None:
    assert (taken["point"]["id"] in (there := point("list")).stdout, there.stderr) == (True, "")
    path = tmp_path / "pgdrill.toml"
    named = production.lab.plan_path.read_text().replace(production.database.instance, "shop-misspelt")
    path.write_text(named)
    gone = point("list", "--plan", str(path))
    assert (gone.exit_code, gone.stdout) == (0, "no snapshot\nno PITR window\n")
    assert gone.stderr == (
        "instance 'shop-misspelt' is not there in ap-southeast-1\n"
        "HINT: see whether the plan names it rightly; if it is lost: docs/recovery.md\n"
    )
    assert point("list", "--cell", "dr", "--plan", str(path)).stderr == ""


def test_a_point_out_of_turn_belongs_to_no_slot(production: Production, taken: dict[str, Any]) -> None:
    made = json.loads(point("take", "--now", "--json").stdout)["point"]
    assert (made["slot"], made["id"] != taken["point"]["id"]) == (None, True)
    production.lab.client("rds").delete_db_snapshot(DBSnapshotIdentifier=made["id"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--slot", "yesterday"), "'yesterday' is not a slot"),
        (("--slot", "2026-11-22T01Z", "--now"), "--now and --slot exclude each other"),
    ],
)
@pytest.mark.usefixtures("production")
def test_a_slot_that_makes_no_sense_is_an_error_of_the_plan(arguments: tuple[str, ...], message: str) -> None:
    refused = point("take", *arguments).exception
    assert isinstance(refused, PlanError)
    assert refused.message == message


def test_a_slot_of_the_past_is_refused(production: Production) -> None:
    refused = point("take", "--slot", "2020-01-01T01Z").exception
    assert isinstance(refused, NotRunnable)
    assert refused.message.startswith(
        "slot 2020-01-01T01Z is not now: it lasts until 2020-01-01T07Z, and it is "
    )


def test_a_point_that_fails_is_told_for_machines_too(production: Production) -> None:
    production.lab.door.set_faults({"doomed": [{"identifier": "pgdrill-*", "status": "failed"}]})
    result = point("take", "--now", "--json")
    assert isinstance(result.exception, Broken)
    told = json.loads(result.stdout)
    assert told["point"] is None
    assert [metric["name"] for metric in told["reply"]["metrics"]] == ["PointsFailed"]
    assert [event["kind"] for event in told["reply"]["events"]] == ["PointFailed"]


def test_a_point_without_a_seal_is_said_and_not_a_success(production: Production) -> None:
    secrets = production.lab.client("secretsmanager")
    before = secrets.get_secret_value(SecretId=production.database.secret)["SecretString"]
    secrets.put_secret_value(SecretId=production.database.secret, SecretString="{}")
    result = point("take", "--now")
    secrets.put_secret_value(SecretId=production.database.secret, SecretString=before)
    assert result.exit_code == 3
    assert "has no seal of its own" in result.stderr
    production.lab.client("rds").delete_db_snapshot(DBSnapshotIdentifier=result.stdout.split()[0])


def test_copying_drilling_and_showing_the_copy(production: Production, taken: dict[str, Any]) -> None:
    identifier = taken["point"]["id"]
    copied = point("copy")
    assert (copied.exit_code, copied.stderr) == (0, "")
    assert [line.split()[0] for line in copied.stdout.splitlines()] == [identifier, "1"]
    assert point("copy").stdout == f"0 copied to {DR}, nothing missing\n"
    listed = point("list", "--cell", "dr")
    assert "copy  " in listed.stdout
    assert identifier in listed.stdout
    drilled = pgdrill("drill", "run", "--cell", "dr", "--json")
    evidence = json.loads(drilled.stdout)
    assert (drilled.exit_code, evidence["verdict"], evidence["point"]["kind"]) == (0, "passed", "copy")
    assert (
        json.loads(pgdrill("evidence", "list", "--cell", "dr", "--json").stdout)[0]["drill"]
        == evidence["drill"]
    )
    assert json.loads(pgdrill("evidence", "list", "--json").stdout) == []


def test_the_inventory_shows_what_was_heard_of_the_other_cell(taken: dict[str, Any]) -> None:
    point("inventory", "--cell", "dr")
    shown = point("inventory")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["region", "ap-southeast-1", DR]
    told = json.loads(point("inventory", "--json").stdout)
    assert told["own"]["region"] == "ap-southeast-1"
    assert [one["id"] for one in told["heard"]["snapshots"]] == [taken["point"]["id"]]
    assert "shop" in told["own"]["ledger"]


def test_retaining_shows_first_and_deletes_what_the_plan_does_not_keep(
    production: Production, taken: dict[str, Any]
) -> None:
    nothing = point("retain", "--dry-run")
    assert (nothing.exit_code, nothing.stdout) == (0, "0 would be deleted\n")
    rds = production.lab.client("rds")
    old = "pgdrill-lab-shop-2020-01-01t01z"
    tags = {entry["Key"]: entry["Value"] for entry in _tags(rds, taken["point"]["id"])}
    rds.create_db_snapshot(
        DBInstanceIdentifier=production.database.instance,
        DBSnapshotIdentifier=old,
        Tags=[{"Key": k, "Value": v} for k, v in (tags | {"PgDrillSlot": "2020-01-01T01Z"}).items()],
    )
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier=old, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    shown = point("retain", "--dry-run")
    assert (shown.exit_code, old in shown.stdout) == (0, True)
    assert old in [one.id for one in production.cell.snapshots.ours("lab")]
    done = json.loads(point("retain", "--json").stdout)
    assert [(one["snapshot"]["id"], one["reason"]) for one in done["deleted"]] == [(old, "expired")]
    assert [one.id for one in production.cell.snapshots.ours("lab") if one.usable] == [taken["point"]["id"]]


def _tags(rds: Any, identifier: str) -> Any:
    return rds.describe_db_snapshots(DBSnapshotIdentifier=identifier)["DBSnapshots"][0]["TagList"]
