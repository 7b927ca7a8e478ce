"""An export and a restored copy of the same snapshot: either convicts the other, by the library and by the command."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.cli import app
from pgdrill.database import Address, Server
from pgdrill.errors import NotRunnable
from pgdrill.exporting import cross_examination, exported
from pgdrill.exporting.cross_examination import ExportFact
from pgdrill.lab import shop
from pgdrill.lab.lab import Lab
from pgdrill.model import RecoveryPoint, Verdict
from tests.lab.exporting import DDL, conclude, export
from tests.lab.labs import await_status, instance
from tests.lab.production import PASSWORD, Production, clock, environment, looks

# What RDS leaves out.
SKIPPED = """
CREATE TABLE "column, comma" (id integer, "a, b" integer);
CREATE ROLE other NOLOGIN;
GRANT other TO CURRENT_USER;
GRANT USAGE, CREATE ON SCHEMA public TO other;
CREATE TABLE theirs (id integer);
ALTER TABLE theirs OWNER TO other;
REVOKE other FROM CURRENT_USER;
CREATE TABLE hidden (id integer);
INSERT INTO hidden VALUES (1), (2);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
"""
COMMA, THEIRS = "shop.public.column, comma", "shop.public.theirs"


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        production = Production(lab)
        production.execute(DDL)
        production.point = production.take()
        yield production


@pytest.fixture(scope="module")
def task(production: Production) -> ExportTask:
    """A complete export of production's point."""
    return export(production, production.point)


@pytest.fixture(scope="module")
def copy(production: Production) -> Server:
    """A restored copy of the same point, as somebody else restored it."""
    return restored(production, production.point, "copy")


def restored(production: Production, point: RecoveryPoint, name: str) -> Server:
    lab = production.lab
    wanted = lab.world().production_instance()
    lab.client("rds").restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=name,
        DBSnapshotIdentifier=point.id,
        BackupRetentionPeriod=0,
        **{key: wanted[key] for key in ("DBSubnetGroupName", "VpcSecurityGroupIds", "DBParameterGroupName")},
    )
    await_status(lab, name)
    endpoint = instance(lab, name)["Endpoint"]
    address = Address(
        host=endpoint["Address"],
        port=endpoint["Port"],
        user="master",
        password=PASSWORD,
        root_cert=lab.environment["PGSSLROOTCERT"],
    )
    return Server(address, clock(), may_change=True)


def measure(production: Production, task: ExportTask, copy: Server) -> ExportFact:
    archive = production.cell.archive()
    return cross_examination.measure(
        copy, exported.read(archive, task), lambda folder: exported.files(archive, task, folder)
    )


def verdicts(fact: ExportFact) -> dict[str, Verdict]:
    return {finding.check: finding.verdict for finding in cross_examination.judge(fact)}


def differing(fact: ExportFact) -> dict[str, tuple[str, ...]]:
    return {name: one.differ for name, one in fact.compared.items() if one.differ or one.reason}


def test_an_export_and_a_copy_of_one_point_agree(
    production: Production, task: ExportTask, copy: Server
) -> None:
    fact = measure(production, task, copy)
    assert differing(fact) == {}
    assert (fact.absent, fact.unknown, fact.complete) == ({}, (), True)
    assert {name: one.rows_restored for name, one in fact.compared.items() if name.startswith("shop")} == {
        "shop.public.orders": 1000,
        "shop.public.kinds": 53,
        "shop.public.pairs": 20,
        "shop.public.parts": 30,
        "shop.public.with space": 1,
        "shop.public.empty": 0,
    }
    assert set(verdicts(fact).values()) == {Verdict.PASSED}


@contextmanager
def changed(copy: Server, statement: str, undo: str) -> Iterator[None]:
    with shop.connect(copy.address, "shop") as session:
        session.execute(statement.encode())
        yield
        session.execute(undo.encode())


class InCopy(NamedTuple):
    """A change to the copy and its way back, and what is then found: the table, its rows, what differs."""

    statement: str
    undo: str
    table: str
    rows: int
    differ: set[str]


