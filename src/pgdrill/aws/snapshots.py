"""The only module that calls RDS about snapshots: lists, takes and copies them, deletes pgdrill's own.

Deletes nothing by its name alone: a snapshot is read again first, and must still carry our prefix and our tags.
Nothing here waits or polls; the caller does.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import code, translated, unreachable
from pgdrill.errors import NotOurs, Unavailable
from pgdrill.model import Model, Moment, PointKind, RecoveryPoint
from pgdrill.plan import PREFIX

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

T = TypeVar("T")

# What RDS says of a snapshot that will not become usable any more.
LOST = frozenset({"failed", "deleting", "deleted", "incompatible-restore"})
# What is in the making has no moment yet and is the newest.
_LAST = datetime.max.replace(tzinfo=UTC)


class Mark(Model):
    """What makes a snapshot pgdrill's own: the prefix of its name, and these tags.

    `resource` is the source's DbiResourceId, which tells an instance from a later one of the same name.
    `slot` is the slot's name, None for a point that was taken out of turn.
    """

    suffix: str
    database: str
    resource: str
    slot: str | None = None

    def tags(self) -> dict[str, str]:
        tags = {
            "ManagedBy": "pgdrill",
            "PgDrillRole": "point",
            "PgDrillSuffix": self.suffix,
            "PgDrillDatabase": self.database,
            "PgDrillResource": self.resource,
        }
        return tags | ({"PgDrillSlot": self.slot} if self.slot else {})


class Snapshot(Model):
    """A snapshot as RDS describes it now, in any state.

    `recovers_to` is None until RDS says it. `created_at` is the snapshot's own time: for a copy, when it was
    copied. `original_at` is that of the snapshot it is a copy of, however often copied; else its own. `copied_from` is
    the ARN of a copy's source.
    """

    id: str
    arn: str
    region: str
    source: str
    resource: str
    status: str
    progress: int = 0
    manual: bool = True
    recovers_to: Moment | None = None
    created_at: Moment | None = None
    original_at: Moment | None = None
    copied_from: str | None = None
    engine_version: str
    storage_gb: int
    encrypted: bool
    kms_key: str | None = None
    tags: dict[str, str]

    @property
    def usable(self) -> bool:
        return self.status == "available" and self.recovers_to is not None

    @property
    def lost(self) -> bool:
        return self.status in LOST

    @property
    def under_way(self) -> bool:
        """Tell whether it may yet become usable: `creating`, `pending`, `copying`, or a status not known here."""
        return not self.usable and not self.lost

    @property
    def mark(self) -> Mark | None:
        """Return what makes it pgdrill's own; None where any part is missing."""
        tags = self.tags
        if not self.manual or tags.get("ManagedBy") != "pgdrill" or tags.get("PgDrillRole") != "point":
            return None
        try:
            mark = Mark(
                suffix=tags["PgDrillSuffix"],
                database=tags["PgDrillDatabase"],
                resource=tags["PgDrillResource"],
                slot=tags.get("PgDrillSlot"),
            )
        except KeyError:
            return None
        return mark if self.id.startswith(f"{PREFIX}-{mark.suffix}-{mark.database}-") else None

    def point(self) -> RecoveryPoint:
        """Return it as something to restore from.

        Raises:
            ValueError: it is not usable.
        """
        if not self.usable or self.recovers_to is None:
            raise ValueError(f"snapshot {self.id} is {self.status}")
        return RecoveryPoint(
            id=self.id,
            kind=PointKind.COPY if self.copied_from else PointKind.SNAPSHOT,
            region=self.region,
            source=self.source,
            resource=self.resource,
            arn=self.arn,
            slot=self.tags.get("PgDrillSlot"),
            recovers_to=self.recovers_to,
            created_at=self.original_at,
            usable_at=self.created_at,
            engine_version=self.engine_version,
            storage_gb=self.storage_gb,
            encrypted=self.encrypted,
            kms_key=self.kms_key,
        )


class Quota(Model):
    """Manual snapshots of one account in one region, everybody's included."""

    used: int
    limit: int

    @property
    def free(self) -> int:
        return self.limit - self.used


