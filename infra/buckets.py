"""The buckets of a cell. Each is private, versioned, encrypted, reached over TLS alone, and forgets in its own time."""

from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.drills.purge import RECORDS as OF_DATABASES
from policies import Document, Statement, document, tls_only
from settings import Settings
from tagging import tags

RETAINED_DAYS = 396  # 13 months: a year's audit, and the month in which it is made
NONCURRENT_DAYS = 30
# Evidence and seals are chains. Of one whose first links are gone nobody can tell that it was not cut short, so they
# stay longer than the rest, and are small. `plan/` and `code/` stay too: a function needs them for as long as it runs.
CHAINS = ("evidence", "seals")
RECORDS = (*(kind for kind in OF_DATABASES if kind not in CHAINS), "canary", "inventory", "watch")


class Bucket(pulumi.ComponentResource):
    """One bucket with everything about it."""

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        thing: str,
        *,
        key: pulumi.Output[str] | None,
        rules: list[Any],
        logs: "pulumi.Output[str] | None",
        locked: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make it. Without a `key` S3's own encrypts; `logs` is the bucket that tells of every access to this one."""
        super().__init__("pgdrill:ground:Bucket", name, None, opts)
        within: Any = {"region": names.region, "opts": pulumi.ResourceOptions(parent=self)}
        made = aws.s3.Bucket(
            name,
            bucket=names.bucket(thing),
            force_destroy=not settings.protect,
            object_lock_enabled=locked or None,
            tags=tags(settings, names.bucket(thing)),
            **within,
        )
        of: Any = within | {"bucket": made.bucket}
        versioning = aws.s3.BucketVersioning(name, versioning_configuration={"status": "Enabled"}, **of)
        aws.s3.BucketServerSideEncryptionConfiguration(name, rules=[_encryption(key)], **of)
        told = [delivers_logs(names)] if logs is None else []
        access = self._close(name, document(over_tls(names.bucket(thing)), *told), of)
        after = of | {"opts": pulumi.ResourceOptions(parent=self, depends_on=[versioning])}
        aws.s3.BucketLifecycleConfiguration(name, rules=rules, **after)
        if logs is not None:
            aws.s3.BucketLogging(name, target_bucket=logs, target_prefix=f"{thing}/", **of)
        if locked:
            retention: Any = {"default_retention": {"mode": "COMPLIANCE", "days": RETAINED_DAYS}}
            aws.s3.BucketObjectLockConfiguration(name, rule=retention, **after)
        # Replication asks for versioning and log delivery for the policy, so whoever uses the bucket waits for both.
        ready = pulumi.Output.all(made.bucket, versioning.id, access.id)
        self.bucket = ready.apply(lambda known: str(known[0]))
        self.arn = made.arn
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})

    def _close(self, name: str, policy: Document, of: Any) -> aws.s3.BucketPolicy:
        """Close it to the public, then say who comes: S3 refuses two changes of a bucket's access at once."""
        block = aws.s3.BucketPublicAccessBlock(
            name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            **of,
        )
        closed = of | {"opts": pulumi.ResourceOptions(parent=self, depends_on=[block])}
        return aws.s3.BucketPolicy(name, policy=pulumi.Output.json_dumps(policy), **closed)


class Buckets(pulumi.ComponentResource):
    """The three of a cell: evidence, exports, and who touched either of them."""

    evidence: Bucket
    archive: Bucket
    logs: Bucket

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        key: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:ground:Buckets", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        # S3 delivers its access logs to no bucket that a customer-managed key encrypts; docs/decisions/ has more.
        self.logs = Bucket(
            f"{name}-logs",
            settings,
            names,
            "logs",
            key=None,
            rules=kept(RETAINED_DAYS),
            logs=None,
            opts=inside,
        )
        logs = self.logs.bucket
        self.evidence = Bucket(
            f"{name}-evidence", settings, names, "evidence", key=key, rules=kept(RETAINED_DAYS, RECORDS),
            logs=logs, locked=settings.protect, opts=inside,
        )  # fmt: skip
        self.archive = Bucket(
            f"{name}-archive", settings, names, "archive", key=key,
            rules=kept(settings.exports.keep.days, noncurrent=1), logs=logs, opts=inside,
        )  # fmt: skip
        self.register_outputs({})


def kept(days: int, prefixes: tuple[str, ...] = (), *, noncurrent: int = NONCURRENT_DAYS) -> list[Any]:
    """Return lifecycle rules: how long what lies there stays, what was overwritten, and what never came whole."""
    expiring = [
        {
            "id": prefix or "all",
            "status": "Enabled",
            "filter": {"prefix": f"{prefix}/" if prefix else ""},
            "expiration": {"days": days},
        }
        for prefix in prefixes or ("",)
    ]
    rest = {
        "id": "leftovers",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrent_version_expiration": {"noncurrent_days": noncurrent},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
    }
    return [*expiring, rest]


def over_tls(bucket: str) -> Statement:
    arn = f"arn:aws:s3:::{bucket}"
    return tls_only("s3:*", [arn, f"{arn}/*"])


def delivers_logs(names: Names) -> Statement:
    """Let S3 deliver the access logs of this cell's other buckets, and nothing else.

    Source: S3 User Guide, "Enabling Amazon S3 server access logging".
    """
    sources = [f"arn:aws:s3:::{names.bucket(thing)}" for thing in ("evidence", "archive")]
    return {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{names.bucket('logs')}/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": sources},
            "StringEquals": {"aws:SourceAccount": names.account},
        },
    }


def _encryption(key: pulumi.Output[str] | None) -> Any:
    if key is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    by_default = {"sse_algorithm": "aws:kms", "kms_master_key_id": key}
    return {"apply_server_side_encryption_by_default": by_default, "bucket_key_enabled": True}
