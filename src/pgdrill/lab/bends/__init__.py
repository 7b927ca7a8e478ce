"""Where the emulator differs from AWS in what pgdrill relies on, it is bent back, one module a difference.

Applied in the daemon before it serves. Each module's first sentence says what the emulator does and what AWS does.
"""

from collections.abc import Callable

from pgdrill.lab.bends import (
    alarms,
    choices,
    conditions,
    deliveries,
    delivery_metrics,
    denials,
    deployments,
    documents,
    execution_metrics,
    executions,
    function_metrics,
    function_roles,
    handler_errors,
    inbox,
    key_use,
    machine_roles,
    maps,
    memory,
    moved_time,
    mutes,
    networks,
    payloads,
    prefix_lists,
    quick_workers,
    quotas,
    rds_policies,
    recording,
    replication,
    reserved_concurrency,
    schedules,
    sidecars,
    tasks,
    time_limits,
    versions,
)
from pgdrill.lab.rds.service import Rds

# Grafts on one function are applied in this order, the last outermost.
ALL: tuple[Callable[[Rds], None], ...] = (
    recording.apply,
    denials.apply,
    conditions.apply,
    documents.apply,
    key_use.apply,
    rds_policies.apply,
    handler_errors.apply,
    deployments.apply,
    moved_time.apply,
    quick_workers.apply,
    memory.apply,
    function_roles.apply,
    reserved_concurrency.apply,
    replication.apply,
    sidecars.apply,
    delivery_metrics.apply,
    deliveries.apply,
    machine_roles.apply,
    executions.apply,
    schedules.apply,
    tasks.apply,
    payloads.apply,
    versions.apply,
    maps.apply,
    choices.apply,
    time_limits.apply,
    networks.apply,
    quotas.apply,
    prefix_lists.apply,
    alarms.apply,
    mutes.apply,
    execution_metrics.apply,
    function_metrics.apply,
    inbox.apply,
)


def apply(rds: Rds) -> None:
    """Bend the emulator in this process.

    Raises:
        pgdrill.lab.bends.graft.Drifted: the emulator is not the one that a bend was written for.
    """
    for bend in ALL:
        bend(rds)
