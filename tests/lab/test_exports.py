"""Exports in the lab, from StartExportTask to the cross-examination with a restored copy, under enforced policies."""

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgdrill import cross_examination, exported, exports
from pgdrill.conclusion import Conclusion
from pgdrill.cross_examination import ExportFact
from pgdrill.database import Address, Server
from pgdrill.export_tasks import ExportTask
from pgdrill.lab import shop
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.model import RecoveryPoint, Verdict
from tests.lab.labs import await_status, instance, until
from tests.lab.production import PASSWORD, Production, clock, environment
from tests.lab.rds_api import refused

# One of everything that matters to an export, and to comparing one.
DDL = """
CREATE TABLE kinds (
    small smallint PRIMARY KEY, medium integer, large bigint, single real, double double precision, exact numeric,
    yes boolean, bytes bytea, words text, padded char(5), moment timestamptz, day date, id uuid, document json,
    list integer[], span interval, range int4range, host inet, free money
);
INSERT INTO kinds SELECT i, -i, i * 5000000000, i / 3.0, 1 / i::float8, i / 7.0, i % 2 = 0,
    sha256(i::text::bytea), 'wörd ' || i, 'x' || i, now() - make_interval(mins => i), date '2026-01-01' + i,
    md5(i::text)::uuid, json_build_object('a', i), ARRAY[i, NULL], make_interval(days => i), int4range(i, i + 2),
    '10.0.0.1', i::money FROM generate_series(1, 50) AS i;
INSERT INTO kinds (small, single, double, exact, moment) VALUES
    (100, 'NaN', 'NaN', 'NaN', 'infinity'), (101, '-0', '-Infinity', 1e-30, '4713-01-01 BC'), (102, NULL, NULL, NULL, NULL);
CREATE TABLE pairs (a integer, b text, PRIMARY KEY (a, b));
INSERT INTO pairs SELECT i, 'b' || i FROM generate_series(1, 20) AS i;
CREATE TABLE parts (id integer, place text) PARTITION BY LIST (place);
CREATE TABLE parts_here PARTITION OF parts FOR VALUES IN ('here');
CREATE TABLE parts_there PARTITION OF parts FOR VALUES IN ('there');
INSERT INTO parts SELECT i, CASE WHEN i % 3 = 0 THEN 'here' ELSE 'there' END FROM generate_series(1, 30) AS i;
CREATE TABLE "with space" ("name" text);
INSERT INTO "with space" VALUES ('a');
CREATE TABLE empty (id integer);
CREATE UNLOGGED TABLE fleeting (id integer);
"""
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
def lab(make_lab: Callable[[], Lab]) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True))
    return lab


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


def export(production: Production, point: RecoveryPoint) -> ExportTask:
    cell, database = production.cell, production.database
    name = exports.start(cell, point, exports.of(cell, database))
    until(lambda: not exports.find(cell, database, name).under_way)
    return exports.find(cell, database, name)


def conclude(production: Production, task: ExportTask) -> Conclusion:
    return exports.conclude(production.cell, production.database, task, datetime.now(UTC))


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


def request(production: Production, **changes: Any) -> dict[str, Any]:
    world = production.lab.world()
    return {
        "ExportTaskIdentifier": "by-hand",
        "SourceArn": production.point.arn,
        "S3BucketName": world.archive_bucket,
        "IamRoleArn": world.export_role,
        "KmsKeyId": world.storage_key,
    } | changes


# ------------------------------------------------------------------------------------- the lab's RDS


