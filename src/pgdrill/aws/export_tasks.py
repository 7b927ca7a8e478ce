"""The only module that calls RDS about export tasks: lists them, starts them, cancels pgdrill's own.

An export task has no tags. What makes one pgdrill's own is the bucket that it writes to, which is the plan's.
Nothing here waits or polls; the caller does.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import code, translated, unreachable
from pgdrill.errors import NotOurs, Unavailable
from pgdrill.model import Model, Moment

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

T = TypeVar("T")

COMPLETE = "COMPLETE"
# An export task does not leave these; in all others, known here or not, it is under way.
ENDED = frozenset({COMPLETE, "FAILED", "CANCELED"})


class ExportTask(Model):
    """An export task as RDS describes it now. `source` is the snapshot's ARN, `extracted_gb` whole gigabytes.

    `warning` is what RDS wrote, a JSON document by its samples; `failure` is its sentence.
    """

    id: str
    source: str
    status: str
    progress: int = 0
    bucket: str
    prefix: str = ""
    snapshot_at: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    extracted_gb: int = 0
    failure: str = ""
    warning: str = ""

    @property
    def under_way(self) -> bool:
        return self.status not in ENDED

    @property
    def snapshot(self) -> str:
        """The identifier of the snapshot; an automated one's begins with `rds:`."""
        return self.source.split(":", 6)[-1]


class ExportTasks:
    def __init__(self, client: "RDSClient") -> None:
        self._client = client
        self.region = client.meta.region_name

    def find(self, identifier: str) -> ExportTask | None:
        try:
            answer = self._client.describe_export_tasks(ExportTaskIdentifier=identifier)
        except ClientError as error:
            if code(error) == "ExportTaskNotFound":
                return None
            raise translated("describe export task", identifier, error) from error
        except BotoCoreError as error:
            raise unreachable("describe export task", identifier, error) from error
        # RDS has been seen to answer with an empty list instead of the error.
        return next((_task(entry) for entry in answer["ExportTasks"]), None)

    def into(self, bucket: str) -> list[ExportTask]:
        """Return every export task that writes or wrote to a bucket, in any state, oldest first."""
        found = self._list(Filters=[{"Name": "s3-bucket", "Values": [bucket]}])
        return [task for task in found if task.bucket == bucket]

    def of(self, snapshot_arn: str) -> list[ExportTask]:
        """Return every export task of a snapshot, whoever started it, oldest first."""
        return self._list(SourceArn=snapshot_arn)

    def under_way(self) -> list[ExportTask]:
        """Return what RDS exports in this region now, whoever started it: their snapshots are not deleted."""
        return [task for task in self._list() if task.under_way]

    def start(self, identifier: str, source: str, bucket: str, role: str, key: str) -> bool:
        """Ask for an export of all of a snapshot; asking twice makes one. Return True if this call started it.

        Raises:
            NotOurs: a task of that name exports something else, or to somewhere else.
            Unavailable: five exports are under way in this account, or one of this snapshot; ask again later.
        """
        try:
            self._client.start_export_task(
                ExportTaskIdentifier=identifier,
                SourceArn=source,
                S3BucketName=bucket,
                IamRoleArn=role,
                KmsKeyId=key,
            )
        except ClientError as error:
            if code(error) == "ExportTaskAlreadyExists":
                self._owned(identifier, source, bucket, error)
                return False
            if code(error) in {"ExportTaskLimitReachedFault", "InvalidExportSourceState"}:
                raise Unavailable(
                    f"export {identifier!r} cannot start yet: {error.response['Error'].get('Message', '')}",
                    hint="RDS runs five exports at a time in an account, and one of a snapshot; it is asked again",
                ) from error
            raise translated(f"start export {identifier!r} of", source, error) from error
        except BotoCoreError as error:
            raise unreachable("start export", identifier, error) from error
        return True

    def cancel(self, task: ExportTask) -> None:
        """Ask for the end of an export; what it wrote stays in the bucket until the lifecycle removes it."""
        try:
            self._client.cancel_export_task(ExportTaskIdentifier=task.id)
        except ClientError as error:
            if code(error) not in {"ExportTaskNotFound", "InvalidExportTaskStateFault"}:
                raise translated("cancel export task", task.id, error) from error
        except BotoCoreError as error:
            raise unreachable("cancel export task", task.id, error) from error

    def _owned(self, identifier: str, source: str, bucket: str, error: ClientError) -> None:
        found = self.find(identifier)
        if found is not None and (found.source, found.bucket) != (source, bucket):
            raise NotOurs(
                f"export task {identifier!r} exists and exports {found.snapshot!r} to bucket {found.bucket!r}",
                hint="somebody used pgdrill's name for an export; an export's name cannot be used again",
            ) from error

    def _list(self, **chosen: Any) -> list[ExportTask]:
        pages = self._call(
            lambda: list(self._client.get_paginator("describe_export_tasks").paginate(**chosen)),
        )
        found = [_task(entry) for page in pages for entry in page["ExportTasks"]]
        return sorted(found, key=lambda task: (str(task.started_at or "9"), task.id))

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except ClientError as error:
            raise translated("list export tasks in", self.region, error) from error
        except BotoCoreError as error:
            raise unreachable("list export tasks in", self.region, error) from error


def _task(entry: Any) -> ExportTask:
    return ExportTask(
        id=entry["ExportTaskIdentifier"],
        source=entry["SourceArn"],
        status=entry["Status"],
        progress=entry.get("PercentProgress", 0),
        bucket=entry["S3Bucket"],
        prefix=entry.get("S3Prefix", ""),
        snapshot_at=entry.get("SnapshotTime"),
        started_at=entry.get("TaskStartTime"),
        ended_at=entry.get("TaskEndTime"),
        extracted_gb=entry.get("TotalExtractedDataInGB", 0),
        failure=entry.get("FailureCause", ""),
        warning=entry.get("WarningMessage", ""),
    )
