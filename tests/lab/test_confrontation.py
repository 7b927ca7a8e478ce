"""An export and a copy of one snapshot, with the drill that says which of them is wrong."""

from collections.abc import Iterator

import pytest

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.exporting import confrontation, exports
from pgdrill.exporting.confrontation import CHECKS, Confrontation
from pgdrill.lab.lab import Lab
from pgdrill.model import RecoveryPoint, Verdict
from tests.lab.labs import until
from tests.lab.production import Production, environment, tick


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        production = Production(lab)
        production.execute("CREATE TABLE gone AS SELECT 1 AS id")
        production.point = production.take()
        yield production


@pytest.fixture(scope="module")
def task(production: Production) -> ExportTask:
    return export(production, production.point)


def export(production: Production, point: RecoveryPoint) -> ExportTask:
    cell, database = production.cell, production.database
    name = exports.start(cell, point, exports.of(cell, database))
    until(lambda: not exports.find(cell, database, name).under_way)
    return exports.find(cell, database, name)


def confront(production: Production, task: ExportTask) -> Confrontation:
    begun = production.begin(task.snapshot)
    done, outcome = confrontation.run(begun, production.cell, task, tick, lambda *_: None)
    assert done.verdict is outcome.copy_verdict
    assert production.leased() == []
    key = f"exports/{done.database}/{task.id}/confronted-{done.id}.json"
    kept = production.cell.store.get(key)
    assert kept is not None
    assert Confrontation.model_validate_json(kept) == outcome
    return outcome


def test_two_that_agree_pass(production: Production, task: ExportTask) -> None:
    outcome = confront(production, task)
    assert outcome.says == "the export and the restored copy tell the same"
    assert [finding.check for finding in outcome.findings] == list(CHECKS)
    assert (outcome.verdict, outcome.copy_verdict) == (Verdict.PASSED, Verdict.PASSED)


def test_a_copy_that_passes_its_drill_convicts_the_export(production: Production, task: ExportTask) -> None:
    archive, s3 = production.cell.archive(), production.lab.client("s3")
    key = next(key for key in archive.keys(f"{task.id}/shop/public.orders/") if key.endswith(".parquet"))
    body = archive.get(key)
    assert body is not None
    s3.delete_object(Bucket=archive.bucket, Key=key)
    try:
        outcome = confront(production, task)
    finally:
        archive.put(key, body)
    assert outcome.says == "the export is not what the snapshot was: the copy passed its own drill"
    assert (outcome.verdict, outcome.copy_verdict) == (Verdict.FAILED, Verdict.PASSED)


def test_a_drill_that_fails_convicts_the_copy(production: Production) -> None:
    point = production.take()
    task = export(production, point)
    production.lab.door.sabotage(point.id, "dropped-table", database="shop", table="public.gone")
    outcome = confront(production, task)
    assert outcome.says == "the copy is not what the snapshot was: it failed its own drill"
    assert outcome.copy_verdict is Verdict.FAILED
    assert outcome.findings[0].reason == (
        "the export and the copy do not hold the same tables: public.gone (in the export and not in the copy)"
    )


def test_a_snapshot_that_does_not_restore_leaves_the_export_open(production: Production) -> None:
    point = production.take()
    task = export(production, point)
    production.lab.door.set_faults(
        {"doomed": [{"identifier": "pgdrill-lab-drill-shop", "status": "incompatible-restore"}]}
    )
    try:
        outcome = confront(production, task)
    finally:
        production.lab.door.clear_faults()
    assert outcome.copy_verdict is Verdict.FAILED
    assert {finding.verdict for finding in outcome.findings} == {Verdict.INCONCLUSIVE}
    assert outcome.says == "the export and the restored copy could not be compared whole"


def test_an_archive_that_cannot_be_read_does_not_stop_the_drill(
    production: Production, task: ExportTask
) -> None:
    lost = task.model_copy(update={"id": "never-was"})
    outcome = confront(production, lost)
    assert outcome.copy_verdict is Verdict.PASSED
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.findings[0].reason == (
        "not compared: export 'never-was' left no information of its own below 'never-was' in bucket"
        " 'pgdrill-lab-archive-ap-southeast-1'"
    )
