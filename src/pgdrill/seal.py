"""Seals: facts of production around a recovery point, so that a restored copy is never compared with live data.

Measured by the very functions that measure the restored copy. Reads production's catalogs and counters in
short read-only statements, no table; writes one object to the store.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import psycopg

from pgdrill.checks.check import Case, Check
from pgdrill.database import Server
from pgdrill.errors import Unavailable
from pgdrill.model import Clock, PointKind, RecoveryPoint, Seal
from pgdrill.plan import Checks
from pgdrill.store import Store

Phase = Literal["before", "after"]
_TIME = "%Y%m%dT%H%M%S%fZ"


def take(server: Server, checks: Sequence[Check[Any]], database: str, point: str, clock: Clock) -> Seal:
    """Measure every sealed check on production.

    Raises:
        Unavailable: production did not answer, or not in time. A seal is whole or not made.
    """
    taken_at = clock.at()
    sealed = [check for check in checks if check.sealed]
    case = Case(checks=Checks(), asked=frozenset(check.name for check in sealed), sealing=True)
    try:
        facts = {check.name: check.measure(server, case).model_dump(mode="json") for check in sealed}
    except psycopg.Error as error:
        # Without the server's message: it may quote what it was about.
        raise Unavailable(
            f"database {database!r} could not be sealed: {type(error).__name__}",
            hint="look at the server's load and locks; the snapshot is not taken without its seal",
        ) from error
    return Seal(point=point, database=database, taken_at=taken_at, done_at=clock.at(), facts=facts)


def keep(store: Store, seal: Seal, phase: Phase) -> str:
    """Store a seal and return its key, which sorts by time."""
    key = f"{_prefix(seal.database)}{seal.taken_at.strftime(_TIME)}-{phase}-{seal.point}.json"
    store.put(key, seal.model_dump_json().encode())
    return key


def around(store: Store, database: str, point: RecoveryPoint) -> tuple[Seal | None, Seal | None]:
    """Return the nearest seals before and after a recovery point, None where there is none.

    A snapshot has seals of its own, taken for it; anything else lies between those of other points.
    """
    keys = list(store.keys(_prefix(database)))
    if point.kind is not PointKind.PITR:
        own = [_own(store, keys, phase, point.id) for phase in ("before", "after")]
        if any(own):
            return own[0], own[1]
    return _last_before(store, keys, point.recovers_to), _first_after(store, keys, point.recovers_to)


def _own(store: Store, keys: list[str], phase: str, point: str) -> Seal | None:
    """Return the seal nearest to the snapshot: a retry may have made several."""
    mine = [key for key in keys if key.endswith(f"-{phase}-{point}.json")]
    if not mine:
        return None
    return _read(store, mine[-1] if phase == "before" else mine[0])


def _last_before(store: Store, keys: list[str], moment: datetime) -> Seal | None:
    for key in reversed(keys):
        if _time(key) <= moment.strftime(_TIME):
            seal = _read(store, key)
            if seal is not None and seal.done_at <= moment:
                return seal
    return None


def _first_after(store: Store, keys: list[str], moment: datetime) -> Seal | None:
    later = [key for key in keys if _time(key) >= moment.strftime(_TIME)]
    return _read(store, later[0]) if later else None


def _read(store: Store, key: str) -> Seal | None:
    body = store.get(key)
    return Seal.model_validate_json(body) if body is not None else None


def _time(key: str) -> str:
    return key.rsplit("/", 1)[-1].split("-", 1)[0]


def _prefix(database: str) -> str:
    return f"seals/{database}/"