class Asked(StrEnum):
    """What came of asking for a copy: it has begun, it was there, or what it is to be a copy of is gone."""

    BEGUN = "begun"
    THERE = "there"
    NO_SOURCE = "no source"


class Snapshots:
    def __init__(self, client: "RDSClient") -> None:
        self._client = client
        self.region = client.meta.region_name

    # ---------------------------------------------------------------- reading

    def of(self, source: str) -> list[Snapshot]:
        """Return all snapshots of the instance of that name, manual and automated, oldest first."""
        return self._list(f"list snapshots of {source!r} in", DBInstanceIdentifier=source)

    def ours(self, suffix: str) -> list[Snapshot]:
        """Return every snapshot in this region that is pgdrill's own under this suffix, in any state."""
        found = self._list("list snapshots in", SnapshotType="manual")
        return [snapshot for snapshot in found if snapshot.mark and snapshot.mark.suffix == suffix]

    def named(self, prefix: str) -> list[Snapshot]:
        """Return every manual snapshot in this region whose name begins with `prefix`, whoever made it."""
        found = self._list("list snapshots in", SnapshotType="manual")
        return [snapshot for snapshot in found if snapshot.id.startswith(prefix)]

    def find(self, identifier: str) -> Snapshot | None:
        try:
            answer = self._client.describe_db_snapshots(DBSnapshotIdentifier=identifier)
        except ClientError as error:
            if code(error) == "DBSnapshotNotFound":
                return None
            raise translated("describe snapshot", identifier, error) from error
        except BotoCoreError as error:
            raise unreachable("describe snapshot", identifier, error) from error
        return _snapshot(answer["DBSnapshots"][0], self.region)

    def quota(self) -> Quota:
        answer = self._call("describe the quotas of", self.region, self._client.describe_account_attributes)
        for entry in answer["AccountQuotas"]:
            if entry["AccountQuotaName"] == "ManualSnapshots":
                return Quota(used=entry["Used"], limit=entry["Max"])
        raise Unavailable(
            f"RDS in {self.region} did not tell its quota of manual snapshots",
            hint="see the quota L-272F1212 of RDS in Service Quotas",
        )

    # ---------------------------------------------------------------- making

    def take(self, source: str, identifier: str, tags: dict[str, str]) -> bool:
        """Ask for a snapshot; asking twice for the same identifier makes one. Return True if this call made it.

        Tags that are given switch off the copy of the instance's own, so all must be given.

        Raises:
            NotOurs: a snapshot of that name exists which pgdrill did not make.
            Unavailable: the source is busy; ask again later.
        """
        try:
            self._client.create_db_snapshot(
                DBInstanceIdentifier=source, DBSnapshotIdentifier=identifier, Tags=_listed(tags)
            )
        except ClientError as error:
            if code(error) != "DBSnapshotAlreadyExists":
                raise translated(f"take snapshot {identifier!r} of", source, error) from error
            self._owned(identifier, source, error)
            return False
        except BotoCoreError as error:
            raise unreachable("take a snapshot of", source, error) from error
        return True

    def copy(self, source: str, identifier: str, key: str, tags: dict[str, str]) -> Asked:
        """Ask for a copy of the snapshot with the ARN `source`, here, under our own key and tags.

        Asking twice for the same identifier makes one copy.

        Raises:
            NotOurs: a snapshot of that name exists which pgdrill did not make.
            Unavailable: as many copies are in flight as RDS allows, or the source is not available now.
        """
        try:
            self._client.copy_db_snapshot(
                SourceDBSnapshotIdentifier=source,
                TargetDBSnapshotIdentifier=identifier,
                KmsKeyId=key,
                CopyTags=False,
                Tags=_listed(tags),
                SourceRegion=source.split(":")[3],
            )
        except ClientError as error:
            if code(error) == "DBSnapshotAlreadyExists":
                self._owned(identifier, None, error)
                return Asked.THERE
            if code(error) == "DBSnapshotNotFound":
                return Asked.NO_SOURCE
            # One code for two limits: RDS lets 20 copies be in flight, and 100 snapshots be there.
            if code(error) == "SnapshotQuotaExceeded" and "simultaneously" in str(error):
                raise Unavailable(
                    f"snapshot {identifier!r} cannot be copied yet: {error.response['Error'].get('Message', '')}",
                    hint="it is asked for again when a copy in flight is done; copies.in_flight limits our own",
                ) from error
            raise translated(f"copy {source!r} as", identifier, error) from error
        except BotoCoreError as error:
            raise unreachable("copy a snapshot as", identifier, error) from error
        return Asked.BEGUN

    def delete(self, snapshot: Snapshot) -> bool:
        """Delete a snapshot of pgdrill's own, as it was chosen; return False if it is gone already.

        Raises:
            NotOurs: what has that name now is not ours, or not the one that was chosen.
        """
        now = self.find(snapshot.id)
        if now is None or now.status == "deleting":
            return False
        chosen = (snapshot.mark, snapshot.arn, snapshot.created_at)
        if now.mark is None or (now.mark, now.arn, now.created_at) != chosen:
            raise NotOurs(
                f"snapshot {snapshot.id!r} is not the one of pgdrill's that was to be deleted; it is left alone",
                hint="its tags were changed or it was made anew meanwhile; see it with: pgdrill point list",
            )
        try:
            self._client.delete_db_snapshot(DBSnapshotIdentifier=snapshot.id)
        except ClientError as error:
            if code(error) == "DBSnapshotNotFound":
                return False
            raise translated("delete snapshot", snapshot.id, error) from error
        except BotoCoreError as error:
            raise unreachable("delete snapshot", snapshot.id, error) from error
        return True

    def _owned(self, identifier: str, source: str | None, error: ClientError) -> None:
        found = self.find(identifier)
        if found is not None and (found.mark is None or found.source != (source or found.source)):
            raise NotOurs(
                f"snapshot {identifier!r} exists and pgdrill did not make it",
                hint="somebody used pgdrill's prefix; rename or delete that snapshot by hand",
            ) from error

    def _list(self, verb: str, **chosen: Any) -> list[Snapshot]:
        pages = self._call(
            verb,
            self.region,
            lambda: list(self._client.get_paginator("describe_db_snapshots").paginate(**chosen)),
        )
        found = [_snapshot(entry, self.region) for page in pages for entry in page["DBSnapshots"]]
        return sorted(found, key=lambda one: (one.recovers_to or _LAST, one.id))

    def _call(self, verb: str, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except ClientError as error:
            raise translated(verb, what, error) from error
        except BotoCoreError as error:
            raise unreachable(verb, what, error) from error


def _listed(tags: dict[str, str]) -> Any:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _snapshot(entry: Any, region: str) -> Snapshot:
    """`recovers_to`: a copy's SnapshotCreateTime is the copy's own; the original's says what its data is.

    Source: RDS API reference, DBSnapshot.
    """
    tags = {tag["Key"]: tag["Value"] for tag in entry.get("TagList", [])}
    return Snapshot(
        id=entry["DBSnapshotIdentifier"],
        arn=entry["DBSnapshotArn"],
        region=region,
        source=entry["DBInstanceIdentifier"],
        # An id that RDS gives is unique in its region alone; the tag stays the source's own.
        resource=tags.get("PgDrillResource") or entry.get("DbiResourceId", ""),
        status=entry["Status"],
        progress=entry.get("PercentProgress", 0),
        manual=entry.get("SnapshotType", "manual") == "manual",
        recovers_to=entry.get("SnapshotDatabaseTime")
        or entry.get("OriginalSnapshotCreateTime")
        or entry.get("SnapshotCreateTime"),
        created_at=entry.get("SnapshotCreateTime"),
        original_at=entry.get("OriginalSnapshotCreateTime") or entry.get("SnapshotCreateTime"),
        copied_from=entry.get("SourceDBSnapshotIdentifier"),
        engine_version=entry["EngineVersion"],
        storage_gb=entry["AllocatedStorage"],
        encrypted=entry["Encrypted"],
        kms_key=entry.get("KmsKeyId"),
        tags=tags,
    )