IN_COPY = [
    InCopy(
        "DELETE FROM orders WHERE id = 7", "INSERT INTO orders VALUES (7, 0)", "orders", 999, {"id", "total"}
    ),
    InCopy("INSERT INTO empty VALUES (0)", "DELETE FROM empty", "empty", 1, {"id"}),
    InCopy(
        "DELETE FROM parts WHERE id = 3",
        "INSERT INTO parts VALUES (3, 'here')",
        "parts",
        29,
        {"id", "place"},
    ),
    InCopy(
        "UPDATE kinds SET words = 'other' WHERE small = 1",
        "UPDATE kinds SET words = 'wörd 1' WHERE small = 1",
        "kinds",
        53,
        {"words"},
    ),
    InCopy(
        "UPDATE kinds SET medium = 0 WHERE small = 102",
        "UPDATE kinds SET medium = NULL WHERE small = 102",
        "kinds",
        53,
        {"medium"},
    ),
    InCopy(
        "UPDATE kinds SET single = 0 WHERE small = 101",
        "UPDATE kinds SET single = '-0' WHERE small = 101",
        "kinds",
        53,
        {"single"},
    ),
    InCopy(
        "UPDATE pairs SET b = CASE b WHEN 'b1' THEN 'b2' ELSE 'b1' END WHERE a < 3",
        "UPDATE pairs SET b = 'b' || a",
        "pairs",
        20,
        {"(key)"},
    ),
]


@pytest.mark.parametrize("change", IN_COPY, ids=lambda change: change.statement)
def test_an_export_convicts_a_copy_that_was_changed(
    production: Production, task: ExportTask, copy: Server, change: InCopy
) -> None:
    with changed(copy, change.statement, change.undo):
        fact = measure(production, task, copy)
    name = f"shop.public.{change.table}"
    found = fact.compared[name]
    assert (found.rows_restored, set(found.differ)) == (change.rows, change.differ)
    assert list(differing(fact)) == [name]
    assert verdicts(fact)["export_values"] is Verdict.FAILED
    same = found.rows_exported == change.rows
    assert verdicts(fact)["export_rows"] is (Verdict.PASSED if same else Verdict.FAILED)


def test_a_changed_array_convicts_nobody_since_its_form_is_not_published(
    production: Production, task: ExportTask, copy: Server
) -> None:
    with changed(
        copy,
        "UPDATE kinds SET list = '{9}' WHERE small = 1",
        "UPDATE kinds SET list = '{1,NULL}' WHERE small = 1",
    ):
        fact = measure(production, task, copy)
    assert verdicts(fact)["export_values"] is Verdict.INCONCLUSIVE


@contextmanager
def rewritten(
    production: Production,
    task: ExportTask,
    folder: str,
    change: Callable[[pa.Table], pa.Table | bytes | None],
) -> Iterator[None]:
    """Change the first file of a table in the archive; None removes it."""
    archive, s3 = production.cell.archive(), production.lab.client("s3")
    key = next(key for key in archive.keys(f"{task.id}/{folder}/") if key.endswith(".parquet"))
    body = archive.get(key)
    assert body is not None
    new = change(pq.read_table(io.BytesIO(body)))
    if new is None:
        s3.delete_object(Bucket=archive.bucket, Key=key)
    elif isinstance(new, bytes):
        archive.put(key, new)
    else:
        target = io.BytesIO()
        pq.write_table(new, target)
        archive.put(key, target.getvalue())
    yield
    archive.put(key, body)


def with_words(table: pa.Table) -> pa.Table:
    place = table.schema.get_field_index("words")
    return table.set_column(place, "words", pa.array(["other"] * table.num_rows))


class InArchive(NamedTuple):
    """A change to a file of the archive, and what is then found: rows of the export, what differs."""

    table: str
    change: Callable[[pa.Table], pa.Table | None]
    rows: int
    differ: set[str]


IN_ARCHIVE = {
    "a row less": InArchive("orders", lambda table: table.slice(1), 999, {"id", "total"}),
    "a row twice": InArchive(
        "orders", lambda table: pa.concat_tables([table, table.slice(0, 1)]), 1001, {"id", "total"}
    ),
    "no file": InArchive("orders", lambda _: None, 0, {"id", "total"}),
    "other words": InArchive("kinds", with_words, 53, {"words"}),
    "a column less": InArchive("pairs", lambda table: table.drop_columns(["b"]), 20, {"b"}),
    "a column more": InArchive("pairs", lambda table: table.append_column("c", table["a"]), 20, {"c"}),
}


@pytest.mark.parametrize("name", IN_ARCHIVE)
def test_a_copy_convicts_an_export_that_was_changed(
    production: Production, task: ExportTask, copy: Server, name: str
) -> None:
    damage = IN_ARCHIVE[name]
    with rewritten(production, task, f"shop/public.{damage.table}", damage.change):
        fact = measure(production, task, copy)
    found = fact.compared[f"shop.public.{damage.table}"]
    assert (found.rows_exported, set(found.differ)) == (damage.rows, damage.differ)
    assert list(differing(fact)) == [f"shop.public.{damage.table}"]
    assert verdicts(fact)["export_values"] is Verdict.FAILED


