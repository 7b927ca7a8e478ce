"""Export tasks: a snapshot, started as a throw-away cluster, is written to S3 as Parquet.

As in RDS a task is STARTING while the snapshot is restored and IN_PROGRESS while it is read, and COMPLETE even if
tables were skipped: only the warning and the files tell.
Source: RDS API reference, StartExportTask; RDS User Guide, "Exporting DB snapshot data to Amazon S3".
"""

import json
import logging
import re
from datetime import datetime
from typing import Any

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import Broken
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.rds import export_files, keys, listing
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.fresh import free_port, new_id
from pgdrill.lab.rds.records import Export, Snapshot
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result

log = logging.getLogger(__name__)

SERVICE = "export.rds.amazonaws.com"
CONCURRENT = 5  # of an account, whatever the region
UNDER_WAY = frozenset({"STARTING", "IN_PROGRESS", "CANCELING"})
UNKNOWN = "An unknown internal error occurred."
_PART = re.compile(r"[A-Za-z0-9$_]+(\.[A-Za-z0-9$_]+){0,2}")


class _Cancelled(Exception):
    """CancelExportTask was called."""


def start(state: State, region: str, request: Request) -> Result:
    """StartExportTask. The code for a sixth task is none of the API's model; clients in the wild know it."""
    identifier = listing.identifier(request, "ExportTaskIdentifier", longest=60)
    snapshot = _source(state, region, request["SourceArn"])
    if state.exports.get(region, identifier):
        raise RdsError("ExportTaskAlreadyExists", f"The export task with the ID {identifier} already exists.")
    running = [task for task in state.exports.all() if task.status in UNDER_WAY]
    if any(task.source_arn == request["SourceArn"] for task in running):
        raise RdsError(
            "InvalidExportSourceState",
            f"The snapshot {snapshot.identifier} is being exported by another task.",
        )
    if len(running) >= CONCURRENT:
        raise RdsError(
            "ExportTaskLimitReachedFault",
            f"You have reached the maximum number of {CONCURRENT} concurrent export tasks.",
        )
    _check_target(state, region, request)
    task = Export(
        region=region,
        identifier=identifier,
        uid=new_id("export-"),
        source_arn=request["SourceArn"],
        only=tuple(request.get("ExportOnly", ())),
        bucket=request["S3BucketName"],
        prefix=request.get("S3Prefix", "").strip("/"),
        role=request["IamRoleArn"],
        key=request["KmsKeyId"],
        snapshot_at=snapshot.created_at,
    )
    state.exports.put(task)
    state.run(_export, task, snapshot, reads=snapshot)
    return _shown(task)


def _source(state: State, region: str, arn: str) -> Snapshot:
    if not arn.startswith("arn:"):
        raise RdsError("InvalidParameterValue", f"Invalid snapshot ARN: {arn}")
    snapshot = state.snapshot(region, arn)
    if snapshot.region != region:
        raise RdsError("DBSnapshotNotFound", f"DBSnapshot {arn} not found.")
    if snapshot.status != "available":
        raise RdsError(
            "InvalidExportSourceState",
            f"The snapshot {snapshot.identifier} isn't in the available state, but {snapshot.status}.",
        )
    return snapshot


def _check_target(state: State, region: str, request: Request) -> None:
    bucket, role, key = request["S3BucketName"], request["IamRoleArn"], request["KmsKeyId"]
    if ":" in request.get("S3Prefix", ""):
        raise RdsError("InvalidParameterValue", "S3Prefix can't contain a colon.")
    for part in request.get("ExportOnly", []):
        if not _PART.fullmatch(part):
            raise RdsError("InvalidExportOnly", f"The export only parameter {part!r} is invalid.")
    where = state.neighbours.bucket_region(bucket)
    if where is None:
        raise RdsError(
            "InvalidS3BucketFault",
            f"The S3 bucket {bucket} isn't valid. Either it isn't located in the current AWS Region or it doesn't"
            " exist. Review your S3 bucket name and retry the export.",
        )
    if where != region:
        raise RdsError(
            "InvalidS3BucketFault",
            f"The S3 bucket {bucket} isn't located in the current AWS Region. Review your S3 bucket name and retry"
            " the export.",
        )
    trusted = state.neighbours.trusts(role, SERVICE, request["SourceArn"])
    if trusted is None:
        raise RdsError("IamRoleNotFound", f"The IAM role {role} can't be found.")
    if not trusted:
        raise RdsError("IamRoleMissingPermissions", f"The IAM role {role} isn't authorized for {SERVICE}.")
    keys.check(state, region, key)


def describe(state: State, region: str, request: Request) -> Result:
    """DescribeExportTasks."""
    chosen = state.exports.all(region)
    if name := request.get("ExportTaskIdentifier"):
        chosen = [task for task in chosen if task.identifier == name.lower()]
        if not chosen:
            raise RdsError("ExportTaskNotFound", f"The export task {name} can't be found.")
    if arn := request.get("SourceArn"):
        chosen = [task for task in chosen if task.source_arn == arn]
    chosen = listing.filtered(
        request,
        chosen,
        {
            "export-task-identifier": lambda task: task.identifier,
            "s3-bucket": lambda task: task.bucket,
            "source-arn": lambda task: listing.name_of(task.source_arn),
            "status": lambda task: task.status,
        },
    )
    return listing.page(request, "ExportTasks", chosen, _shown)


