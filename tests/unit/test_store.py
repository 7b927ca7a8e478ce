import io

import pytest
from botocore.response import StreamingBody

from pgdrill.errors import NotRunnable, Unavailable
from pgdrill.store import Store
from tests.unit.aws import scripted


def test_an_object_that_is_not_there_is_none() -> None:
    client, script = scripted("s3")
    script.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    assert Store(client, "evidence").get("a/b") is None


def test_an_object_is_read_whole() -> None:
    client, script = scripted("s3")
    body = StreamingBody(io.BytesIO(b"abc"), 3)
    script.add_response("get_object", {"Body": body}, {"Bucket": "evidence", "Key": "a/b"})
    assert Store(client, "evidence").get("a/b") == b"abc"


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
