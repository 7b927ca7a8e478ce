"""The solver: says before deployment what of a plan cannot work or will not. Asks RDS only through a cell.

Offline it holds the plan against itself and against what AWS documents; online also against what is there.
"""

from collections.abc import Iterator
from datetime import datetime

from pgdrill import slots
from pgdrill.cell import Cell
from pgdrill.plan import DatabasePlan, Plan, spelled
from pgdrill.planning import capacity, timing
from pgdrill.planning.obstacle import DatabaseFacts, Facts, Obstacle, Question, RegionFacts, Severity


def look(primary: Cell, dr: Cell, now: datetime) -> Facts:
    """Ask both regions what the plan is held against: quotas, points, instances, engine versions.

    Raises:
        DrillError: RDS refused or did not answer.
    """
    plan = primary.plan
    return Facts(
        primary=_region(primary, now),
        dr=_region(dr, now),
        databases={database.name: _database(primary, dr, database) for database in plan.databases},
    )


def _region(cell: Cell, now: datetime) -> RegionFacts:
    ours = [
        slots.named(snapshot.mark.slot) if snapshot.mark and snapshot.mark.slot else snapshot.recovers_to
        for snapshot in cell.snapshots.ours(cell.plan.stack.suffix)
    ]
    # One in the making has no moment yet; it is the newest.
    return RegionFacts(quota=cell.snapshots.quota(), points=tuple(moment or now for moment in ours))


def _database(primary: Cell, dr: Cell, database: DatabasePlan) -> DatabaseFacts:
    instance = primary.rds.instance(database.instance)
    if instance is None:
        return DatabaseFacts(instance=None)
    version = instance.engine_version
    return DatabaseFacts(
        instance=instance,
        engine=primary.rds.engine_status(version),
        dr_engine=dr.rds.engine_status(version),
    )


def as_it_is(plan: Plan, facts: Facts) -> Plan:
    """Return the plan with the sizes that the instances really have, for which time and cost are then reckoned."""
    databases = []
    for database in plan.databases:
        instance = facts.databases[database.name].instance
        changes = (
            {} if instance is None else {"storage_gb": instance.storage_gb, "multi_az": instance.multi_az}
        )
        databases.append(database.model_copy(update=changes))
    return plan.model_copy(update={"databases": tuple(databases)})


def solve(plan: Plan, now: datetime, facts: Facts | None = None) -> tuple[Obstacle, ...]:
    """Return every obstacle, errors first. `facts` are RDS's answers; without them some obstacles stay unknown."""
    asked = Question(plan=as_it_is(plan, facts) if facts else plan, now=now, facts=facts)
    found = [obstacle for rule in RULES for obstacle in rule(asked)]
    if facts:
        found += [obstacle for database in plan.databases for obstacle in _real(plan, database, facts)]
    return tuple(sorted(found, key=lambda obstacle: list(Severity).index(obstacle.severity)))


def _real(plan: Plan, database: DatabasePlan, facts: Facts) -> Iterator[Obstacle]:
    """Yield where the instance is not what the plan says or needs."""
    real = facts.databases[database.name]
    instance = real.instance

    def told(severity: Severity, key: str, value: object, what: str, remedy: str) -> Obstacle:
        return Obstacle(severity=severity, key=f"database.{key}", value=str(value), what=what, remedy=remedy)

    if instance is None:
        if database.origin == "adopted":
            yield told(
                Severity.ERROR,
                "instance",
                database.instance,
                f"there is no such instance in {plan.primary.region}",
                'correct its name or primary.region, or set origin = "created"',
            )
        return
    for key, planned, there in (
        ("storage_gb", database.storage_gb, instance.storage_gb),
        ("instance_class", database.instance_class, instance.instance_class),
        ("multi_az", database.multi_az, instance.multi_az),
    ):
        if planned != there:
            yield told(
                Severity.WARNING,
                key,
                planned,
                f"{database.instance} has {there}: a recovered instance would differ from it",
                f"set {key} to {str(there).lower() if isinstance(there, bool) else there}, if the plan allows that",
            )
    if not instance.encrypted:
        yield told(
            Severity.ERROR,
            "instance",
            database.instance,
            "its storage is not encrypted, so its snapshots cannot be copied under a key of the DR region",
            "restore it from a snapshot that was copied with a key, and adopt that instance",
        )
    if instance.retention_days < plan.points.pitr.days:
        yield Obstacle(
            severity=Severity.ERROR,
            key="points.pitr",
            value=spelled(plan.points.pitr),
            what=f"{database.instance} keeps its automated backups for {instance.retention_days} days",
            remedy="raise its backup retention; from 0 that restarts the instance",
        )
    for region, status in ((plan.primary.region, real.engine), (plan.dr.region, real.dr_engine)):
        if status != "available":
            yield told(
                Severity.WARNING if status else Severity.ERROR,
                "instance",
                database.instance,
                f"PostgreSQL {instance.engine_version} is {status or 'not there'} in {region}: "
                + ("a restore may upgrade it" if status else "nothing of it restores there"),
                "upgrade the instance to a minor version that both regions offer",
            )


RULES = (*capacity.RULES, *timing.RULES)
