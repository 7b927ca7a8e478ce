"""What the parts of the lab's RDS share: records, clusters, faults, and the threads that do the work.

An action runs under `lock` and only reads and writes records; what takes time is a job in a thread.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pgdrill.lab import tls
from pgdrill.lab.clock import LabClock
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.faults import Faults, Transition
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.rds import fresh, listing
from pgdrill.lab.rds.neighbours import Neighbours
from pgdrill.lab.rds.quotas import Quotas
from pgdrill.lab.rds.records import (
    Event,
    Export,
    Instance,
    ParameterGroup,
    Record,
    Replicated,
    Retained,
    Snapshot,
    SubnetGroup,
    Table,
)
from pgdrill.lab.rds.wire import RdsError
from pgdrill.model import Model

log = logging.getLogger(__name__)

USABLE = frozenset({"available", "storage-optimization"})
RUNNING = frozenset(
    {
        "available",
        "backing-up",
        "modifying",
        "resetting-master-credentials",
        "storage-optimization",
        "rebooting",
        "stopping",
    }
)


class LabSettings(Model):
    """`archive_every` is in seconds (AWS: 300). Quotas are AWS's defaults, per region.

    Source: RDS User Guide, "Quotas and constraints".
    """

    archive_every: float = 1.0
    amcheck: bool = True
    manual_snapshots: int = 100
    instances: int = 40
    copies_in_flight: int = 20


class Stopped(Exception):
    """The lab ends; a job leaves its work as it is."""


class Gone(Exception):
    """The record that a job works for is no longer there."""


class State:
    def __init__(
        self,
        directory: Path,
        binaries: Binaries,
        authority: tls.Authority,
        faults: Faults,
        *,
        account: str,
        publish: Callable[[str, dict[str, Any]], None],
        vpc_of: Callable[[str, str], str | None],
        neighbours: Neighbours,
        settings: LabSettings,
        clock: LabClock,
    ) -> None:
        self.directory = directory
        self.binaries = binaries
        self.authority = authority
        self.faults = faults
        self.account = account
        self.publish = publish
        self.vpc_of = vpc_of
        self.neighbours = neighbours
        self.settings = settings
        self.clock = clock
        self.quotas = Quotas(directory / "quotas.json", settings.manual_snapshots)
        self.lock = threading.RLock()
        self.closing = threading.Event()
        records = directory / "records"
        self.instances = Table(records / "instances", Instance)
        self.snapshots = Table(records / "snapshots", Snapshot)
        self.retained = Table(records / "retained", Retained)
        self.replicated = Table(records / "replicated", Replicated)
        self.exports = Table(records / "exports", Export)
        self.subnet_groups = Table(records / "subnet-groups", SubnetGroup)
        self.parameter_groups = Table(records / "parameter-groups", ParameterGroup)
        self.events: list[Event] = []
        # (time.monotonic() of the event, event) to be published; None ends it
        self.outbox: queue.Queue[tuple[float, Event] | None] = queue.Queue()
        self._readers: Counter[str] = Counter()
        self._jobs: set[threading.Thread] = set()

    # ---------------------------------------------------------------- names and places

    def arn(self, kind: str, record: Record) -> str:
        return f"arn:aws:rds:{record.region}:{self.account}:{kind}:{record.identifier}"

    def cluster(self, instance: Instance) -> Cluster:
        return Cluster(self.directory / "instances" / instance.resource_id, self.binaries)

    def archive(self, instance: Instance) -> Path:
        """Return where the instance's write-ahead log is archived; it may outlive the instance."""
        return self.cluster(instance).archive

    def base(self, snapshot: Snapshot) -> Path:
        """Return the directory of the snapshot's base backup."""
        return self.directory / "snapshots" / snapshot.uid

    def moment(self) -> datetime:
        return fresh.to_millisecond(self.clock.now())

    # ---------------------------------------------------------------- jobs

    def run(self, job: Callable[..., None], *arguments: Any, reads: Snapshot | None = None) -> None:
        """Run `job(state, *arguments)` in a thread of its own.

        The files of the snapshot that it `reads` stay until it ends, even when the snapshot is deleted meanwhile.
        """

        def body() -> None:
            try:
                job(self, *arguments)
            except (Stopped, Gone) as reason:
                log.debug("%s left off: %r", job.__name__, reason)
            except Exception:
                log.exception("%s failed", job.__name__)
            finally:
                with self.lock:
                    self._jobs.discard(threading.current_thread())
                    self._readers.subtract(reading)

        reading = [reads.uid] if reads else []
        thread = threading.Thread(target=body, name=job.__name__.strip("_"), daemon=True)
        with self.lock:
            self._jobs.add(thread)
            self._readers.update(reading)
        thread.start()

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            Stopped: the lab ends.
        """
        if self.closing.wait(seconds):
            raise Stopped

    def delay(self, transition: Transition) -> None:
        """Take as long as the faults say, above what the work takes by itself; cleared faults end it at once."""
        for _ in self.passing(transition):
            pass

    def passing(self, transition: Transition) -> Iterator[int]:
        """Yield how many percent of a transition's latency have passed, until all have."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < (lasts := self.faults.latency(transition)):
            yield int(100 * passed / lasts)
            self.wait(min(0.05, lasts))

    def join(self, timeout: float) -> None:
        """Wait for the jobs, which end as soon as they see `closing`."""
        with self.lock:
            jobs = list(self._jobs)
        for job in jobs:
            job.join(timeout)

    # ---------------------------------------------------------------- instances

    def instance(self, region: str, name: str) -> Instance:
        """Return the instance of that identifier or ARN.

        Raises:
            RdsError: there is none.
        """
        found = self.instances.get(region, listing.name_of(name))
        if found is None:
            raise RdsError("DBInstanceNotFound", f"DBInstance {listing.name_of(name)} not found.")
        return found

    def update(self, instance: Instance, **changes: Any) -> Instance:
        """Change the instance's record as it is now.

        Raises:
            Gone: it was deleted; another of the same name is another.
        """
        with self.lock:
            return self.instances.put(self.current(instance).model_copy(update=changes))

    def current(self, instance: Instance) -> Instance:
        now = self.instances.get(instance.region, instance.identifier)
        if now is None or now.resource_id != instance.resource_id:
            raise Gone(instance.identifier)
        return now

    def enter(self, instance: Instance, status: str, **changes: Any) -> Instance:
        """Go on to `status`, unless the faults hold the instance in the one that it has."""
        self.hold(instance)
        return self.update(instance, status=status, **changes)

    def take_turn(self, instance: Instance, status: str) -> Instance:
        """Go on to `status` once the instance is usable: what else is under way with it ends first.

        Raises:
            Gone: it is being deleted.
        """
        while True:
            with self.lock:
                now = self.current(instance)
                if now.status == "deleting":
                    raise Gone(instance.identifier)
                if now.status in USABLE and not self.faults.stuck(now.identifier, now.status):
                    return self.update(instance, status=status)
            self.wait(0.02)

    def hold(self, instance: Instance) -> None:
        while self.faults.stuck(instance.identifier, self.current(instance).status):
            self.wait(0.05)

    def attached(self, region: str, setting: str, name: str) -> list[Instance]:
        """Return the instances whose `setting` names a group."""
        return [each for each in self.instances.all(region) if getattr(each.configuration, setting) == name]

    # ---------------------------------------------------------------- snapshots

    def snapshot(self, region: str, name: str) -> Snapshot:
        """Return the snapshot of that identifier or ARN; an ARN may name another region.

        Raises:
            RdsError: there is none.
        """
        where = name.split(":")[3] if name.startswith("arn:") else region
        found = self.snapshots.get(where, listing.name_of(name))
        if found is None:
            raise RdsError("DBSnapshotNotFound", f"DBSnapshot {listing.name_of(name)} not found.")
        return found

    def update_snapshot(self, snapshot: Snapshot, **changes: Any) -> Snapshot:
        """Change the snapshot's record as it is now.

        Raises:
            Gone: it was deleted.
        """
        with self.lock:
            return self.snapshots.put(self.current_snapshot(snapshot).model_copy(update=changes))

    def current_snapshot(self, snapshot: Snapshot) -> Snapshot:
        now = self.snapshots.get(snapshot.region, snapshot.identifier)
        if now is None or now.uid != snapshot.uid:
            raise Gone(snapshot.identifier)
        return now

    def has_snapshot(self, snapshot: Snapshot) -> bool:
        with self.lock:
            now = self.snapshots.get(snapshot.region, snapshot.identifier)
            return now is not None and now.uid == snapshot.uid

    def hold_snapshot(self, snapshot: Snapshot) -> None:
        while self.faults.stuck(snapshot.identifier, self.current_snapshot(snapshot).status):
            self.wait(0.05)

    def being_read(self, snapshot: Snapshot) -> bool:
        with self.lock:
            return self._readers[snapshot.uid] > 0