@pytest.mark.parametrize(
    ("changes", "code", "status", "match"),
    [
        ({"ExportTaskIdentifier": "1-one"}, "InvalidParameterValue", 400, "not a valid identifier"),
        ({"ExportTaskIdentifier": "x" * 61}, "InvalidParameterValue", 400, "at most 60 characters"),
        ({"SourceArn": "nothing"}, "InvalidParameterValue", 400, "Invalid snapshot ARN"),
        ({"S3BucketName": "nowhere"}, "InvalidS3BucketFault", 400, "doesn't exist"),
        (
            {"S3BucketName": "pgdrill-lab-archive-ap-northeast-1"},
            "InvalidS3BucketFault",
            400,
            "isn't located in the current AWS Region",
        ),
        ({"S3Prefix": "a:b"}, "InvalidParameterValue", 400, "colon"),
        ({"IamRoleArn": "arn:aws:iam::000000000000:role/nobody"}, "IamRoleNotFound", 404, "nobody"),
        ({"KmsKeyId": "alias/nothing"}, "KMSKeyNotAccessibleFault", 400, "alias/nothing"),
        ({"ExportOnly": ["a b"]}, "InvalidExportOnly", 400, "'a b'"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(
    production: Production, changes: dict[str, Any], code: str, status: int, match: str
) -> None:
    with refused(code, status=status, match=match):
        production.lab.client("rds").start_export_task(**request(production, **changes))


def test_a_role_that_rds_may_not_assume_is_refused(production: Production) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    iam = production.lab.client("iam")
    role = iam.create_role(RoleName="no-export", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    with refused("IamRoleMissingPermissions"):
        production.lab.client("rds").start_export_task(**request(production, IamRoleArn=role))


def test_five_exports_run_at_a_time_one_of_each_snapshot_until_they_are_cancelled(
    production: Production,
) -> None:
    lab, rds = production.lab, production.lab.client("rds")
    names = [f"copy-{number}" for number in range(6)]
    for name in names:
        rds.copy_db_snapshot(
            SourceDBSnapshotIdentifier=production.point.id,
            TargetDBSnapshotIdentifier=name,
            KmsKeyId=lab.world().storage_key,
        )
    found: list[dict[str, Any]] = []

    def copied() -> bool:
        found[:] = [
            one for one in rds.describe_db_snapshots()["DBSnapshots"] if one["DBSnapshotIdentifier"] in names
        ]
        return all(one["Status"] == "available" for one in found)

    until(copied)
    lab.door.set_faults({"latency": {"export": 60}})

    def start(one: dict[str, Any], name: str) -> None:
        rds.start_export_task(
            **request(production, ExportTaskIdentifier=name, SourceArn=one["DBSnapshotArn"])
        )

    for number, one in enumerate(found[:5]):
        start(one, f"held-{number}")
    with refused("ExportTaskAlreadyExists"):
        start(found[5], "held-0")
    with refused("InvalidExportSourceState"):
        start(found[0], "twice")
    with refused("ExportTaskLimitReachedFault"):
        start(found[5], "sixth")
    for number in range(5):
        assert rds.cancel_export_task(ExportTaskIdentifier=f"held-{number}")["Status"] == "CANCELING"

    def statuses() -> set[str]:
        listed = rds.get_paginator("describe_export_tasks").paginate(
            Filters=[{"Name": "status", "Values": ["canceled"]}]
        )
        return {task["ExportTaskIdentifier"] for page in listed for task in page["ExportTasks"]}

    until(lambda: statuses() >= {f"held-{number}" for number in range(5)})
    with refused("InvalidExportTaskStateFault"):
        rds.cancel_export_task(ExportTaskIdentifier="held-0")
    with refused("ExportTaskNotFound", status=404):
        rds.cancel_export_task(ExportTaskIdentifier="none")
    messages = [event["Message"] for event in rds.describe_events(SourceType="db-snapshot")["Events"]]
    assert messages.count("The DB snapshot export task was canceled.") == 5
    lab.door.clear_faults()
    for name in names:
        rds.delete_db_snapshot(DBSnapshotIdentifier=name)


def test_an_export_lies_where_rds_puts_it(production: Production, task: ExportTask) -> None:
    assert (task.id, task.status, task.progress) == (production.point.id, "COMPLETE", 100)
    assert task.failure == ""
    keys = [key.removeprefix(f"{task.id}/") for key in production.cell.archive().keys(f"{task.id}/")]
    tables = {key.split("/")[1] for key in keys if key.startswith("shop/")}
    assert tables == {
        "public.orders",
        "public.kinds",
        "public.pairs",
        "public.parts",
        "public.with_space",
        "public.empty",
    }
    batches = {key.split("/")[2] for key in keys if key.startswith("shop/public.parts/")}
    assert batches == {"1", "2"}
    assert [key for key in keys if key.startswith("shop/public.empty/")] == ["shop/public.empty/1/_SUCCESS"]
    assert f"export_info_{task.id}.json" in keys
    assert [key for key in keys if "tables_info" in key] == [f"export_tables_info_{task.id}_from_1_to_7.json"]
    events = production.lab.client("rds").describe_events(
        SourceIdentifier=production.point.id, SourceType="db-snapshot"
    )
    assert "The DB snapshot export task completed." in [event["Message"] for event in events["Events"]]


def test_types_are_written_as_aws_publishes(production: Production, task: ExportTask) -> None:
    (body,) = exported.files(production.cell.archive(), task, "shop/public.kinds")
    file = pq.ParquetFile(io.BytesIO(body))
    written = {
        column.name: (column.physical_type, column.logical_type.type)
        for column in (file.schema.column(number) for number in range(len(file.schema.names)))
    }
    assert written["small"] == ("INT32", "INT")
    assert written["medium"] == ("INT32", "NONE")
    assert written["large"] == ("INT64", "NONE")
    assert written["single"] == ("FLOAT", "NONE")
    assert written["double"] == ("DOUBLE", "NONE")
    assert written["yes"] == ("BOOLEAN", "NONE")
    assert written["bytes"] == ("BYTE_ARRAY", "NONE")
    for name in (
        "exact",
        "words",
        "padded",
        "moment",
        "day",
        "id",
        "document",
        "list",
        "span",
        "host",
        "free",
    ):
        assert written[name] == ("BYTE_ARRAY", "STRING"), name
    assert file.metadata.row_group(0).column(0).compression == "GZIP"


def test_a_role_that_may_not_write_fails_the_export(production: Production, task: ExportTask) -> None:
    lab = production.lab
    role = lab.world().export_role.rsplit("/", 1)[-1]
    iam = lab.client("iam")
    policy = iam.get_role_policy(RoleName=role, PolicyName="write-exports")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName="write-exports")
    try:
        lab.client("rds").start_export_task(**request(production, ExportTaskIdentifier="refused"))
        until(lambda: not exports.find(production.cell, production.database, "refused").under_way)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="write-exports", PolicyDocument=json.dumps(policy))
    refusal = exports.find(production.cell, production.database, "refused")
    assert (refusal.status, task.status) == ("FAILED", "COMPLETE")
    assert "isn't authorized to call s3:PutObject" in refusal.failure
    judged = conclude(production, refusal).finding
    assert judged.verdict is Verdict.FAILED
    assert judged.reason == f"export refused is FAILED: {refusal.failure}"


# ------------------------------------------------------------------------------------ pgdrill's exports


def test_an_export_of_every_table_passes_and_is_made_once(production: Production, task: ExportTask) -> None:
    judged = conclude(production, task)
    assert (judged.finding.verdict, judged.finding.reason) == (
        Verdict.PASSED,
        "every table that production had is in the export",
    )
    cell = production.cell
    assert exports.start(cell, production.point, exports.of(cell, production.database)) == task.id
    assert exports.concluded(cell, production.database, task.id) == judged


def test_the_point_of_a_slot_is_exported_judged_and_then_left_alone(production: Production) -> None:
    """Each pass does what is to be done, and nothing twice."""
    cell, database = production.cell, production.database
    now = datetime.now(UTC)
    mark = cell.snapshots.find(production.point.id)
    assert mark is not None
    assert mark.mark is not None
    tags = mark.mark.model_copy(update={"slot": now.strftime("%Y-%m-%dT00Z")}).tags()
    name = f"{production.plan.point_prefix(database)}{now:%Y-%m-%d}t00z"
    cell.snapshots.take(database.instance, name, tags)
    until(lambda: bool((one := cell.snapshots.find(name)) and one.usable))
    first = exports.tend(cell, database, now)
    assert first.started == (name,)
    assert exports.tend(cell, database, now).started == ()
    until(lambda: not exports.find(cell, database, name).under_way)
    ended = exports.tend(cell, database, now)
    assert [one.task.id for one in ended.concluded if one.task.id == name] == [name]
    again = exports.tend(cell, database, now)
    assert (again.started, again.under_way, again.concluded) == ((), (), ())


# -------------------------------------------------------------------------------- cross-examination


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
    began = time.monotonic()
    short = Server(copy.address, clock(5.3), may_change=True)
    archive = production.cell.archive()
    told = exported.read(archive, task)
    fact: ExportFact | None = None
    rounds = 0
    while fact is None or not fact.complete:
        assert time.monotonic() - began < 30
        fact = cross_examination.measure(
            short, told, lambda folder: exported.files(archive, task, folder), fact
        )
        short = Server(copy.address, clock(5.3), may_change=True)
        rounds += 1
    assert rounds > 1
    assert set(verdicts(fact).values()) == {Verdict.PASSED}


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