def cancel(state: State, region: str, request: Request) -> Result:
    """CancelExportTask. What was written stays."""
    name = request["ExportTaskIdentifier"]
    task = state.exports.get(region, name.lower())
    if task is None:
        raise RdsError("ExportTaskNotFound", f"The export task {name} can't be found.")
    if task.status not in UNDER_WAY:
        raise RdsError("InvalidExportTaskStateFault", f"The export task {name} is {task.status}.")
    return _shown(state.exports.put(task.model_copy(update={"status": "CANCELING"})))


def settle(state: State) -> None:
    """End what a lab that has ended left under way."""
    for task in state.exports.all():
        if task.status in UNDER_WAY:
            _change(state, task, status="FAILED", failure=UNKNOWN, ended_at=state.moment())


def _export(state: State, task: Export, snapshot: Snapshot) -> None:
    cluster = Cluster(state.directory / "exports" / task.uid, state.binaries)
    written = export_files.Written()
    try:
        for _ in state.passing("export"):
            _go_on(state, task)
        if state.faults.doom(task.identifier):
            _end(state, task, snapshot, "FAILED", failure=UNKNOWN)
            return
        cluster.restore(state.base(snapshot))
        cluster.start(free_port(), {"archive_mode": "off"})
        _go_on(state, task, status="IN_PROGRESS", started_at=state.moment())
        _write(state, task, snapshot, cluster, written)
    except _Cancelled:
        _end(state, task, snapshot, "CANCELED")
    except ClientError as error:
        log.warning("export %s: %s", task.identifier, error)
        _end(state, task, snapshot, "FAILED", failure=_refusal(task, error))
    except (Broken, OSError, psycopg.Error, BotoCoreError) as error:
        log.warning("export %s: %s", task.identifier, error)
        _end(state, task, snapshot, "FAILED", failure=UNKNOWN)
    else:
        warning = {"skippedTables": written.skipped, "skippedObjectives": [], "general": []}
        _end(
            state,
            task,
            snapshot,
            "COMPLETE",
            progress=100,
            extracted_gb=written.bytes // 2**30,
            warning=json.dumps(warning) if written.skipped else "",
        )
    finally:
        cluster.destroy()


def _write(
    state: State, task: Export, snapshot: Snapshot, cluster: Cluster, written: export_files.Written
) -> None:
    s3 = state.neighbours.s3(task.region, task.role)
    root = "/".join(part for part in (task.prefix, task.identifier) if part)

    def put(key: str, body: bytes) -> None:
        s3.put_object(
            Bucket=task.bucket,
            Key=f"{root}/{key}",
            Body=body,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=task.key,
        )

    master = snapshot.source.configuration.MasterUsername
    tables = export_files.tables(cluster, master, task.only)
    for number, table in enumerate(tables):
        _go_on(state, task, progress=100 * number // len(tables))
        for key, body in export_files.files(cluster, master, table, written):
            put(key, body)
    for first, last, content in export_files.information(written.told):
        name = f"export_tables_info_{task.identifier}_from_{first}_to_{last}.json"
        put(name, json.dumps(content).encode())
    put(
        f"export_info_{task.identifier}.json",
        json.dumps(_information(task, root, written, state.moment())).encode(),
    )


def _information(
    task: Export, root: str, written: export_files.Written, ended_at: datetime
) -> dict[str, Any]:
    return {
        "exportTaskIdentifier": task.identifier,
        "sourceArn": task.source_arn,
        "exportOnly": list(task.only),
        "snapshotTime": str(task.snapshot_at),
        "taskStartTime": str(task.started_at),
        "taskEndTime": str(ended_at),
        "s3Bucket": task.bucket,
        "s3Prefix": task.prefix,
        "exportedFilesPath": root,
        "iamRoleArn": task.role,
        "kmsKeyId": task.key,
        "status": "COMPLETE",
        "percentProgress": 100,
        "totalExportedDataInGB": written.bytes / 2**30,
    }


def _refusal(task: Export, error: ClientError) -> str:
    action = "s3:PutObject" if error.operation_name == "PutObject" else error.operation_name
    return (
        f"The IAM role {task.role} isn't authorized to call {action} on the S3 bucket {task.bucket}."
        " Review your permissions and retry the export."
    )


def _go_on(state: State, task: Export, **changes: Any) -> None:
    """Change the task's record unless it is being cancelled; the faults may hold it where it is."""
    while state.faults.stuck(task.identifier, _now(state, task).status):
        state.wait(0.05)
    with state.lock:
        if _now(state, task).status == "CANCELING":
            raise _Cancelled
        _change(state, task, **changes)


def _end(state: State, task: Export, snapshot: Snapshot, status: str, **changes: Any) -> None:
    _change(state, task, status=status, ended_at=state.moment(), **changes)
    tell(state, snapshot, {"COMPLETE": "0161", "CANCELED": "0160"}.get(status, "0159"))


def _now(state: State, task: Export) -> Export:
    with state.lock:
        return state.exports.get(task.region, task.identifier) or task


def _change(state: State, task: Export, **changes: Any) -> Export:
    with state.lock:
        return state.exports.put(_now(state, task).model_copy(update=changes))


def _shown(task: Export) -> Result:
    return {
        "ExportTaskIdentifier": task.identifier,
        "SourceArn": task.source_arn,
        "ExportOnly": list(task.only),
        "SnapshotTime": task.snapshot_at,
        "TaskStartTime": task.started_at,
        "TaskEndTime": task.ended_at,
        "S3Bucket": task.bucket,
        "S3Prefix": task.prefix,
        "IamRoleArn": task.role,
        "KmsKeyId": task.key,
        "Status": task.status,
        "PercentProgress": task.progress,
        "TotalExtractedDataInGB": task.extracted_gb,
        "FailureCause": task.failure or None,
        "WarningMessage": task.warning or None,
        "SourceType": "SNAPSHOT",
    }
