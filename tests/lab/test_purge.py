"""Purge against a lab: all that was made at run time goes, in both regions, and nothing else."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pgdrill.aws.snapshots import Mark
from pgdrill.cell import Cell
from pgdrill.cli import app
from pgdrill.drills import conduct, purge
from pgdrill.drills.state import Drill, Step
from pgdrill.exporting import exports
from pgdrill.lab.lab import Lab
from pgdrill.model import Lease, Recovered, Shape
from tests.lab.labs import await_status, until
from tests.lab.production import FEW, Production, environment, tick

TEMPORARY = "pgdrill-lab-drill-shop"
RECOVERED = Recovered(instance="pgdrill-lab-recovered-shop-202611221200", drill="d1", database="shop")
# The suffix of these is `lab-drill`, whose names begin as the lab's own do.
OTHER = Lease(
    instance="pgdrill-lab-drill-drill-shop",
    drill="d2",
    database="shop",
    expires_at=datetime(2026, 11, 22, tzinfo=UTC),
)


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab, checks=FEW)


def command(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["purge", *arguments], input=answer, terminal_width=250)


def listed(result: Result) -> dict[str, set[tuple[str, str]]]:
    return {
        key: {(thing["kind"], thing["id"]) for thing in things}
        for key, things in json.loads(result.stdout).items()
    }


def restored(production: Production, held: Lease | Recovered) -> None:
    """Restore an instance as a drill or a recovery does, of whichever suffix."""
    production.cell.rds.restore(
        production.point,
        held,
        production.plan.primary.place,
        Shape(instance_class="db.t3.medium"),
        production.plan.tags.model_dump(),
    )
    await_status(production.lab, held.instance)


def outlived(production: Production) -> str:
    """Leave an automated backup of a temporary instance, and return its ARN."""
    rds = production.lab.client("rds")
    lease = OTHER.model_copy(update={"instance": TEMPORARY})
    restored(production, lease)
    rds.modify_db_instance(DBInstanceIdentifier=TEMPORARY, BackupRetentionPeriod=1, ApplyImmediately=True)
    until(lambda: production.cell.rds.window(TEMPORARY) is not None)
    await_status(production.lab, TEMPORARY)
    rds.delete_db_instance(
        DBInstanceIdentifier=TEMPORARY, SkipFinalSnapshot=True, DeleteAutomatedBackups=False
    )
    until(lambda: production.cell.rds.instance(TEMPORARY) is None)
    (backup,) = production.cell.backups.retained()
    return backup.arn


def killed(production: Production) -> None:
    """Leave the temporary instance of a drill that was killed."""

    def kill(drill: Drill, _: str) -> None:
        if drill.next is Step.OBSERVE:
            raise SystemExit

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conduct, "_abandon", lambda *_: None)
        with pytest.raises(SystemExit):
            conduct.run(production.begin(), production.cell, tick, kill)


def snapshot(production: Production, name: str, tags: dict[str, str]) -> None:
    production.cell.snapshots.take(production.database.instance, name, tags)
    until(lambda: bool((found := production.cell.snapshots.find(name)) and found.usable))


def copied(production: Production, dr: Cell) -> None:
    point = production.cell.snapshots.find(production.point.id)
    assert point is not None
    assert point.mark is not None
    dr.snapshots.copy(point.arn, point.id, dr.place.storage_key, point.mark.tags())


def test_everything_made_at_run_time_goes_and_nothing_else(production: Production) -> None:
    dr = Cell.open(production.plan, production.plan.dr)
    backup = outlived(production)
    restored(production, RECOVERED)
    restored(production, OTHER)
    killed(production)
    copied(production, dr)
    snapshot(production, "pgdrill-lab-shop-by-hand", {"ManagedBy": "somebody"})
    foreign = Mark(suffix="lab-drill", database="shop", resource="db-1")
    snapshot(production, "pgdrill-lab-drill-shop-2026", foreign.tags())
    records = list(production.cell.store.keys(""))

    doomed = {
        ("temporary instance", TEMPORARY),
        ("retained backup", backup),
        ("snapshot", production.point.id),
        ("copied snapshot", production.point.id),
    }
    kept = {
        ("recovered instance", RECOVERED.instance),
        ("not marked as pgdrill's", OTHER.instance),
        ("not marked as pgdrill's", "pgdrill-lab-shop-by-hand"),
        ("not marked as pgdrill's", "pgdrill-lab-drill-shop-2026"),
    }
    assert listed(command("--dry-run", "--json")) == {"found": doomed, "kept": kept}

    refused = command(answer="n\n")
    assert refused.exception is not None
    assert str(refused.exception) == "nothing was deleted"
    assert listed(command("--dry-run", "--json"))["found"] == doomed

    result = command("--yes", "--json")
    assert listed(result) == {"found": doomed, "kept": kept, "left": set()}
    assert result.exit_code == 0

    rds = production.cell.rds
    assert {instance.id for instance in rds.named("")} == {
        production.database.instance,
        RECOVERED.instance,
        OTHER.instance,
    }
    assert {s.id for s in production.cell.snapshots.named("pgdrill")} == {
        "pgdrill-lab-shop-by-hand",
        "pgdrill-lab-drill-shop-2026",
    }
    assert rds.window(production.database.instance) is not None
    assert dr.snapshots.named("pgdrill") == []
    assert set(records) <= set(production.cell.store.keys(""))


def test_what_is_in_the_making_is_asked_for_again_until_it_is_gone(production: Production) -> None:
    production.point = production.take()
    production.lab.door.set_faults({"latency": {"restore": 4, "snapshot": 6}})
    killed(production)
    mark = Mark(suffix="lab", database="shop", resource="db-1")
    production.cell.snapshots.take(production.database.instance, "pgdrill-lab-shop-late", mark.tags())
    told: list[str] = []
    purge.purge(purge.find(production.cell), tick, told.append)
    production.lab.door.clear_faults()
    assert purge.find(production.cell) == []
    assert any("InvalidDBInstanceState" in text for text in told)
    assert any("InvalidDBSnapshotState" in text for text in told)


def test_an_export_under_way_is_ended_before_its_snapshot_goes(production: Production) -> None:
    production.point = production.take()
    production.lab.door.set_faults({"latency": {"export": 60}})
    task = exports.start(production.cell, production.point, ())
    assert ("export under way", task) in listed(command("--dry-run", "--json"))["found"]
    result = command("--yes", "--json")
    production.lab.door.clear_faults()
    assert (result.exit_code, listed(result)["left"]) == (0, set())
    ended = production.cell.exports.find(task)
    assert ended is not None
    assert ended.status == "CANCELED"


def test_the_exports_and_records_of_another_suffix_stay(production: Production, tmp_path: Path) -> None:
    """The other suffix shares both buckets."""
    production.lab.door.set_faults({"latency": {"export": 60}})
    production.point = production.take()
    task = exports.start(production.cell, production.point, ())
    text = production.lab.plan_path.read_text()
    two = tmp_path / "two.toml"
    two.write_text(text.replace('suffix = "lab"', 'suffix = "two"'))
    assert two.read_text() != text
    records = list(production.cell.store.keys(""))

    assert listed(command("--plan", str(two), "--dry-run", "--json"))["found"] == set()
    refused = command("--plan", str(two), "--evidence", "--yes")
    assert str(refused.exception) == (
        "bucket 'pgdrill-lab-evidence-ap-southeast-1' holds records of another suffix too: lab"
    )
    assert command("--plan", str(two), "--yes").exit_code == 0
    under_way = production.cell.exports.find(task)
    assert under_way is not None
    assert under_way.under_way
    assert list(production.cell.store.keys("")) == records
    assert command("--yes").exit_code == 0
    production.lab.door.clear_faults()


def test_what_cannot_be_deleted_is_told_and_does_not_keep_the_others(production: Production) -> None:
    production.point = production.take()
    killed(production)
    doomed = purge.find(production.cell)
    failure = {"action": "DeleteDBInstance", "code": "AccessDenied", "message": "no", "times": 1}
    production.lab.door.set_faults({"failures": [failure]})
    told: list[str] = []
    purge.purge(doomed, tick, told.append)
    assert [one.thing.id for one in purge.find(production.cell)] == [TEMPORARY]
    assert told[1] == (
        f"cannot delete {TEMPORARY!r}: AccessDenied: no. "
        "the role lacks a permission; docs/permissions.md lists what each step calls"
    )
    assert command("--yes").exit_code == 0


def test_the_records_go_only_where_that_is_asked_for_in_every_version(production: Production) -> None:
    store = production.cell.store
    store.put("evidence/shop/d1/evidence.json", b"old")
    store.put("evidence/shop/d1/evidence.json", b"new")
    store.put("evidence/other/d1/evidence.json", b"of a database that is not in the plan")
    assert command("--yes").exit_code == 0
    assert store.get("evidence/shop/d1/evidence.json") == b"new"

    found = listed(command("--dry-run", "--evidence", "--json"))["found"]
    assert {kind for kind, _ in found} == {"objects"}
    result = command("--evidence", "--yes")
    assert result.exit_code == 0
    assert "RDS and S3 list nothing more of this suffix in either region" in result.stdout
    assert list(store.keys("")) == ["evidence/other/d1/evidence.json"]
    assert store.count("evidence/shop/") == 0


def test_nothing_to_do_is_said_and_asks_nothing(production: Production) -> None:
    result = command()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "nothing of pgdrill's is there" in result.stdout


def test_a_plan_of_the_other_suffix_reaches_its_own_alone(production: Production) -> None:
    stack = production.plan.stack.model_copy(update={"suffix": "lab-drill"})
    other = Cell.open(production.plan.model_copy(update={"stack": stack}))
    late = datetime.now(UTC) + timedelta(days=9)
    assert conduct.reap(production.cell, late, None, tick, lambda _: None) == []
    assert {one.thing.id for one in purge.find(other)} == {OTHER.instance, "pgdrill-lab-drill-shop-2026"}