def test_a_file_that_is_not_parquet_is_never_a_pass(
    production: Production, task: ExportTask, copy: Server
) -> None:
    with rewritten(production, task, "shop/public.pairs", lambda _: b"PAR1 and nothing more"):
        fact = measure(production, task, copy)
    assert fact.compared["shop.public.pairs"].reason == (
        "a file of the export cannot be read as its columns say: ArrowInvalid"
    )
    assert verdicts(fact)["export_rows"] is Verdict.INCONCLUSIVE


def test_what_was_compared_in_time_is_kept_and_the_rest_comes_later(
    production: Production, task: ExportTask, copy: Server
) -> None:
    archive = production.cell.archive()
    told = exported.read(archive, task)
    fact: ExportFact | None = None
    rounds = 0
    while fact is None or not fact.complete:
        assert rounds < 50
        short = Server(copy.address, looks(8), may_change=True)
        fact = cross_examination.measure(
            short, told, lambda folder: exported.files(archive, task, folder), fact
        )
        rounds += 1
    assert rounds > 1
    assert set(verdicts(fact).values()) == {Verdict.PASSED}


# ------------------------------------------------------------------------------------------- commands


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"PGPASSWORD": PASSWORD}).invoke(app, ["export", *arguments])


def test_the_commands_tell_machines_what_there_is(
    production: Production, task: ExportTask, copy: Server
) -> None:
    dsn = f"postgresql://master@{copy.address.host}:{copy.address.port}/postgres"
    started = invoke("start", "--point", production.point.id, "--wait", "--json")
    assert (started.exit_code, json.loads(started.stdout)["finding"]["verdict"]) == (0, "passed")
    listed = {entry["task"]["id"]: entry["finding"] for entry in json.loads(invoke("list", "--json").stdout)}
    assert listed[task.id]["verdict"] == "passed"
    shown = invoke("status", task.id, "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["task"]["status"]) == (0, "COMPLETE")
    latest = invoke("status", "--json")
    assert (latest.exit_code, latest.stdout) == (0, invoke("status", "latest", "--json").stdout)
    examined = invoke("examine", task.id, dsn, "--scratch", "--json")
    content = json.loads(examined.stdout)
    assert (examined.exit_code, content["verdict"]) == (0, "passed")
    assert set(content["fact"]["compared"]) >= {"shop.public.kinds", "shop.public.parts"}
    ran = invoke("run", "--json")
    assert (ran.exit_code, json.loads(ran.stdout)["started"]) == (0, [])


def test_the_commands_tell_people_what_is_wrong(
    production: Production, task: ExportTask, copy: Server
) -> None:
    dsn = f"postgresql://master@{copy.address.host}:{copy.address.port}/postgres"
    with changed(copy, "DELETE FROM orders WHERE id = 7", "INSERT INTO orders VALUES (7, 0)"):
        examined = invoke("examine", task.id, dsn, "--scratch")
    assert examined.exit_code == 1
    assert "1000 rows in the export, 999 in the copy" in examined.stdout
    assert task.id in invoke("list").stdout
    unknown = invoke("status", "never-was")
    assert isinstance(unknown.exception, NotRunnable)
    assert unknown.exception.message == "database 'shop' has no export 'never-was'"
    assert unknown.exception.hint == "list what there is with: pgdrill export list"


def test_skipped_tables_and_hidden_rows_are_found_in_a_complete_export(production: Production) -> None:
    production.execute(SKIPPED)
    point = production.take()
    task = export(production, point)
    assert task.status == "COMPLETE"
    judged = conclude(production, task).finding
    assert judged.verdict is Verdict.FAILED
    assert judged.reason == (
        "RDS calls the export complete, but 2 tables are not in it:"
        " public.column, comma, skipped: UNSUPPORTED_CHARACTERS_IN_COLUMN_NAME"
    )
    fact = measure(production, task, restored(production, point, "second-copy"))
    assert fact.absent == {
        COMMA: "UNSUPPORTED_CHARACTERS_IN_COLUMN_NAME",
        THEIRS: "PERMISSIONS_DO_NOT_EXIST",
    }
    hidden = fact.compared["shop.public.hidden"]
    assert (hidden.rows_exported, hidden.rows_restored, hidden.row_security) == (0, 2, True)
    assert verdicts(fact) == dict.fromkeys(("export_tables", "export_rows", "export_values"), Verdict.FAILED)
