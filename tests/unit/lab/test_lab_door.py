"""The lab's door lets this machine in and nobody else, and says in words what it refuses."""

import json
from typing import Any

import pytest

from pgdrill.errors import NotRunnable
from pgdrill.lab.door import Doorway, _call
from pgdrill.model import JSON


def _scope(**changed: Any) -> dict[str, Any]:
    headers = {b"host": b"127.0.0.1:4566", b"content-type": b"application/json"} | changed.pop("headers", {})
    usual = {"type": "http", "method": "POST", "path": "/_pgdrill/status", "client": ("127.0.0.1", 50000)}
    return usual | {"headers": list(headers.items())} | changed


async def _behind(scope: Any, receive: Any, send: Any) -> None:
    await send({"behind": scope["path"]})


def _through(scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the doorway to its end without an event loop, which would need a socket."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    doorway = Doorway(_behind, {"status": lambda asked: asked})
    with pytest.raises(StopIteration):
        doorway(scope, receive, send).send(None)
    return sent


def _refused(scope: dict[str, Any]) -> tuple[int, JSON]:
    start, body = _through(scope)
    return start["status"], json.loads(body["body"])


def test_what_is_not_the_doors_goes_on_to_the_emulator() -> None:
    assert _through(_scope(path="/bucket/key")) == [{"behind": "/bucket/key"}]
    assert _through(_scope(type="lifespan", path="/_pgdrill/status")) == [{"behind": "/_pgdrill/status"}]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (
            {"client": ("192.0.2.7", 50000)},
            "the lab's door is for this machine alone, not for 192.0.2.7",
        ),
        ({"client": None}, "the lab's door is for this machine alone, not for an unknown client"),
        (
            {"headers": {b"host": b"rebound.example:4566"}},
            "the lab's door does not answer to host 'rebound.example'",
        ),
        ({"method": "GET"}, "the lab's door takes POST with content-type application/json"),
        (
            {"headers": {b"content-type": b"text/plain"}},
            "the lab's door takes POST with content-type application/json",
        ),
    ],
)
def test_a_request_from_elsewhere_or_from_a_page_is_refused(changed: dict[str, Any], error: str) -> None:
    status, content = _refused(_scope(**changed))
    assert status == 403
    assert content == {"error": error, "hint": "call 127.0.0.1 from this machine, with a JSON body"}


@pytest.mark.parametrize("host", [b"127.0.0.1:1", b"localhost:1", b"localhost", b"[::1]:1"])
def test_a_loopback_host_is_let_in(host: bytes) -> None:
    status, _ = _refused(_scope(headers={b"host": host}, path="/_pgdrill/nothing"))
    assert status == 404


def test_an_unknown_door_names_the_ones_there_are() -> None:
    status, content = _refused(_scope(path="/_pgdrill/nothing"))
    assert status == 404
    assert content == {
        "error": "the lab has no door '/_pgdrill/nothing'",
        "hint": "it has, below /_pgdrill/: status",
    }


def test_the_emulators_reset_does_not_tear_the_records_from_the_databases() -> None:
    status, content = _refused(_scope(path="/_ministack/reset"))
    assert status == 404
    assert content["error"] == "the lab has no door '/_ministack/reset'"


def _not_runnable(_: JSON) -> JSON:
    raise NotRunnable("no snapshot 'x'", hint="list them")


def test_an_operators_error_keeps_its_message_and_hint() -> None:
    assert _call(_not_runnable, b"{}") == (409, {"error": "no snapshot 'x'", "hint": "list them"})


def test_a_body_that_lacks_what_is_needed_is_not_understood() -> None:
    status, content = _call(lambda asked: asked["snapshot"], b"{}")
    assert status == 400
    assert content == {
        "error": "not understood: 'snapshot'",
        "hint": "docs/lab.md shows what each door takes",
    }


def test_an_answer_is_the_handlers() -> None:
    assert _call(lambda asked: asked, b'{"a": 1}') == (200, {"reply": {"a": 1}})
    assert _call(lambda asked: asked, b"") == (200, {"reply": None})
