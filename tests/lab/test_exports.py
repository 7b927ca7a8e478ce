"""Exports in the lab, from StartExportTask to what an export came to, under enforced policies."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.exporting import exported, exports
from pgdrill.lab.lab import Lab
from pgdrill.lab.rds.exports import SERVICE, UNDER_WAY
from pgdrill.lab.rds.fresh import new_id
from pgdrill.lab.record import Settings
from pgdrill.model import Verdict
from tests.lab.exporting import DDL, conclude, export
from tests.lab.labs import until
from tests.lab.production import Production, environment
from tests.lab.rds_api import ACCOUNT, refused


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


def trust(service: str = SERVICE, **more: Any) -> dict[str, Any]:
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return allowed | more


def bound(account: str, source: str) -> dict[str, Any]:
    return {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": source},
    }


SNAPSHOTS = f"arn:aws:rds:ap-southeast-1:{ACCOUNT}:snapshot:*"


@pytest.mark.parametrize(
    "statements",
    [
        [trust("lambda.amazonaws.com")],
        [trust(Action="sts:TagSession")],
        [trust(Condition=bound("999999999999", SNAPSHOTS))],
        [trust(Condition=bound(ACCOUNT, SNAPSHOTS.replace("snapshot", "cluster-snapshot")))],
        [trust(), trust(Effect="Deny", Condition=bound(ACCOUNT, SNAPSHOTS))],
    ],
)
def test_a_role_that_rds_may_not_take_for_the_snapshot_is_refused(
    production: Production, statements: list[dict[str, Any]]
) -> None:
    role = made(production.lab, *statements)
    message = f"The IAM role {role} isn't authorized for export.rds.amazonaws.com."
    with refused("IamRoleMissingPermissions", message):
        production.lab.client("rds").start_export_task(**request(production, IamRoleArn=role))


@pytest.mark.usefixtures("task")  # a failed export of the point before it would give that one another name
def test_a_role_that_rds_may_take_for_the_account_s_snapshots_is_taken(production: Production) -> None:
    rds = production.lab.client("rds")
    denied = trust(Effect="Deny", Condition=bound("999999999999", "*"))
    role = made(production.lab, trust(Condition=bound(ACCOUNT, SNAPSHOTS)), denied)
    asked = request(production, ExportTaskIdentifier="taken", IamRoleArn=role)
    assert rds.start_export_task(**asked)["Status"] == "STARTING"
    described: dict[str, Any] = {}

    def ended() -> bool:
        described.update(rds.describe_export_tasks(ExportTaskIdentifier="taken")["ExportTasks"][0])
        return described["Status"] not in UNDER_WAY

    until(ended)
    assert described["FailureCause"] == (
        f"The IAM role {role} isn't authorized to call s3:PutObject on the S3 bucket"
        f" {production.lab.world().archive_bucket}. Review your permissions and retry the export."
    )


def made(lab: Lab, *statements: Any) -> str:
    """Make a role with a trust policy that may do nothing; return its ARN."""
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam = lab.client("iam")
    role = iam.create_role(RoleName=new_id("export-"), AssumeRolePolicyDocument=document)
    return str(role["Role"]["Arn"])


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


def test_the_archive_lets_exports_go_after_thirty_days_with_all_that_versioning_keeps(
    production: Production,
) -> None:
    bucket = production.lab.world().archive_bucket
    (rule,) = production.lab.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (rule["Status"], rule["Filter"], rule["Expiration"]["Days"]) == ("Enabled", {"Prefix": ""}, 30)
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 1
    assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1


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


def test_an_export_that_the_end_of_the_lab_cut_off_has_failed_and_leaves_no_server(
    production: Production,
) -> None:
    lab = production.lab
    lab.door.set_faults({"stuck": [{"identifier": "cut-off", "status": "IN_PROGRESS"}]})
    lab.client("rds").start_export_task(**request(production, ExportTaskIdentifier="cut-off"))
    clusters = lab.directory / "rds" / "exports"
    until(lambda: exports.find(production.cell, production.database, "cut-off").status == "IN_PROGRESS")
    assert len(list(clusters.iterdir())) == 1
    lab.down(keep=True)
    lab.up()
    (task,) = lab.client("rds").describe_export_tasks(ExportTaskIdentifier="cut-off")["ExportTasks"]
    assert (task["Status"], task["FailureCause"]) == ("FAILED", "An unknown internal error occurred.")
    assert list(clusters.iterdir()) == []
