"""Automated backups: a daily snapshot in the backup window, the archived log, and the window between them.

AWS archives every five minutes, the lab as often as its settings say, so that minutes pass in seconds.
"""

import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from pgdrill.errors import Broken
from pgdrill.lab.rds import snapshots
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.records import Instance, Retained, Snapshot
from pgdrill.lab.rds.state import Gone, State

log = logging.getLogger(__name__)

# What a cluster raises that stops while it is asked something.
UNREACHABLE = (Broken, psycopg.Error, ValueError, IndexError)
# A segment takes a megabyte, however little is in it.
QUIET_ROUNDS = 30
ARCHIVING = frozenset(
    {"available", "backing-up", "modifying", "resetting-master-credentials", "storage-optimization"}
)


def automated(state: State, instance: Instance) -> list[Snapshot]:
    """Return the automated snapshots of an instance, or of what was one, oldest first, whatever became of them."""
    with state.lock:
        own = [
            snapshot
            for snapshot in state.snapshots.all(instance.region)
            if snapshot.kind == snapshots.AUTOMATED and snapshot.source.resource_id == instance.resource_id
        ]
    return sorted(own, key=lambda snapshot: snapshot.created_at)


def bases(state: State, instance: Instance) -> list[Snapshot]:
    """Return those that can be restored."""
    return [snapshot for snapshot in automated(state, instance) if snapshot.status == "available"]


def window(state: State, instance: Instance) -> tuple[datetime, datetime] | None:
    """Return the (earliest, latest) restorable times; None while there is no complete backup."""
    own = bases(state, instance)
    latest = instance.latest_restorable
    if not own or latest is None or latest < own[0].created_at:
        return None
    return own[0].created_at, latest


def take(state: State, instance: Instance) -> None:
    """Take the automated snapshot of an instance that is already `backing-up`, and drop what is past retention."""
    with state.lock:
        snapshot = snapshots.begin(state, instance, _free_name(state, instance), snapshots.AUTOMATED, {})
    tell(state, instance, "0001")
    if not snapshots.fill(state, snapshot):
        return
    tell(state, instance, "0002")
    archive(state, instance)
    try:
        expire(state, instance)
    except (Broken, OSError):
        log.exception("%s keeps backups past their retention", instance.identifier)


def _free_name(state: State, instance: Instance) -> str:
    """Return the name by the minute; the lab may take several a minute, and they go to the next ones."""
    at = state.moment()
    while state.snapshots.get(instance.region, name := f"rds:{instance.identifier}-{at:%Y-%m-%d-%H-%M}"):
        at += timedelta(minutes=1)
    return name


def expire(state: State, instance: Instance) -> None:
    """Drop automated snapshots that failed or are past retention, and the log that nothing needs any more."""
    kept_from = state.moment() - timedelta(days=instance.configuration.BackupRetentionPeriod)
    usable = bases(state, instance)
    if not usable:
        return
    past = [snapshot for snapshot in usable[:-1] if snapshot.created_at < kept_from]
    failed = [snapshot for snapshot in automated(state, instance) if snapshot.status == "failed"]
    for snapshot in past + failed:
        snapshots.forget(state, snapshot)
    oldest = usable[len(past)]
    label = (state.base(oldest) / "backup_label").read_text(encoding="utf-8")
    if needed := re.search(r"START WAL LOCATION: .*\(file ([0-9A-F]{24})\)", label):
        state.binaries.run("pg_archivecleanup", state.archive(instance), needed[1])


def archive(state: State, instance: Instance) -> None:
    """Archive what is committed. An instance that stops meanwhile keeps the time it had."""
    try:
        restorable = state.cluster(instance).archive_now()
    except UNREACHABLE as reason:
        log.debug("%s not archived: %s", instance.identifier, reason)
        return
    state.update(instance, latest_restorable=state.clock.moved(restorable))


@dataclass
class Pace:
    """How often an instance is archived: every round while it is written to, seldom while nobody does.

    `position` is the next transaction id after the last heartbeat, `quiet` the rounds without another.
    """

    position: int = -1
    quiet: int = 0

    def due(self, position: int) -> bool:
        self.quiet = self.quiet + 1 if position == self.position else 0
        return self.quiet < 5 or self.quiet % QUIET_ROUNDS == 0


def keep_up(state: State) -> None:
    """Archive every instance's log and take the daily snapshots, until the lab ends."""
    paces: defaultdict[str, Pace] = defaultdict(Pace)
    while True:
        state.wait(state.settings.archive_every)
        with state.lock:
            due = [instance for instance in state.instances.all() if instance.backed_up]
        for instance in due:
            # One that was deleted meanwhile, or that fails, must not keep the others from their backups.
            try:
                _keep_up_one(state, instance, paces[instance.resource_id])
            except Gone:
                continue
            except Exception:
                log.exception("%s not backed up", instance.identifier)


def _keep_up_one(state: State, instance: Instance, pace: Pace) -> None:
    if state.current(instance).status in ARCHIVING and pace.due(_position(state, instance)):
        archive(state, instance)
        pace.position = _position(state, instance)
    # Decided on the instance as it is now: its backups may have been turned off since the round began.
    with state.lock:
        instance = state.current(instance)
        tried = automated(state, instance)
        opened = instance.configuration.PreferredBackupWindow
        if instance.backed_up and (not tried or is_due(opened, state.moment(), tried[-1].created_at)):
            take_now(state, instance)


def _position(state: State, instance: Instance) -> int:
    """Return the next transaction id, which moves when something is written; -1 when the server is away."""
    try:
        rows = state.cluster(instance).sql("rdsadmin", "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    except UNREACHABLE:
        return -1
    return int(rows[0][0])


def is_due(window: str, now: datetime, last: datetime) -> bool:
    """Tell whether the backup window `hh:mm-hh:mm` is open at `now` and had no snapshot yet since it opened."""
    opens, closes = (timedelta(hours=int(time[:2]), minutes=int(time[3:])) for time in window.split("-"))
    opened = now.replace(hour=0, minute=0, second=0, microsecond=0) + opens
    if opened > now:
        opened -= timedelta(days=1)
    return now < opened + (closes - opens) % timedelta(days=1) and last < opened


def take_now(state: State, instance: Instance) -> bool:
    """Start an automated snapshot in the background; False when the instance is not available for it."""
    with state.lock:
        if state.current(instance).status != "available":
            return False
        instance = state.update(instance, status="backing-up")
    state.run(_take_and_return, instance)
    return True


def _take_and_return(state: State, instance: Instance) -> None:
    try:
        take(state, instance)
    finally:
        state.enter(instance, "available")


def find_retained(
    state: State, region: str, resource_id: str | None, backup_arn: str | None
) -> Retained | None:
    for retained in state.retained.all(region):
        if resource_id and retained.identifier.lower() == resource_id.lower():
            return retained
        if backup_arn and arn(state, retained.source) == backup_arn:
            return retained
    return None


def drop(state: State, instance: Instance) -> None:
    """Remove all automated snapshots and the archive of an instance."""
    for snapshot in automated(state, instance):
        snapshots.forget(state, snapshot)
    state.cluster(instance).destroy()


def arn(state: State, instance: Instance) -> str:
    name = instance.resource_id.removeprefix("db-").lower()
    return f"arn:aws:rds:{instance.region}:{state.account}:auto-backup:ab-{name}"
