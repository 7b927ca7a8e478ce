"""What the doctor asks of a database: production and its window, its secrets, its ledger, a login over verified TLS.

A question returns what it found, in words; NotRunnable says that it found a problem. Production is read about
through RDS, and opened once, as the role that seals, for a statement about the connection itself.
"""

import os
from datetime import timedelta

from pgdrill import ledger
from pgdrill.aws.rds import USABLE, Instance
from pgdrill.doctor.patient import Patient, Question
from pgdrill.errors import NotRunnable, Unavailable
from pgdrill.evidence.wording import duration

# A beat a minute; the window of PITR ends about 5 minutes back.
SILENT = timedelta(minutes=5)
WINDOW_LAG = timedelta(minutes=15)
# What a server, or libpq, says when it will say so again.
_LASTING = ("certificate", "authentication failed", "no pg_hba.conf entry", "does not exist")


def _instance(patient: Patient) -> Instance:
    database = patient.database
    instance = patient.cell.rds.instance(database.instance)
    if instance is None:
        raise NotRunnable(
            f"there is no instance {database.instance!r} in {patient.cell.place.region}",
            hint="correct the database's `instance` in the plan, or primary.region",
        )
    return instance


def _production(patient: Patient) -> str:
    instance = _instance(patient)
    if instance.public or not instance.encrypted:
        raise NotRunnable(
            f"instance {instance.id!r} is {'open to the internet' if instance.public else 'not encrypted'}",
            hint="close it with ModifyDBInstance"
            if instance.public
            else "restore it from a snapshot that was copied with a key; without one there are no copies in the DR region",
        )
    if instance.status not in USABLE:
        raise Unavailable(
            f"instance {instance.id!r} is {instance.status}", hint="look again when RDS is done with it"
        )
    return f"{instance.id}: {instance.instance_class}, PostgreSQL {instance.engine_version}, encrypted"


def _key(patient: Patient) -> str:
    instance = _instance(patient)
    if instance.kms_key is None:
        raise NotRunnable(f"instance {instance.id!r} has no key", hint="see the answer about production")
    key = patient.cell.keys.describe(instance.kms_key)
    if key.state != "Enabled" or not key.customer_managed:
        raise NotRunnable(
            f"key {key.arn!r} of {instance.id!r} is {key.state},"
            f" managed by {'its owner' if key.customer_managed else 'AWS'}",
            hint="production must be encrypted with an enabled key of the account's own; alias/aws/rds cannot be copied from",
        )
    return f"{key.arn}: enabled, the account's own"


def _window(patient: Patient) -> str:
    instance, wanted = _instance(patient), patient.cell.plan.points.pitr
    if instance.retention_days < wanted.days:
        raise NotRunnable(
            f"{instance.id!r} keeps automated backups for {instance.retention_days} days, the plan wants {wanted.days}",
            hint="raise its backup retention; from 0 that restarts the instance",
        )
    window = patient.cell.rds.window(instance.id)
    if window is None:
        raise NotRunnable(
            f"{instance.id!r} has no automated backup yet",
            hint="wait for the first one, in its backup window",
        )
    earliest, latest = window
    lag = patient.clock.at() - latest
    if lag > WINDOW_LAG:
        raise NotRunnable(
            f"the PITR window of {instance.id!r} ends {duration(lag.total_seconds())} ago",
            hint="see the events of RDS; without its log nothing after that moment can be recovered",
        )
    return f"{earliest:%Y-%m-%d %H:%M} to {latest:%Y-%m-%d %H:%M} UTC"


def _version(patient: Patient) -> str:
    """The version that has to be restored here: that of the instance, or of what was copied."""
    cell, source = patient.cell, patient.database.instance
    instance = cell.rds.instance(source)
    usable = [snapshot for snapshot in cell.snapshots.of(source) if snapshot.usable]
    if instance is None and not usable:
        raise Unavailable(
            f"neither {source!r} nor a copy of it is in {cell.place.region}, so its version is not known here",
            hint="ask again when the first point has been copied",
        )
    version = instance.engine_version if instance else usable[-1].engine_version
    offered = cell.rds.engine_status(version)
    if offered != "available":
        raise NotRunnable(
            f"PostgreSQL {version} is {offered or 'not there'} in {cell.place.region}",
            hint="upgrade production to a minor version that both regions offer",
        )
    major = version.partition(".")[0]
    for place in (cell.place.place, cell.place.recovery):
        family = patient.around.family(place.parameter_group) if place else None
        if place and family and family != f"postgres{major}":
            raise NotRunnable(
                f"PostgreSQL {version} does not start with parameter group {place.parameter_group!r} of {family}",
                hint=f"name a DB parameter group of postgres{major} in the plan; groups are not copied between regions",
            )
    return f"PostgreSQL {version} is offered"


def _secret(patient: Patient) -> str:
    name = patient.database.secret
    return f"{name}: user {patient.cell.secret(name).username}"


def _master_secret(patient: Patient) -> str:
    name = patient.database.master_secret
    if name is None:
        raise NotRunnable(
            f"the plan names no secret for the master user of {patient.database.name!r}, so nothing can be recovered",
            hint="set master_secret of the database to an existing entry, replicated to the DR region",
        )
    return f"{name}: user {patient.cell.secret(name).username}"


def _login(patient: Patient) -> str:
    server = patient.cell.production(patient.database, patient.clock)
    try:
        with server.session("postgres") as session:
            row = session.execute(
                "SELECT version, cipher FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()"
            ).fetchone()
    except Unavailable as error:
        if any(sign in error.message for sign in _LASTING):
            raise NotRunnable(error.message, hint=error.hint) from error
        raise
    trusted = os.environ.get("PGSSLROOTCERT", "libpq's own file")
    return f"as {server.address.user} over {row[0] if row else 'TLS'}, verified by {trusted}"


def _ledger(patient: Patient) -> str:
    database, now = patient.database, patient.clock.at()
    if database.ledger == "off":
        return "off by the plan: RPO is bounded by the points' own times"
    beats = ledger.witness(patient.cell.store, database.name, now - timedelta(days=1))
    if not beats:
        raise NotRunnable(
            f"nobody has beaten the ledger of {database.name!r} for a day",
            hint="install it with: pgdrill ledger install; then: pgdrill ledger run",
        )
    ago = now - beats[-1].beat_at
    if ago > SILENT:
        raise NotRunnable(
            f"the ledger of {database.name!r} last beat {duration(ago.total_seconds())} ago",
            hint="see why it stopped with: pgdrill ledger status; beat it with: pgdrill ledger run",
        )
    return f"beat {beats[-1].sequence}, {duration(max(0.0, ago.total_seconds()))} ago"


# In both regions, then where production is.
QUESTIONS: dict[str, Question] = {"version": _version, "master secret": _master_secret, "ledger": _ledger}
OF_PRODUCTION: dict[str, Question] = {
    "production": _production,
    "production's key": _key,
    "PITR window": _window,
    "secret": _secret,
    "login": _login,
}
