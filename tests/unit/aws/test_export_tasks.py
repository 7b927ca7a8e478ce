from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.aws.export_tasks import ExportTask, ExportTasks
from pgdrill.errors import NotOurs, NotRunnable, Unavailable
from tests.unit.clients import REGION, scripted

SOURCE = f"arn:aws:rds:{REGION}:000000000000:snapshot:pgdrill-lab-shop-2026-11-22t01z"
ROLE = "arn:aws:iam::000000000000:role/export"


def described(**changes: Any) -> dict[str, Any]:
    task = {
        "ExportTaskIdentifier": "pgdrill-lab-shop-2026-11-22t01z",
        "SourceArn": SOURCE,
        "S3Bucket": "archive",
        "S3Prefix": "",
        "Status": "IN_PROGRESS",
        "PercentProgress": 40,
        "TaskStartTime": datetime(2026, 11, 22, 2, tzinfo=UTC),
    }
    return {"ExportTasks": [task | changes]}


def start(rds: ExportTasks) -> bool:
    return rds.start("pgdrill-lab-shop-2026-11-22t01z", SOURCE, "archive", ROLE, "alias/storage")


def test_a_task_is_read_as_rds_describes_it() -> None:
    client, script = scripted("rds")
    script.add_response("describe_export_tasks", described())
    task = ExportTasks(client).find("pgdrill-lab-shop-2026-11-22t01z")
    assert task is not None
    assert (task.status, task.progress, task.under_way) == ("IN_PROGRESS", 40, True)
    assert task.snapshot == "pgdrill-lab-shop-2026-11-22t01z"


@pytest.mark.parametrize(
    ("status", "under_way"),
    [
        ("STARTING", True),
        ("CANCELING", True),
        ("A_NEW_ONE", True),
        ("COMPLETE", False),
        ("FAILED", False),
        ("CANCELED", False),
    ],
)
def test_a_status_that_is_not_known_is_under_way(status: str, under_way: bool) -> None:
    task = ExportTask(id="e", source=SOURCE, status=status, bucket="archive")
    assert task.under_way is under_way


def test_the_snapshot_of_an_automated_backup_keeps_its_colon() -> None:
    task = ExportTask(
        id="e", source=f"arn:aws:rds:{REGION}:0:snapshot:rds:shop-2026", status="FAILED", bucket="b"
    )
    assert task.snapshot == "rds:shop-2026"


def test_there_is_no_task_where_rds_knows_none() -> None:
    client, script = scripted("rds")
    script.add_client_error("describe_export_tasks", "ExportTaskNotFound")
    script.add_response("describe_export_tasks", {"ExportTasks": []})
    tasks = ExportTasks(client)
    assert tasks.find("e") is None
    assert tasks.find("e") is None


def test_a_task_is_started_with_all_that_rds_wants() -> None:
    client, script = scripted("rds")
    asked = {
        "ExportTaskIdentifier": "pgdrill-lab-shop-2026-11-22t01z",
        "SourceArn": SOURCE,
        "S3BucketName": "archive",
        "IamRoleArn": ROLE,
        "KmsKeyId": "alias/storage",
    }
    script.add_response("start_export_task", {}, asked)
    assert start(ExportTasks(client)) is True


def test_a_task_that_was_started_before_is_ours() -> None:
    client, script = scripted("rds")
    script.add_client_error("start_export_task", "ExportTaskAlreadyExists")
    script.add_response("describe_export_tasks", described())
    assert start(ExportTasks(client)) is False


@pytest.mark.parametrize("change", [{"S3Bucket": "elsewhere"}, {"SourceArn": f"{SOURCE}-another"}])
def test_a_task_of_the_same_name_that_does_something_else_is_not_ours(change: dict[str, str]) -> None:
    client, script = scripted("rds")
    script.add_client_error("start_export_task", "ExportTaskAlreadyExists")
    script.add_response("describe_export_tasks", described(**change))
    with pytest.raises(NotOurs) as refused:
        start(ExportTasks(client))
    task = described(**change)["ExportTasks"][0]
    assert refused.value.message == (
        "export task 'pgdrill-lab-shop-2026-11-22t01z' exists and exports"
        f" {task['SourceArn'].split(':')[-1]!r} to bucket {task['S3Bucket']!r}"
    )
    assert refused.value.hint == (
        "somebody used pgdrill's name for an export; an export's name cannot be used again"
    )


@pytest.mark.parametrize("code", ["ExportTaskLimitReachedFault", "InvalidExportSourceState"])
def test_a_task_for_which_there_is_no_room_may_start_later(code: str) -> None:
    client, script = scripted("rds")
    script.add_client_error("start_export_task", code, "no room")
    with pytest.raises(Unavailable) as refused:
        start(ExportTasks(client))
    assert refused.value.message == ("export 'pgdrill-lab-shop-2026-11-22t01z' cannot start yet: no room")


def test_a_bucket_in_another_region_is_refused_for_good() -> None:
    client, script = scripted("rds")
    script.add_client_error("start_export_task", "InvalidS3BucketFault", "not in this region")
    with pytest.raises(NotRunnable) as refused:
        start(ExportTasks(client))
    assert refused.value.message == (
        "cannot start export 'pgdrill-lab-shop-2026-11-22t01z' of"
        f" '{SOURCE}': InvalidS3BucketFault: not in this region"
    )


def test_only_what_goes_into_the_bucket_is_listed() -> None:
    client, script = scripted("rds")
    two = described()["ExportTasks"] + described(S3Bucket="archive-of-others")["ExportTasks"]
    script.add_response(
        "describe_export_tasks",
        {"ExportTasks": two},
        {"Filters": [{"Name": "s3-bucket", "Values": ["archive"]}]},
    )
    assert [task.bucket for task in ExportTasks(client).into("archive")] == ["archive"]


def test_what_has_ended_need_not_be_cancelled() -> None:
    client, script = scripted("rds")
    script.add_client_error("cancel_export_task", "InvalidExportTaskStateFault")
    script.add_client_error("cancel_export_task", "AccessDenied", "no")
    tasks, task = ExportTasks(client), ExportTask(id="e", source=SOURCE, status="COMPLETE", bucket="b")
    tasks.cancel(task)
    with pytest.raises(NotRunnable) as refused:
        tasks.cancel(task)
    assert refused.value.message == "cannot cancel export task 'e': AccessDenied: no"
