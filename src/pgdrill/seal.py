"""Seals: facts of production around a recovery point, so that a restored copy is never compared with live data.

Measured by the very functions that measure the restored copy. Reads production's catalogs and counters over one
connection a database, in short read-only transactions, no table; writes one object, chained to the one before.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

import psycopg
from pydantic import ValidationError

from pgdrill.aws.store import Store
from pgdrill.checks.check import Case, Check
from pgdrill.content.relations import qualified
from pgdrill.database import Server
from pgdrill.errors import Unavailable
from pgdrill.model import Clock, Model, Moment, PointKind, RecoveryPoint, Seal
from pgdrill.plan import Checks

Phase = Literal["before", "after"]
PHASES: tuple[Phase, ...] = ("before", "after")
# A table of fewer rows may well be half as large a moment later.
TELLING = 1000
# The name of a seal that was taken for no point, up to the moment that it was due at.
BETWEEN = "between-"
_TIME = "%Y%m%dT%H%M%S%fZ"


# Of what vacuum or analyze has seen; -1 says that neither has been there yet.
_ESTIMATES = """
SELECT n.nspname, c.relname, c.reltuples::bigint FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.reltuples >= 0
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""


class Fault(StrEnum):
    UNREADABLE = "unreadable"
    ALTERED = "altered"
    DROPPED = "dropped"
    FORKED = "forked"


class Break(Model):
    """Where the chain of a database's seals does not hold: at which object of the store, how, what shows it."""

    key: str
    fault: Fault
    what: str


class Stored(Model):
    """What the key of a seal says of it."""

    key: str
    taken_at: Moment
    phase: str
    point: str


def take(
    server: Server,
    checks: Sequence[Check[Any]],
    database: str,
    point: str,
    clock: Clock,
    *,
    resource: str | None = None,
    created_at: datetime | None = None,
) -> Seal:
    """Measure every sealed check on production. `resource` is RDS's own id of the instance, `DbiResourceId`.

    `created_at` is the creation of the snapshot, where there is one yet.

    Raises:
        Unavailable: production did not answer, or not in time. A seal is whole or not made.
    """
    taken_at = clock.at()
    sealed = [check for check in checks if check.sealed]
    case = Case(checks=Checks(), asked=frozenset(check.name for check in sealed), sealing=True)
    try:
        with server.sealing() as production:
            facts = {check.name: check.measure(production, case).model_dump(mode="json") for check in sealed}
            estimates = {name: _estimates(production, name) for name in production.databases()}
    except psycopg.Error as error:
        # Without the server's message: it may quote what it was about.
        raise Unavailable(
            f"database {database!r} could not be sealed: {type(error).__name__}",
            hint="look at the server's load, and for sessions that hold a lock on a table for long; then try again",
        ) from error
    return Seal(
        point=point,
        database=database,
        taken_at=taken_at,
        done_at=clock.at(),
        facts=facts,
        resource=resource,
        created_at=created_at,
        estimates=estimates,
    )


def _estimates(server: Server, database: str) -> dict[str, int]:
    with server.session(database) as session:
        return {qualified(schema, name): rows for schema, name, rows in session.execute(_ESTIMATES)}


def keep(store: Store, seal: Seal, phase: Phase) -> str:
    """Store a seal, chained to the newest one there is, and return its key, which sorts by time."""
    keys = list(store.keys(_prefix(seal.database)))
    last = store.get(keys[-1]) if keys else None
    if last is not None:
        before = _parsed(last)
        number = (before.number if before else len(keys)) + 1
        seal = seal.model_copy(update={"number": number, "previous": _digest(last)})
    key = _key(seal, phase)
    store.put(key, seal.model_dump_json().encode())
    return key


def ended(store: Store, database: str, point: RecoveryPoint) -> bool:
    """Tell whether a snapshot has a seal of its own after it."""
    return _own(store, list(store.keys(_prefix(database))), point)[1] is not None


def taken_for(store: Store, database: str, point: str, since: datetime) -> bool:
    """Tell whether a seal for that name was taken at `since` or later. Reads keys only."""
    prefix = _prefix(database)
    after = f"{prefix}{since.astimezone(UTC).strftime(_TIME)}"
    return any(key.endswith(f"-{point}.json") for key in store.keys(prefix, after))


def stored(store: Store, database: str) -> list[Stored]:
    """Return the seals of a database, oldest first. Reads keys only."""
    found = []
    for key in store.keys(_prefix(database)):
        time, phase, point = key.removeprefix(_prefix(database)).removesuffix(".json").split("-", 2)
        taken_at = datetime.strptime(time, _TIME).replace(tzinfo=UTC)
        found.append(Stored(key=key, taken_at=taken_at, phase=phase, point=point))
    return found


# The chain -------------------------------------------------------------------------------------------------


def broken(store: Store, database: str) -> list[Break]:
    """Return every break in the chain of a database's seals, oldest first; none where all are as they were written.

    That the newest seal was altered, or is gone, only the next one will show.
    """
    return list(_breaks([(key, store.get(key) or b"") for key in store.keys(_prefix(database))]))


