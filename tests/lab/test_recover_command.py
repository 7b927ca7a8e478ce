"""`pgdrill recover` against a lab: the command that is typed on the day, in both regions."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from pgdrill.cell import Cell
from pgdrill.cli import app
from pgdrill.database import Address
from pgdrill.evidence import archive
from pgdrill.lab import shop
from pgdrill.lab.lab import Lab
from pgdrill.points import exchange
from tests.lab.labs import until
from tests.lab.production import FEW, Production, environment
from tests.unit.evidence.drills import damaged

NEW_PASSWORD = "a-new-password-for-the-master"
REGION, DR = "ap-southeast-1", "ap-northeast-1"


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    """A production with a point, its copy, and a witness that knows a beat after it."""
    with environment(lab):
        skip = ", ".join(f'"{name}"' for name in FEW.skip)
        text = lab.plan_path.read_text().replace("skip = []", f"skip = [{skip}]")
        lab.plan_path.write_text(text)
        made = Production(lab, checks=FEW)
        for region in (REGION, DR):
            entry = {"username": "master", "password": NEW_PASSWORD}
            lab.client("secretsmanager", region).create_secret(
                Name="shop/master", SecretString=json.dumps(entry)
            )
        yield made


@pytest.fixture(autouse=True)
def _no_faults(production: Production) -> Iterator[None]:
    yield
    production.lab.door.clear_faults()


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["recover", *arguments], input=answer, terminal_width=200)


def count(over: dict[str, Any]) -> int:
    """Log in as an operator does, and count the orders."""
    master = Address(
        host=over["host"], port=over["port"], user=over["user"], password=NEW_PASSWORD, dbname="shop"
    )
    with shop.connect(master, "shop") as session:
        row = session.execute("SELECT count(*) FROM orders").fetchone()
    assert row is not None
    return int(row[0])


def recovered(cell: Cell) -> set[str]:
    return {instance.id for instance in cell.rds.named("pgdrill-lab-recovered-")}


def test_a_dry_run_shows_every_call_and_makes_none(production: Production) -> None:
    before = {instance.id for instance in production.cell.rds.named("")}
    result = run("--dry-run", "--json")
    assert result.exit_code == 0
    restore, examination, operators = json.loads(result.stdout)
    place = production.plan.primary.recovery
    assert place is not None
    assert restore["call"] == "rds:restore_db_instance_from_db_snapshot"
    parameters = restore["parameters"]
    tags = {tag["Key"]: tag["Value"] for tag in parameters.pop("Tags")}
    name = parameters.pop("DBInstanceIdentifier")
    assert name.startswith("pgdrill-lab-recovered-shop-")
    assert parameters == {
        "DBSnapshotIdentifier": production.point.id,
        "DBInstanceClass": "db.t3.medium",
        "DBSubnetGroupName": place.subnet_group,
        "VpcSecurityGroupIds": list(place.security_groups),
        "DBParameterGroupName": place.parameter_group,
        "PubliclyAccessible": False,
        "MultiAZ": True,
        "DeletionProtection": True,
        "AutoMinorVersionUpgrade": False,
        "CopyTagsToSnapshot": False,
        "BackupRetentionPeriod": 7,
        "EnableIAMDatabaseAuthentication": False,
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
    }
    assert (tags["PgDrillRole"], tags["Owner"]) == ("recovered", "you")
    assert [call["call"] for call in (examination, operators)] == ["rds:modify_db_instance"] * 2
    assert operators["parameters"] == {
        "DBInstanceIdentifier": name,
        "ApplyImmediately": True,
        "MasterUserPassword": "(from secret shop/master)",
    }
    assert NEW_PASSWORD not in result.output
    assert {instance.id for instance in production.cell.rds.named("")} == before


def test_nothing_is_recovered_without_a_yes(production: Production) -> None:
    before = recovered(production.cell)
    result = run(answer="n\n")
    assert str(result.exception) == "not recovered"
    assert "rds:restore_db_instance_from_db_snapshot" in result.stderr
    assert recovered(production.cell) == before


@pytest.mark.usefixtures("production")
def test_nobody_there_to_say_yes_is_a_no() -> None:
    program = Path(sys.executable).with_name("pgdrill")
    for stdin in ("</dev/null", "<&-"):
        ended = subprocess.run(
            ["/bin/sh", "-c", f'"$0" recover {stdin}', program], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2, ended.stderr
        assert ended.stderr.endswith("pgdrill: not recovered\nHINT: say yes, or give --yes\n")


def test_a_moment_is_recovered_and_the_cut_over_list_printed(production: Production) -> None:
    production.beat()
    window = production.cell.rds.window(production.database.instance)
    assert window is not None
    result = run("--point", "restorable", "--yes")
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    assert "recovered in " in said
    for what in (
        "see that nothing writes to shop-production any more",
        "point applications, pools and DNS names to 127.0.0.1:",
        "set host and port in shop/master",
        "renew every role's password that was changed after",
        "start what acts by itself",
        "as `instance` of shop in the plan, then: pgdrill point take",
    ):
        assert what in said
    assert NEW_PASSWORD not in result.output


def test_the_dr_region_recovers_while_the_primary_answers_nothing(production: Production) -> None:
    exchange.tell(production.cell, exchange.gather(production.cell, datetime.now(UTC)))
    copied = CliRunner().invoke(app, ["point", "copy"])
    assert copied.exit_code == 0, copied.output
    dr = Cell.open(production.plan, production.plan.dr)
    sealed = list(production.cell.store.keys("seals/"))
    until(lambda: list(dr.store.keys("seals/")) == sealed)
    until(lambda: list(dr.store.keys("witness/")) == list(production.cell.store.keys("witness/")))

    production.lab.door.set_faults({"lost": [REGION]})
    result = run("--cell", "dr", "--yes", "--json")
    assert result.exit_code == 0, result.output
    over = json.loads(result.stdout)
    assert (over["region"], over["verdict"]) == (DR, "passed")
    assert over["todo"][-1]["what"] == (
        f"make {DR} the primary region of the plan, and another one its DR region"
    )
    assert count(over) == 1000
    instance = dr.rds.instance(over["instance"])
    assert instance is not None
    assert (instance.multi_az, instance.deletion_protection, instance.retention_days) == (True, True, 7)
    world = production.lab.world(DR)
    assert instance.kms_key in {world.storage_key, production.plan.dr.storage_key}


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("rds", "describe_db_instances"),
        ("s3", "list_buckets"),
        ("secretsmanager", "list_secrets"),
        ("kms", "list_keys"),
    ],
)
def test_the_lost_region_is_lost_indeed(production: Production, service: str, call: str) -> None:
    """What the rehearsal above rests on."""
    production.lab.door.set_faults({"lost": [REGION]})
    with pytest.raises(ClientError, match=r"\(503\)"):
        getattr(production.lab.client(service), call)()
    assert getattr(production.lab.client(service, DR), call)()


def test_a_moment_cannot_be_recovered_where_there_are_only_copies(production: Production) -> None:
    result = run("--cell", "dr", "--point", "restorable", "--yes")
    assert str(result.exception) == (f"there is no point-in-time recovery in {DR}, only copies of snapshots")


def test_a_recovery_that_was_refused_half_way_stays_and_goes_on(production: Production) -> None:
    before = recovered(production.cell)
    failure = {"action": "ModifyDBInstance", "code": "AccessDenied", "message": "no", "times": 1}
    production.lab.door.set_faults({"failures": [failure]})
    result = run("--yes")
    (stays,) = recovered(production.cell) - before
    assert str(result.exception) == f"cannot set the password of '{stays}': AccessDenied: no"
    told = re.search(rf"{stays} stays as it is; go on with: pgdrill recover (.*)\n", result.stderr)
    assert told is not None
    resumed = run(*shlex.split(told[1]), "--json")
    assert resumed.exit_code == 0, resumed.output
    over = json.loads(resumed.stdout)
    assert (over["instance"], over["verdict"]) == (stays, "passed")
    again = run(*shlex.split(told[1]))
    assert str(again.exception) == f"drill '{over['drill']}' is done"


def test_a_drill_is_not_resumed_as_a_recovery(production: Production) -> None:
    begun = production.begin()
    key = f"drills/shop/{begun.id}/drill.json"
    production.cell.store.put(key, begun.model_dump_json().encode())
    result = run("--resume", begun.id)
    assert str(result.exception) == f"'{begun.id}' is a drill, not a recovery"
    assert str(run("--accept").exception) == "--accept is for a recovery that did not pass"


def test_a_plan_that_cannot_hand_over_is_refused_before_anything_is_made(
    production: Production, tmp_path: Path
) -> None:
    before = recovered(production.cell)
    text = production.lab.plan_path.read_text()
    without = tmp_path / "without-secret.toml"
    without.write_text("\n".join(line for line in text.splitlines() if "master_secret" not in line))
    nowhere = tmp_path / "nowhere.toml"
    nowhere.write_text(text.split("[primary.recovery]")[0] + "\n[dr]" + text.split("\n[dr]")[1])
    wrong = tmp_path / "wrong-secret.toml"
    wrong.write_text(text.replace('"shop/master"', '"shop/nothing"'))
    said = [str(run("--yes", "--plan", str(path)).exception) for path in (without, nowhere, wrong)]
    assert said == [
        "the plan does not say which secret the master user of 'shop' logs in with",
        f"the plan does not say where in {REGION} a recovered instance is put",
        "secret 'shop/nothing' cannot be read: ResourceNotFoundException",
    ]
    assert recovered(production.cell) == before


def test_what_outlived_a_deleted_production_is_recovered_to_its_last_moment(production: Production) -> None:
    """The last test of the file, since it deletes production as somebody did by mistake."""
    production.execute("INSERT INTO orders VALUES (1001, 0)")
    # A moment is restored to its whole second, and an idle instance is seldom archived.
    whole = datetime.now(UTC) + timedelta(seconds=1)
    time.sleep(1)
    production.beat()
    until(lambda: (seen := production.cell.rds.window("shop-production")) is not None and seen[1] > whole)
    production.lab.client("rds").delete_db_instance(
        DBInstanceIdentifier="shop-production", SkipFinalSnapshot=True, DeleteAutomatedBackups=False
    )
    until(lambda: production.cell.rds.instance("shop-production") is None)
    result = run("--point", "restorable", "--yes", "--json")
    assert result.exit_code == 0, result.output
    over = json.loads(result.stdout)
    assert over["verdict"] == "passed"
    assert count(over) == 1001


def test_a_point_whose_drill_failed_is_shown_with_a_warning_and_not_refused(production: Production) -> None:
    assert "warning:" not in run("--dry-run").stderr
    point = production.point
    bad = damaged(1, drill="20991122t080000z-shop", point=point)  # after what other tests recovered
    archive.save(production.cell.store, bad)
    shown = run("--dry-run")
    assert shown.exit_code == 0
    assert (
        f"warning: drill {bad.drill} of {point.id!r} failed: {bad.verdict_reason}; none that" in shown.stderr
    )
