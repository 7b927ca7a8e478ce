"""S3: objects that the program puts."""

import base64

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entries.buckets import empty
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted
from pgdrill.model import JSON


def _put(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later("forceDestroy", "sourceHash", "etag")
    given = wanted.some(
        "bucket",
        "key",
        "contentType",
        "cacheControl",
        "serverSideEncryption",
        "bucketKeyEnabled",
        "metadata",
        kmsKeyId="SSEKMSKeyId",
    )
    if given.get("SSEKMSKeyId"):
        given.setdefault("serverSideEncryption", "aws:kms")
    put = wanted.call("s3", "put_object", given, Body=_content(wanted))
    tags = wanted.tags()
    place = {"Bucket": given["bucket"], "Key": given["key"]}
    if tags:
        wanted.call("s3", "put_object_tagging", place, Tagging={"TagSet": tags})
    return f"{given['bucket']}/{given['key']}", {
        "arn": f"arn:aws:s3:::{given['bucket']}/{given['key']}",
        "etag": put["ETag"].strip('"'),
        "versionId": put.get("VersionId", ""),
        "key": given["key"],
    }


def _content(wanted: Wanted) -> JSON:
    text, encoded, source = wanted.take("content"), wanted.take("contentBase64"), wanted.file("source")
    if encoded is not None:
        return base64.b64decode(encoded)
    return text.encode() if text is not None else source


def _update(wanted: Wanted, _: Made) -> Outputs:
    return _put(wanted)[1]


def _delete(aws: Aws, made: Made) -> None:
    empty(aws, made.inputs["bucket"], made.inputs["key"])


ENTRIES = tuple(
    Entry(typ, _put, _delete, _update, frozenset({"bucket", "key"}))
    for typ in ("aws:s3/bucketObjectv2:BucketObjectv2", "aws:s3/bucketObject:BucketObject")
)
