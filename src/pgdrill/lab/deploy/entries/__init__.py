"""Every type of resource that the lab can make, as tuples that can be read."""

from pgdrill.lab.deploy.entries import (
    alarms,
    buckets,
    dashboards,
    databases,
    events,
    functions,
    keys,
    logs,
    machines,
    networks,
    objects,
    queues,
    quotas,
    roles,
    rules,
    schedules,
    topics,
)
from pgdrill.lab.deploy.entry import Entry

ALL: tuple[Entry, ...] = (
    *keys.ENTRIES,
    *roles.ENTRIES,
    *logs.ENTRIES,
    *buckets.ENTRIES,
    *objects.ENTRIES,
    *networks.ENTRIES,
    *rules.ENTRIES,
    *dashboards.ENTRIES,
    *databases.ENTRIES,
    *functions.ENTRIES,
    *machines.ENTRIES,
    *schedules.ENTRIES,
    *events.ENTRIES,
    *queues.ENTRIES,
    *topics.ENTRIES,
    *alarms.ENTRIES,
    *quotas.ENTRIES,
)
BY_TYPE = {entry.type: entry for entry in ALL}
