"""S3: buckets, and what is set on them, each a resource of its own."""

from collections.abc import Callable
from typing import Any

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags

Shape = Callable[[Wanted], dict[str, Any]]


def _create_bucket(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later("forceDestroy")
    name, region = wanted.take("bucket"), wanted.aws.region
    wanted.call(
        "s3",
        "create_bucket",
        wanted.some(objectLockEnabled="ObjectLockEnabledForBucket"),
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": region},
    )
    _tag(wanted, name)
    return name, {
        "arn": f"arn:aws:s3:::{name}",
        "bucket": name,
        "bucketRegion": wanted.aws.client("s3").head_bucket(Bucket=name)["BucketRegion"],
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
    }


def _tag(wanted: Wanted, name: str) -> None:
    tags = as_tags(wanted.take("tags") or {})
    if tags:
        wanted.call("s3", "put_bucket_tagging", Bucket=name, Tagging={"TagSet": tags})


def _update_bucket(wanted: Wanted, made: Made) -> Outputs:
    _tag(wanted, made.id)
    wanted.later("bucket", "objectLockEnabled", "forceDestroy")
    return {}


def _delete_bucket(aws: Aws, made: Made) -> None:
    if made.inputs.get("forceDestroy"):
        empty(aws, made.id)
    aws.client("s3").delete_bucket(Bucket=made.id)


def empty(aws: Aws, bucket: str, key: str = "") -> None:
    """Delete every version of every object, or of one, whatever keeps it."""
    s3 = aws.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        doomed: Any = [
            {"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions if key in {"", one["Key"]}
        ]
        if doomed:
            s3.delete_objects(
                Bucket=bucket, Delete={"Objects": doomed, "Quiet": True}, BypassGovernanceRetention=True
            )


def _setting(typ: str, put: str, delete: str | None, shape: Shape) -> Entry:
    """Return an entry for what is set on a bucket by one call, wholly, and taken back by another."""

    def create(wanted: Wanted) -> tuple[str, Outputs]:
        bucket = wanted.take("bucket")
        wanted.call("s3", put, shape(wanted), Bucket=bucket)
        return bucket, {}

    def update(wanted: Wanted, _: Made) -> Outputs:
        create(wanted)
        return {}

    def remove(aws: Aws, made: Made) -> None:
        if delete:
            getattr(aws.client("s3"), delete)(Bucket=made.id)

    return Entry(
        typ,
        create,
        remove,
        update,
        frozenset({"bucket"}),
        aside={"skipDestroy": "nothing outlives the lab"},
    )


def _logging(wanted: Wanted) -> dict[str, Any]:
    enabled = wanted.some("targetBucket", "targetPrefix", "targetObjectKeyFormat")
    return {"BucketLoggingStatus": {"LoggingEnabled": enabled}}


def _object_lock(wanted: Wanted) -> dict[str, Any]:
    enabled = wanted.take("objectLockEnabled", "Enabled")
    return {"ObjectLockConfiguration": {"ObjectLockEnabled": enabled, **wanted.some("rule")}}


ENTRIES = (
    Entry(
        "aws:s3/bucket:Bucket",
        _create_bucket,
        _delete_bucket,
        _update_bucket,
        frozenset({"bucket", "objectLockEnabled"}),
    ),
    _setting(
        "aws:s3/bucketVersioning:BucketVersioning",
        "put_bucket_versioning",
        None,  # a bucket that was versioned once stays so, or suspended; it goes with the bucket
        lambda wanted: wanted.some("versioningConfiguration"),
    ),
    _setting(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "put_bucket_encryption",
        "delete_bucket_encryption",
        lambda wanted: {"ServerSideEncryptionConfiguration": wanted.some("rules")},
    ),
    _setting(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "put_public_access_block",
        "delete_public_access_block",
        lambda wanted: {
            "PublicAccessBlockConfiguration": wanted.some(
                "blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"
            )
        },
    ),
    _setting(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "put_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
        lambda wanted: {"OwnershipControls": wanted.some(rule="rules")},
    ),
    _setting(
        "aws:s3/bucketPolicy:BucketPolicy",
        "put_bucket_policy",
        "delete_bucket_policy",
        lambda wanted: wanted.some("policy"),
    ),
    _setting(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "put_bucket_lifecycle_configuration",
        "delete_bucket_lifecycle",
        lambda wanted: (
            wanted.some("transitionDefaultMinimumObjectSize")
            | {"LifecycleConfiguration": wanted.some("rules")}
        ),
    ),
    _setting(
        "aws:s3/bucketLogging:BucketLogging",
        "put_bucket_logging",
        None,  # goes with the bucket
        _logging,
    ),
    _setting(
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        "put_bucket_replication",
        "delete_bucket_replication",
        lambda wanted: {"ReplicationConfiguration": wanted.some("role", "rules")},
    ),
    _setting(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "put_object_lock_configuration",
        None,  # Object Lock cannot be turned off; it goes with the bucket
        _object_lock,
    ),
)
