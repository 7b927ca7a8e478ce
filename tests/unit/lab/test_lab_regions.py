"""A lost region does not answer, whatever the service; every other region does."""

from typing import Any

import pytest

from pgdrill.lab.regions import LostRegions

SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=test/20261122/ap-southeast-1/%b/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=0"
)


def _through(lost: tuple[str, ...], *headers: tuple[bytes, bytes], kind: str = "http") -> list[Any]:
    sent: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send("answered")

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {}

    with pytest.raises(StopIteration):
        LostRegions(behind, lambda: lost)({"type": kind, "headers": list(headers)}, receive, send).send(None)
    return sent


@pytest.mark.parametrize("service", [b"rds", b"s3", b"kms", b"secretsmanager"])
def test_no_service_of_a_lost_region_answers(service: bytes) -> None:
    signed = (b"authorization", SIGNED % service)
    assert [message.get("status") for message in _through(("ap-southeast-1",), signed)] == [503, None]
    assert _through(("ap-northeast-1",), signed) == ["answered"]
    assert _through((), signed) == ["answered"]


def test_what_nobody_signed_is_answered() -> None:
    assert _through(("ap-southeast-1",)) == ["answered"]
    assert _through(("ap-southeast-1",), (b"authorization", b"Basic x")) == ["answered"]
    assert _through(("ap-southeast-1",), kind="lifespan") == ["answered"]
