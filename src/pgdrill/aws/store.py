"""The only module that calls S3: one bucket of objects, written once and never changed but for what is in flight.

What lies where, below the bucket:
    seals/<database>/<time>-<phase>-<point>.json           facts of production around a recovery point
    witness/<database>/...                                 the ledger's beats; the key is the record
    plan/<sha256>.json                                     a deployed plan, by its own digest
    drills/<database>/<drill>/drill.json, facts/...        a drill in flight, what it measured, whom it was confronted with
    references/<database>/<point>/<drill>                  drills that read a point whole and passed
    skipped/<database>/<time>.json                         drills that were due while the plan froze them
    exports/<database>/<task>.json                         what an export came to
    exports/_newest/<database>.json                        the same of all together; overwritten
    inventory/<region>.json                                what a cell has, for the other one; overwritten
    inventory/<region>/copies.json, said.json              what was told of its copies, what lasts; overwritten
    watch/<region>.json                                    since when a cell is watched, and what it knows; overwritten
    watch/<region>/<part>.json                             metrics on their way to CloudWatch; overwritten
    canary/<region>.json                                   when the last canary arrived; overwritten
    evidence/<database>/<region>/<drill>/...               what an auditor reads
    recoveries/<database>/<drill>/hand-over.json           what was handed over, and what was left to do
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import NotRunnable, Unavailable
from pgdrill.model import Model

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What S3 calls a write that came second: to what is there, to what is written this moment, to what was deleted.
_OVERTAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})


class Bucket(Model):
    """How a bucket is kept. `encryption` is `aws:kms` under `key`, or S3's own; `public` is True if it could be."""

    encryption: str
    key: str | None
    versioned: bool
    public: bool


class Store:
    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def put(self, key: str, body: bytes, *, content_type: str = "application/json") -> None:
        """Write an object; the bucket's own default encrypts it with the cell's key."""
        try:
            self._client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            self._refused("write", key, error)

    def get(self, key: str) -> bytes | None:
        """Return the object's bytes, or None where there is none."""
        found = self.read(key)
        return found[0] if found else None

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return the object's bytes and its tag, which changes with them; None where there is none."""
        try:
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            return answer["Body"].read(), answer["ETag"]
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
                return None
            self._refused("read", key, error)

    def swap(self, key: str, body: bytes, tag: str | None) -> bool:
        """Write over what has this tag, or where it is None over nothing; tell False if somebody has written meanwhile.

        Source: S3 User Guide, "How to prevent object overwrites with conditional writes".
        """
        unless: dict[str, Any] = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", **unless
            )
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in _OVERTAKEN:
                return False
            self._refused("write", key, error)
        return True

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix` and come after `after`, in order; 1,000 a request."""
        request: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
        if after:
            request["StartAfter"] = after
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(**request):
                for entry in page.get("Contents", []):
                    yield entry["Key"]
        except (ClientError, BotoCoreError) as error:
            self._refused("list", prefix, error)

    def condition(self) -> Bucket:
        """Return how the bucket is kept."""
        try:
            rules = self._client.get_bucket_encryption(Bucket=self.bucket)
            versioning = self._client.get_bucket_versioning(Bucket=self.bucket)
        except (ClientError, BotoCoreError) as error:
            self._refused("read", "its settings", error)
        default = rules["ServerSideEncryptionConfiguration"]["Rules"][0]
        applied = default.get("ApplyServerSideEncryptionByDefault", {})
        return Bucket(
            encryption=str(applied.get("SSEAlgorithm", "")),
            key=applied.get("KMSMasterKeyID"),
            versioned=versioning.get("Status") == "Enabled",
            public=not self._closed(),
        )

    def _closed(self) -> bool:
        """Tell whether all four ways to make a bucket public are blocked."""
        try:
            answer = self._client.get_public_access_block(Bucket=self.bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration":
                return False
            self._refused("read", "its settings", error)
        except BotoCoreError as error:
            self._refused("read", "its settings", error)
        return all(answer["PublicAccessBlockConfiguration"].values())

    def count(self, prefix: str) -> int:
        """Return how many objects are stored below `prefix`; old versions and marks of deletion count too."""
        return sum(map(len, self._versions(prefix)))

    def erase(self, prefix: str) -> None:
        """Delete every version of everything below `prefix`, for good. Called by purge alone.

        Raises:
            NotRunnable: an object may not be deleted: the bucket holds it under a lock, or the role lacks it.
        """
        for objects in self._versions(prefix):
            try:
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
                )
            except (ClientError, BotoCoreError) as error:
                self._refused("delete", prefix, error)
            for refused in answer.get("Errors", [])[:1]:
                raise NotRunnable(
                    f"cannot delete {refused.get('Key', prefix)!r} in bucket {self.bucket!r}: {refused.get('Code')}",
                    hint="a bucket with Object Lock keeps its objects until their time has come; see its retention",
                )

    def _versions(self, prefix: str) -> Iterator[list[Any]]:
        """Yield pages of what DeleteObjects takes: 1,000 at most."""
        try:
            for page in self._client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                if entries:
                    yield [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        except (ClientError, BotoCoreError) as error:
            self._refused("list", prefix, error)

    def _refused(self, verb: str, key: str, error: Exception) -> NoReturn:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        if code in {"NoSuchBucket", "AccessDenied"}:
            raise NotRunnable(
                f"cannot {verb} {key!r} in bucket {self.bucket!r}: {code}",
                hint="check evidence_bucket in the plan, and that this role may use the bucket and its key",
            ) from error
        raise Unavailable(
            f"cannot {verb} {key!r} in bucket {self.bucket!r}: {code}",
            hint="check that S3 is reachable from here: the S3 gateway endpoint, AWS_ENDPOINT_URL, credentials",
        ) from error
