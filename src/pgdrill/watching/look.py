"""One look of the watch: asks KMS and the store what the ages are measured of, besides what was just gathered.

The number of calls does not grow with points or with time: of each kind of thing there is one listing, of each
database what came since the last look. What a look need not find out twice is kept in `watch/<region>.json`, with when
the watch first looked; what nobody answers is named, and hides nothing else.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError

from pgdrill import beats, ledger
from pgdrill.aws.rds import Instance, lease_of
from pgdrill.cell import Cell
from pgdrill.drills.state import Step
from pgdrill.errors import Broken, DrillError
from pgdrill.evidence.record import Purpose
from pgdrill.exporting import exports
from pgdrill.model import Model, Moment, Stage, Verdict
from pgdrill.plan import DatabasePlan
from pgdrill.points import exchange, schedule
from pgdrill.points.inventory import Inventory
from pgdrill.watching import failing, storage
from pgdrill.watching.sighting import Archived, Ended, Running, Sighting, Watched

# As many connections as a client of botocore keeps.
AT_ONCE = 10
FORKS_SHOW_FOR = timedelta(days=1)

T = TypeVar("T")


class Asked(Model):
    """What a function in the drill VPC cannot ask, and its state machine does: what is not usable, and who was silent."""

    secrets: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


class _Point(BaseModel):
    region: str
    kind: str
    recovers_to: Moment


class Known(Model):
    """What is known of a database's drills here. No drill up to `settled` will change any more.

    `ran_at` is when the newest drill of all began, `passed_at` when the newest that passed did. `failed` is, by kind of
    point, the newest data that a drill has shown to be bad; none as new has passed since.
    """

    since: Moment
    settled: str = ""
    ran_at: Moment | None = None
    passed_at: Moment | None = None
    ended: Ended | None = None
    failed: dict[str, Moment] = Field(default_factory=dict)


class Memory(Model):
    """What the watch of a cell keeps from look to look. A database that is new to the plan is looked at from then on."""

    since: Moment
    databases: dict[str, Known] = Field(default_factory=dict)


class _Drill(BaseModel):
    """As much of a drill's state as matters here: another version of pgdrill may have written the rest."""

    id: str
    next: str
    started_at: Moment
    purpose: str = Purpose.DRILL
    point: _Point | None = None
    stages: dict[str, Moment] = Field(default_factory=dict)
    verdict: Verdict | None = None
    evidence_sha256: str = ""

    def at(self, stage: Stage) -> datetime | None:
        return self.stages.get(stage)

    def running(self) -> Running:
        """Once it is judged nobody waits for its first query any more."""
        requested = self.at(Stage.REQUESTED) if self.verdict is None else None
        queried = self.at(Stage.FIRST_QUERY)
        return Running(drill=self.id, started_at=self.started_at, requested_at=requested, queried_at=queried)

    def ended(self, verdict: Verdict) -> Ended:
        requested, queried = self.at(Stage.REQUESTED), self.at(Stage.FIRST_QUERY)
        rto = (queried - requested).total_seconds() if requested and queried else None
        return Ended(drill=self.id, verdict=verdict, rto=rto)


class _Canary(BaseModel):
    """What the machine `canary` leaves in `canary/<region>.json` when one has arrived; its age counts from its due time."""

    due_at: Moment


class _Found(NamedTuple):
    known: Known
    watched: Watched


class Unseen(list[str]):
    """What nobody answered, or nobody can read."""

    def but(self, what: str, ask: Callable[[], T]) -> T | None:
        """Return what `ask` does, None once it is named here why it does not."""
        try:
            return ask()
        except DrillError as error:
            self.append(f"{what}: {error.message}")
            return None


def look(cell: Cell, own: Inventory, instances: Sequence[Instance], asked: Asked, now: datetime) -> Sighting:
    """Return what there is to see, once `own` and `instances` were gathered; keep what the next look need not ask.

    Raises:
        Broken: what is kept from look to look cannot be read.
    """
    plan, unseen = cell.plan, Unseen(asked.unseen)
    memory = _remembered(cell, now)
    seen = unseen.but

    def found(database: DatabasePlan) -> _Found:
        known = memory.databases.get(database.name) or Known(since=now)
        return _database(cell, database, instances, known, unseen, now=now)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        all_found = list(pool.map(found, plan.databases))
    canary = seen("the canary", partial(_canary, cell))
    keys = [seen(f"key {key}", partial(_unusable, cell, key)) for key in _keys(cell, instances)]
    learned = memory.model_copy(
        update={"databases": memory.databases | {one.watched.database: one.known for one in all_found}}
    )
    if learned != memory or not memory.databases:
        cell.store.put(_key(cell), learned.model_dump_json().encode())
    kept = storage.stored(own, instances, plan)
    return Sighting(
        now=now,
        since=memory.since,
        own=own,
        heard=seen("the other cell's inventory", lambda: exchange.heard(cell)),
        databases=tuple(one.watched for one in all_found),
        unusable_keys=tuple(key for key in keys if key),
        unusable_secrets=asked.secrets,
        disabled_schedules=asked.schedules,
        canary_at=canary,
        stored=kept,
        dollars=storage.monthly(kept),
        unseen=frozenset(unseen),
    )


def _key(cell: Cell) -> str:
    return f"watch/{cell.place.region}.json"


def _remembered(cell: Cell, now: datetime) -> Memory:
    body = cell.store.get(_key(cell))
    if body is None:
        return Memory(since=now)
    try:
        return Memory.model_validate_json(body)
    except ValidationError as error:
        raise Broken(
            f"{_key(cell)!r} cannot be read, so nobody knows since when this cell is watched",
            hint="bring back its last version in the bucket, or delete it: then all ages begin anew",
        ) from error


