"""The lab's own door: faults, sabotage, a backup or a schedule now. Over HTTP on the lab's port, never the AWS API.

What AWS cannot be asked for stands apart from what it can, so that no client of the lab learns to need it. Only
loopback clients that address a loopback host are let in; a page in a browser, whatever name it gives to
127.0.0.1, is not.
"""

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pgdrill.errors import Broken, DrillError, NotRunnable
from pgdrill.model import JSON

PREFIX = "/_pgdrill/"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
Handler = Callable[[JSON], JSON]


class Door:
    """The client's side, for the command line and tests.

    Raises:
        NotRunnable: what was asked for cannot be done; message and hint are the lab's.
        Broken: the lab does not answer.
    """

    def __init__(self, port: int, *, timeout: float = 60) -> None:
        self._port = port
        self._timeout = timeout

    def status(self) -> JSON:
        return self.ask("status")

    def faults(self) -> JSON:
        return self.ask("faults/list")

    def set_faults(self, faults: JSON) -> JSON:
        """Add or replace the given kinds of fault; return all that are set."""
        return self.ask("faults/set", faults)

    def clear_faults(self) -> JSON:
        return self.ask("faults/clear")

    def sabotage(
        self,
        snapshot: str,
        kind: str,
        *,
        region: str | None = None,
        database: str | None = None,
        table: str | None = None,
        other: str | None = None,
    ) -> str:
        """Damage a snapshot (or, for a hole in the archive, an instance's) and return one sentence that names it.

        `other` is the snapshot that a swap takes its data from.
        """
        asked = {"snapshot": snapshot, "kind": kind, "region": region}
        asked |= {"database": database, "table": table, "other": other}
        return str(self.ask("sabotage", asked)["damage"])

    def back_up(self, instance: str, *, region: str | None = None) -> None:
        """Let the instance's daily automated snapshot be taken now; the instance is `backing-up` meanwhile."""
        self.ask("backup", {"instance": instance, "region": region})

    def fire(self, name: str, due_at: datetime, *, region: str | None = None) -> JSON:
        """Invoke a schedule's target as Scheduler does on its occasion `due_at`, whether it is due now or not.

        Returns `executions`, the ARNs of what it started, and `undelivered`, why it started nothing, or "".
        """
        asked = {"name": name, "due_at": due_at.isoformat(), "region": region}
        return self.ask("schedules/fire", asked)

    def grant_quota(self, region: str | None = None) -> int:
        """Grant the manual snapshots that were asked for in a region; return how many it takes now."""
        return int(self.ask("quotas/grant", {"region": region})["manual_snapshots"])

    def hold_schedules(self, *, held: bool = True) -> None:
        """Let no schedule fire by itself, only through this door; or let them all again."""
        self.ask("schedules/hold", {"held": held})

    def move_clock(self, ahead: timedelta) -> datetime:
        """Let RDS and functions live that far ahead of the real time; return what they take for now.

        Schedules are held from then on, since they go by the real time.
        """
        return datetime.fromisoformat(self.ask("clock/set", {"ahead": ahead.total_seconds()})["now"])

    def evaluate_alarms(
        self, at: datetime, *, since: datetime | None = None, every: timedelta | None = None
    ) -> None:
        """Bring every alarm of every region to what it is at a time; after `since` step by step, a minute unless told.

        From then on alarms are looked at only through this door, until `alarms_go_on`.
        """
        asked = {"at": at.isoformat(), "since": since.isoformat() if since else None}
        self.ask("alarms/evaluate", asked | {"every": every.total_seconds() if every else None})

    def alarms_go_on(self) -> None:
        """Let alarms be looked at every ten seconds again, by the lab's clock."""
        self.ask("alarms/live")

    def inbox(self) -> JSON:
        """Return what topics were told, oldest first; `pgdrill.lab.cloudwatch.inbox.Letter` says how."""
        return self.ask("inbox")

    def settle(self, timeout: float = 50) -> list[JSON]:
        """Wait until no execution of a state machine runs; return those that did not succeed since the last time.

        Each has `executionArn`, `status`, `error` and `cause`.

        Raises:
            NotRunnable: some still run.
        """
        return list(self.ask("executions/settle", {"timeout": timeout}))

    def ask(self, what: str, body: JSON = None) -> JSON:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.request(
                "POST",
                PREFIX + what,
                json.dumps(body),
                {"Content-Type": "application/json", "Connection": "close"},
            )
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Broken(
                f"the lab at 127.0.0.1:{self._port} does not answer: {str(error) or type(error).__name__}",
                hint="look at daemon.log in the lab's directory, or end it with: pgdrill lab down",
            ) from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise NotRunnable(content["error"], hint=content["hint"])
        return content["reply"]


@dataclass(frozen=True)
class Doorway:
    """The server's side: an ASGI application that answers below PREFIX and passes on everything else."""

    behind: Application
    handlers: dict[str, Handler]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith((PREFIX, "/_ministack/reset")):
            await self.behind(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal:
            await _answer(
                send, 403, {"error": refusal, "hint": "call 127.0.0.1 from this machine, with a JSON body"}
            )
            return
        handler = self.handlers.get(path.removeprefix(PREFIX))
        body = await _body(receive)
        if handler is None:
            known = ", ".join(sorted(self.handlers))
            error = {"error": f"the lab has no door {path!r}", "hint": f"it has, below {PREFIX}: {known}"}
            await _answer(send, 404, error)
            return
        status, content = await asyncio.to_thread(_call, handler, body)
        await _answer(send, status, content)


def _refusal(scope: Any) -> str | None:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "").rsplit(":", 1)[0]
    client = (scope.get("client") or ("",))[0]
    if client not in {"127.0.0.1", "::1"}:
        return f"the lab's door is for this machine alone, not for {client or 'an unknown client'}"
    if host not in LOOPBACK:
        return f"the lab's door does not answer to host {host!r}"
    if scope["method"] != "POST" or headers.get(b"content-type") != "application/json":
        # A browser sends this content type to another origin only after asking, and nobody answers.
        return "the lab's door takes POST with content-type application/json"
    return None


def _call(handler: Handler, body: bytes) -> tuple[int, JSON]:
    try:
        return 200, {"reply": handler(json.loads(body or b"null"))}
    except DrillError as error:
        return 409, {"error": error.message, "hint": error.hint}
    except (KeyError, TypeError, ValueError) as error:
        return 400, {"error": f"not understood: {error}", "hint": "docs/lab.md shows what each door takes"}


async def _body(receive: Receive) -> bytes:
    content = b""
    while True:
        message = await receive()
        content += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return content


async def _answer(send: Send, status: int, content: JSON) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