def _breaks(stored: Sequence[tuple[str, bytes]]) -> Iterator[Break]:
    number, digest, at = 0, None, ""
    for key, body in stored:
        seal = _parsed(body)
        if seal is None:
            yield Break(key=key, fault=Fault.UNREADABLE, what="is not a seal")
            number, digest, at = number + 1, _digest(body), key
            continue
        if key not in {_key(seal, phase) for phase in PHASES}:
            yield Break(key=key, fault=Fault.ALTERED, what="holds another seal than its key says")
        if seal.number > number + 1:
            what = f"is number {seal.number} and comes after number {number}"
            yield Break(key=key, fault=Fault.DROPPED, what=what)
        elif seal.number <= number:
            what = f"is number {seal.number}, as another is: two were taken at once"
            yield Break(key=key, fault=Fault.FORKED, what=what)
        elif seal.previous != digest:
            what = f"has SHA-256 {digest}, the seal after it says {seal.previous}"
            yield Break(key=at or key, fault=Fault.ALTERED, what=what)
        number, digest, at = seal.number, _digest(body), key


def _parsed(body: bytes) -> Seal | None:
    try:
        return Seal.model_validate_json(body)
    except ValidationError:
        return None


def _key(seal: Seal, phase: Phase) -> str:
    return f"{_prefix(seal.database)}{seal.taken_at.strftime(_TIME)}-{phase}-{seal.point}.json"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


# Around a point --------------------------------------------------------------------------------------------


def around(store: Store, database: str, point: RecoveryPoint) -> tuple[Seal | None, Seal | None]:
    """Return the nearest seals before and after a recovery point, None where there is none.

    A snapshot has seals of its own, taken for it; anything else lies between those of other points. Seals of an
    instance that had the same name before are no seals of this one.
    """
    keys = list(store.keys(_prefix(database)))
    if point.kind is not PointKind.PITR:
        own = _own(store, keys, point)
        if any(own):
            return own
    return _last_before(store, keys, point), _first_after(store, keys, point)


def fewer(
    before: Seal | None, after: Seal | None, restored: Mapping[str, Mapping[str, int]]
) -> list[tuple[str, str, int, int]]:
    """Return (database, table, rows, estimate) where the copy holds under half of what production estimated.

    Both seals must say so, of a thousand rows at least: an estimate is as old as the last vacuum or analyze.
    """
    if before is None or after is None:
        return []
    return [
        (database, table, rows[table], least)
        for database, rows in sorted(restored.items())
        for table in sorted(rows)
        if (least := min(seal.estimates.get(database, {}).get(table, 0) for seal in (before, after)))
        >= TELLING
        and rows[table] < least / 2
    ]


def _own(store: Store, keys: list[str], point: RecoveryPoint) -> tuple[Seal | None, Seal | None]:
    """Return seals that were surely taken before and after the snapshot; tries at once may have made several.

    Whoever asked for the snapshot had finished its seal: the one done first precedes the snapshot, whoever made it.
    Another snapshot may have had the id before: those after it say so, and those before lie between. RDS's clock is
    compared with itself alone.
    """
    before, after = (_named(store, keys, phase, point) for phase in PHASES)
    end = _first_done(seal for seal in after if _is_of(seal, point))
    others = [seal.taken_at for seal in after if not _is_of(seal, point)]
    begin = max((at for at in others if end is None or at < end.taken_at), default=None)
    start = _first_done(
        seal
        for seal in before
        if (begin is None or seal.taken_at > begin) and (end is None or seal.taken_at < end.taken_at)
    )
    return start, end


def _named(store: Store, keys: list[str], phase: Phase, point: RecoveryPoint) -> list[Seal]:
    mine = [key for key in keys if key.endswith(f"-{phase}-{point.id}.json")]
    return [seal for key in mine if (seal := _read(store, key, point)) is not None]


def _is_of(seal: Seal, point: RecoveryPoint) -> bool:
    return not seal.created_at or not point.created_at or seal.created_at == point.created_at


def _first_done(seals: Iterable[Seal]) -> Seal | None:
    return min(seals, key=lambda seal: seal.done_at, default=None)


def _last_before(store: Store, keys: list[str], point: RecoveryPoint) -> Seal | None:
    moment = point.recovers_to
    earlier = (key for key in reversed(keys) if _time(key) <= moment.strftime(_TIME))
    seals = (_read(store, key, point) for key in earlier)
    return next((seal for seal in seals if seal is not None and seal.done_at <= moment), None)


def _first_after(store: Store, keys: list[str], point: RecoveryPoint) -> Seal | None:
    later = (key for key in keys if _time(key) >= point.recovers_to.strftime(_TIME))
    return next((seal for key in later if (seal := _read(store, key, point)) is not None), None)


def _read(store: Store, key: str, point: RecoveryPoint) -> Seal | None:
    """Return a seal of the point's instance; what cannot be read is no seal, and for `broken` to tell."""
    seal = _parsed(store.get(key) or b"")
    if seal is None or (seal.resource and point.resource and seal.resource != point.resource):
        return None
    return seal


def _time(key: str) -> str:
    return key.rsplit("/", 1)[-1].split("-", 1)[0]


def _prefix(database: str) -> str:
    return f"seals/{database}/"
