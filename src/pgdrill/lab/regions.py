"""Regions that are lost: whatever service a request is for, one that was signed for such a region is not answered.

The region stands in every signature, so one place before all services is enough. The lab's own door, which no
client signs for, stays open.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from pgdrill.lab.door import Application, Receive, Send

# Source: Signature Version 4, the credential scope `<key>/<date>/<region>/<service>/aws4_request`.
_SCOPE = re.compile(rb"Credential=[^/,]+/\d{8}/([^/,]+)/")


@dataclass(frozen=True)
class LostRegions:
    """An ASGI application before another; `lost` is asked at every request."""

    behind: Application
    lost: Callable[[], Collection[str]]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        region = _region(scope) if scope["type"] == "http" else None
        if region is None or region not in self.lost():
            await self.behind(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _region(scope: Any) -> str | None:
    for name, value in scope["headers"]:
        if name.lower() == b"authorization" and (found := _SCOPE.search(value)):
            return str(found[1].decode("latin-1"))
    return None