def _database(
    cell: Cell,
    database: DatabasePlan,
    instances: Iterable[Instance],
    known: Known,
    unseen: Unseen,
    *,
    now: datetime,
) -> _Found:
    """Look at one database; what of it cannot be seen hides nothing else of it."""
    seen = partial(unseen.but, f"database {database.name}")
    primary = cell.place == cell.plan.primary
    held = {lease.drill for instance in instances if (lease := lease_of(instance))}
    drills = seen(lambda: drilled(cell, database.name, held, known, unseen, now=now))
    known, running = drills or (known, None)
    here = [one for one in instances if primary and one.id == database.instance]
    beating = primary and database.ledger == "on"
    exporting = primary and cell.plan.exports.schedule != "off"
    return _Found(
        known,
        Watched(
            database=database.name,
            since=known.since,
            instance=here[0] if here else None,
            passed_at=known.passed_at,
            ended=known.ended,
            failed=len(known.failed),
            running=running,
            drilled=drills is not None,
            skipped=seen(lambda: schedule.skips(cell.store, database.name, known.ran_at or known.since)),
            forks=seen(lambda: _forks(cell, database.name, now)) if beating else None,
            archived=seen(lambda: _archived(cell, database)) if exporting else None,
        ),
    )


# Drills -----------------------------------------------------------------------------------------------------


def drilled(
    cell: Cell, database: str, held: Iterable[str], known: Known, unseen: Unseen, *, now: datetime
) -> tuple[Known, Running | None]:
    """Return what is known of a database's drills in this cell, and the one that is not over.

    `held` are the drills that have an instance. One that has none any more when its lease is over has died, and did
    not prove anything; one that was never given an instance found the place taken, and says nothing. One that cannot
    be read is unseen, until one after it is settled.
    """
    prefix, running = f"drills/{database}/", None
    settled = True
    for drill in _since(cell, prefix, known.settled, unseen):
        changes: dict[str, object] = {}
        point = drill.point
        expired = drill.started_at + cell.plan.drill.lease < now
        if drill.purpose == Purpose.DRILL and point and point.region == cell.place.region:
            over = drill.next == Step.DONE or (expired and drill.id not in held)
            verdict = drill.verdict
            if over and verdict is None and drill.at(Stage.REQUESTED):
                verdict = Verdict.INCONCLUSIVE
            if not over and (running is None or drill.id in held):
                running = drill.running()
            if over or drill.at(Stage.REQUESTED):
                changes["ran_at"] = drill.started_at
            if verdict is not None:
                changes["ended"] = drill.ended(verdict)
            proved = verdict is Verdict.PASSED and drill.evidence_sha256
            if proved:
                changes["passed_at"] = drill.started_at
            if proved or verdict is Verdict.FAILED:
                changes["failed"] = failing.after(
                    known.failed, point.kind, point.recovers_to, passed=bool(proved)
                )
            settled = settled and over
        # Younger ones may be joined by one that began before them and is stored after them.
        settled = settled and expired
        known = known.model_copy(update=changes | ({"settled": drill.id} if settled else {}))
    return known, running


def _since(cell: Cell, prefix: str, settled: str, unseen: Unseen) -> Iterable[_Drill]:
    """Yield the drills of both regions after one, oldest first; their ids begin with the time."""
    # What lies below a drill comes before `~`.
    for key in cell.store.keys(prefix, f"{prefix}{settled}/~" if settled else ""):
        body = cell.store.get(key) if key.endswith("/drill.json") else None
        if body is not None:
            try:
                drill = _Drill.model_validate_json(body)
            except ValidationError:
                unseen.append(f"drill {key!r} cannot be read: another pgdrill wrote it")
            else:
                yield drill


# The rest ---------------------------------------------------------------------------------------------------


def _forks(cell: Cell, database: str, now: datetime) -> int:
    """Count how often numbers of the ledger were beaten again, as far back as it is shown."""
    since = now - FORKS_SHOW_FOR
    try:
        witnessed = ledger.witness(cell.store, database, since)
    except ValueError as error:
        raise Broken(str(error), hint="see who put it there, and delete it") from error
    befell = beats.incidents(witnessed, now)
    again = {beats.Kind.FORK, beats.Kind.ANEW}
    return sum(incident.kind in again and incident.until >= since for incident in befell)


def _archived(cell: Cell, database: DatabasePlan) -> Archived:
    try:
        newest = exports.newest(cell, database)
    except ValidationError as error:
        what = f"what is known of the exports of {database.name!r} cannot be read"
        raise Broken(what, hint="bring back its last version in the bucket") from error
    return Archived(passed_of=newest.passed_of, missing=newest.missing) if newest else Archived()


def _canary(cell: Cell) -> datetime | None:
    """Return when the newest canary arrived."""
    key = f"canary/{cell.place.region}.json"
    body = cell.store.get(key)
    try:
        return _Canary.model_validate_json(body).due_at if body is not None else None
    except ValidationError as error:
        raise Broken(f"{key!r} cannot be read", hint="the next canary writes it again") from error


def _keys(cell: Cell, instances: Iterable[Instance]) -> list[str]:
    """Return the keys that are used here: the cell's own, and where production is, those of the databases."""
    place, databases = cell.place, {database.instance for database in cell.plan.databases}
    optional = (place.signing_key, place.messages_key)
    own = [place.storage_key, place.mac_key, *(key for key in optional if key)]
    production = place == cell.plan.primary
    theirs = {one.kms_key for one in instances if production and one.id in databases and one.kms_key}
    return [*own, *sorted(theirs - set(own))]


def _unusable(cell: Cell, key: str) -> str | None:
    """Return what is wrong with a key, None where it can be used."""
    state = cell.keys.state(key)
    return None if state == "Enabled" else f"key {key!r} is {state}"
