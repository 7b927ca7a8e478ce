import io

import pytest
from botocore.response import StreamingBody

from pgdrill.aws.store import Bucket, Store
from pgdrill.errors import NotRunnable, Unavailable
from tests.unit.clients import scripted


def test_an_object_that_is_not_there_is_none() -> None:
    client, script = scripted("s3")
    script.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    assert Store(client, "evidence").get("a/b") is None


def test_an_object_is_read_whole() -> None:
    client, script = scripted("s3")
    body = StreamingBody(io.BytesIO(b"abc"), 3)
    script.add_response("get_object", {"Body": body, "ETag": '"t"'}, {"Bucket": "evidence", "Key": "a/b"})
    assert Store(client, "evidence").get("a/b") == b"abc"


@pytest.mark.parametrize(("tag", "condition"), [(None, {"IfNoneMatch": "*"}), ('"t"', {"IfMatch": '"t"'})])
def test_what_was_read_is_written_over_unless_somebody_was_faster(
    tag: str | None, condition: dict[str, str]
) -> None:
    client, script = scripted("s3")
    written = {"Bucket": "e", "Key": "a", "Body": b"b", "ContentType": "application/json"}
    script.add_response("put_object", {}, written | condition)
    assert Store(client, "e").swap("a", b"b", tag)
    for code, status in (
        ("PreconditionFailed", 412),
        ("ConditionalRequestConflict", 409),
        ("NoSuchKey", 404),
    ):
        script.add_client_error("put_object", code, http_status_code=status)
        assert not Store(client, "e").swap("a", b"b", tag)
    script.add_client_error("put_object", "SlowDown", http_status_code=503)
    with pytest.raises(Unavailable) as refused:
        Store(client, "e").swap("a", b"b", tag)
    assert refused.value.message == "cannot write 'a' in bucket 'e': SlowDown"


def test_keys_are_read_page_after_page() -> None:
    client, script = scripted("s3")
    first = {"IsTruncated": True, "NextContinuationToken": "t", "Contents": [{"Key": "a/1"}]}
    script.add_response("list_objects_v2", first, {"Bucket": "e", "Prefix": "a/", "StartAfter": "a/0"})
    script.add_response(
        "list_objects_v2",
        {"IsTruncated": False, "Contents": [{"Key": "a/2"}]},
        {"Bucket": "e", "Prefix": "a/", "StartAfter": "a/0", "ContinuationToken": "t"},
    )
    assert list(Store(client, "e").keys("a/", after="a/0")) == ["a/1", "a/2"]


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (
            "NoSuchBucket",
            NotRunnable,
            "check evidence_bucket in the plan, and that this role may use the bucket and its key",
        ),
        (
            "SlowDown",
            Unavailable,
            "check that S3 is reachable from here: the S3 gateway endpoint, AWS_ENDPOINT_URL, credentials",
        ),
    ],
)
def test_a_refusal_names_key_bucket_and_code(
    code: str, kind: type[NotRunnable | Unavailable], hint: str
) -> None:
    client, script = scripted("s3")
    script.add_client_error("put_object", code, http_status_code=400)
    with pytest.raises(kind) as refused:
        Store(client, "evidence").put("a/b", b"")
    assert refused.value.message == f"cannot write 'a/b' in bucket 'evidence': {code}"
    assert refused.value.hint == hint


def test_everything_below_a_prefix_is_erased_in_every_version() -> None:
    client, script = scripted("s3")
    page = {
        "Versions": [{"Key": "a/1", "VersionId": "v2"}, {"Key": "a/1", "VersionId": "v1"}],
        "DeleteMarkers": [{"Key": "a/2", "VersionId": "v3"}],
    }
    script.add_response("list_object_versions", page, {"Bucket": "e", "Prefix": "a/"})
    script.add_response("list_object_versions", page, {"Bucket": "e", "Prefix": "a/"})
    objects = [
        {"Key": key, "VersionId": version} for key, version in (("a/1", "v2"), ("a/1", "v1"), ("a/2", "v3"))
    ]
    wanted = {"Bucket": "e", "Delete": {"Objects": objects, "Quiet": True}}
    script.add_response("delete_objects", {}, wanted)
    store = Store(client, "e")
    assert store.count("a/") == 3
    store.erase("a/")
    script.assert_no_pending_responses()


def test_what_a_lock_holds_is_told() -> None:
    client, script = scripted("s3")
    script.add_response("list_object_versions", {"Versions": [{"Key": "a/1", "VersionId": "v1"}]})
    script.add_response("delete_objects", {"Errors": [{"Key": "a/1", "Code": "AccessDenied"}]})
    with pytest.raises(NotRunnable) as refused:
        Store(client, "e").erase("a/")
    assert refused.value.message == "cannot delete 'a/1' in bucket 'e': AccessDenied"
    assert refused.value.hint == (
        "a bucket with Object Lock keeps its objects until their time has come; see its retention"
    )


@pytest.mark.parametrize(("blocked", "public"), [(True, False), (False, True), (None, True)])
def test_how_a_bucket_is_kept_is_told(blocked: bool | None, public: bool) -> None:
    client, script = scripted("s3")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}
    script.add_response("get_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": [rule]}})
    script.add_response("get_bucket_versioning", {"Status": "Enabled"})
    if blocked is None:
        script.add_client_error("get_public_access_block", "NoSuchPublicAccessBlockConfiguration")
    else:
        block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": blocked}
        block["RestrictPublicBuckets"] = True
        script.add_response("get_public_access_block", {"PublicAccessBlockConfiguration": block})
    condition = Store(client, "e").condition()
    assert condition == Bucket(encryption="aws:kms", key="k", versioned=True, public=public)
