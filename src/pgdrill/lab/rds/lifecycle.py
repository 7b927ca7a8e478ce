"""The lab's RDS across its own ends: taking up what was kept, after an orderly end or a kill."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor

from pgdrill.lab.cluster import Cluster
from pgdrill.lab.rds import backups, copies, events, exports, instances
from pgdrill.lab.rds.records import Instance
from pgdrill.lab.rds.state import RUNNING, State

log = logging.getLogger(__name__)

PATIENCE = 30.0


def load(state: State) -> None:
    """Read the records, start what ran, and settle what the lab's end left half done."""
    for table in (
        state.instances,
        state.snapshots,
        state.retained,
        state.replicated,
        state.exports,
        state.subnet_groups,
        state.parameter_groups,
    ):
        table.load()
    events.load(state)
    for snapshot in state.snapshots.all():
        if snapshot.status in copies.IN_FLIGHT:
            shutil.rmtree(state.base(snapshot), ignore_errors=True)
            state.update_snapshot(snapshot, status="failed")
    exports.settle(state)
    _sweep(state)
    with ThreadPoolExecutor(max_workers=4) as pool:
        for done in [pool.submit(_take_up, state, instance) for instance in state.instances.all()]:
            done.result()


def _sweep(state: State) -> None:
    """Remove the files of which no record is left, since the lab was killed before they were."""
    kept = {snapshot.uid for snapshot in state.snapshots.all()}
    kept |= {instance.resource_id for instance in state.instances.all()}
    kept |= {retained.identifier for retained in state.retained.all()}
    for folder in ("snapshots", "instances", "exports"):
        for path in (state.directory / folder).glob("*"):
            if path.name not in kept:
                Cluster(path, state.binaries).destroy()


def _take_up(state: State, instance: Instance) -> None:
    cluster = state.cluster(instance)
    if cluster.running:
        # Left over from a lab that was killed: nobody else may have this data.
        cluster.stop(immediate=True)
    if instance.status == "deleting":
        with state.lock:
            backups.drop(state, instance)
            state.instances.remove(instance)
    elif instance.status == "creating":
        events.tell(state, state.update(instance, status="failed"), "0031", status="failed")
    elif instance.status in RUNNING | {"starting"}:
        pending = {name: value for name, value in instance.pending.items() if name != "MasterUserPassword"}
        instance = state.update(instance, status="starting", pending=pending)
        if instances.bring_up(
            state, instance, lambda _: instances.serve(state, instance), otherwise="failed"
        ):
            state.update(instance, status="available")


def close(state: State) -> None:
    """End the jobs, then the servers. Their records stay as they are."""
    state.closing.set()
    state.outbox.put(None)
    state.join(PATIENCE)
    with ThreadPoolExecutor(max_workers=4) as pool:
        clusters = [state.cluster(instance) for instance in state.instances.all()]
        for done in [pool.submit(cluster.stop) for cluster in clusters]:
            done.result()
