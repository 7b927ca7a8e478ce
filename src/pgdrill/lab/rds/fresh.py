"""What is new each time: identifiers, ports; and how moments are kept."""

import contextlib
import random
import secrets
import socket
from datetime import datetime, timedelta

from pgdrill.errors import Broken

# Below where systems take the ports of outgoing connections from.
PORTS = range(20_000, 32_000)


def to_millisecond(now: datetime) -> datetime:
    """Return a time as RDS keeps it: to the millisecond, rounded up, so never before what has happened."""
    return now.replace(microsecond=0) + timedelta(milliseconds=-(-now.microsecond // 1000))


def new_id(prefix: str) -> str:
    """Return an identifier like those of DbiResourceId."""
    return prefix + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(26))


def free_port(wanted: int | None = None) -> int:
    """Return `wanted` if it is free on loopback, else one that is."""
    candidates = [wanted] if wanted else []
    for port in [*candidates, *random.sample(PORTS, k=100)]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise Broken(f"no free port among a hundred of {PORTS}", hint="see what listens: ss -ltnp")
