"""side_effects: nothing in the copy acts on the outside by itself.

Why:    a restored copy is a second production: its cron jobs send the mails again, its subscriptions take the
        changes that the real subscriber waits for.
Reads:  pg_cron's jobs, subscriptions, event triggers on login, preloaded background workers; and, to tell of them,
        what acts only when it is called: foreign servers, publications, other event triggers, extensions that reach
        out.
Limits: application code that calls out, in functions or in triggers, is not searched. What may not be read counts
        as acting. A drill's network without a way out remains the first guard; this check is the second.
Source: pg_cron (cron.job.active; runs only when preloaded); PostgreSQL documentation, CREATE SUBSCRIPTION, CREATE
        EVENT TRIGGER (`login`, 17 and later), shared_preload_libraries (read by members of pg_read_all_settings).
"""

import psycopg

from pgdrill.checks import access
from pgdrill.checks.bracket import SHOWN, counted
from pgdrill.checks.check import Case, Check
from pgdrill.database import Connection, Server
from pgdrill.model import Damage, Fact, Judgement, Model, Verdict

# Libraries with a worker that begins to act when the server starts.
_WORKERS = ("pg_cron", "pg_net", "pg_partman_bgw", "pglogical", "pgactive", "pg_background", "timescaledb")

# Each returns what is there: kind, name, whether it acts by itself.
_EFFECTS = """
SELECT 'subscription', quote_ident(s.subname), s.subenabled FROM pg_catalog.pg_subscription s
    WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
UNION ALL
SELECT 'event trigger', quote_ident(e.evtname), e.evtevent = 'login' AND e.evtenabled <> 'D'
    FROM pg_catalog.pg_event_trigger e
UNION ALL
SELECT 'foreign server', quote_ident(s.srvname), false FROM pg_catalog.pg_foreign_server s
UNION ALL
SELECT 'publication', quote_ident(p.pubname), false FROM pg_catalog.pg_publication p
UNION ALL
SELECT 'extension', quote_ident(e.extname), false FROM pg_catalog.pg_extension e WHERE e.extname IN (
    'aws_commons', 'aws_lambda', 'aws_s3', 'aws_ml', 'dblink', 'http', 'oracle_fdw', 'mysql_fdw', 'tds_fdw',
    'log_fdw', 'postgres_fdw', 'pg_net', 'pg_cron', 'pglogical', 'plperlu', 'plpython3u', 'pltclu')
ORDER BY 1, 2
"""

_CRON = "SELECT pg_catalog.to_regclass('cron.job') IS NOT NULL"
_JOBS = "SELECT count(*) FROM cron.job WHERE active"

_PRELOADED = """
SELECT setting FROM pg_catalog.pg_settings WHERE name = 'shared_preload_libraries'
"""


class Effect(Model):
    """`object` as the plan's `allowed_side_effects` names it: kind and name."""

    object: str
    acts: bool


class SideEffectsFact(Fact):
    """`jobs` counts active cron jobs by database, -1 where they may not be read; `preloaded` is None if hidden."""

    databases: dict[str, tuple[Effect, ...]]
    jobs: dict[str, int]
    preloaded: tuple[str, ...] | None


def measure(server: Server, _case: Case) -> SideEffectsFact:
    databases, jobs = {}, {}
    for database in server.databases():
        with access.readable(server, database) as session:
            databases[database] = tuple(
                Effect(object=f"{kind} {name}", acts=acts)
                for kind, name, acts in session.execute(_EFFECTS).fetchall()
            )
            if session.execute(_CRON).fetchone() == (True,):
                jobs[database] = _jobs(session)
    with server.session(server.address.dbname) as session:
        row = session.execute(_PRELOADED).fetchone()
    return SideEffectsFact(
        databases=databases,
        jobs=jobs,
        preloaded=tuple(name.strip() for name in row[0].split(",") if name.strip()) if row else None,
    )


def _jobs(session: Connection) -> int:
    """Count active jobs; row security hides those of other roles, which is an error here and not a zero."""
    try:
        row = session.execute(_JOBS).fetchone()
    except psycopg.Error:
        return -1
    return int(row[0]) if row else 0


def judge(fact: SideEffectsFact, case: Case) -> Judgement:
    allowed = {one.object for one in case.checks.allowed_side_effects}
    acting = [one for one in _acting(fact) if one.object not in allowed]
    resting = [one.object for effects in fact.databases.values() for one in effects if not one.acts]
    coverage = counted(len(fact.databases), "database")
    if resting:
        shown = ", ".join(resting[:SHOWN]) + (" ..." if len(resting) > SHOWN else "")
        coverage += f"; acts only if called: {shown}"
    if permitted := sorted(allowed & {one.object for one in _acting(fact)}):
        coverage += f"; allowed by the plan: {', '.join(permitted)}"
    if acting:
        first = acting[0]
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"{first.object} {first.what}" + (f", and {len(acting) - 1} more" if acting[1:] else ""),
            hint="take it out of the drill's parameter group, or disable it before the copy is used;"
            " checks.allowed_side_effects in the plan permits it, with a reason",
            coverage=coverage,
            damage=tuple(acting[:SHOWN]),
            damaged=len(acting),
        )
    if fact.preloaded is None and any(fact.jobs.values()):
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason="there are active cron jobs, and it may not be read whether pg_cron is preloaded",
            hint="grant pg_read_all_settings to the role that examines",
            coverage=coverage,
        )
    return Judgement(verdict=Verdict.PASSED, reason="nothing in the copy acts by itself", coverage=coverage)


def _acting(fact: SideEffectsFact) -> list[Damage]:
    preloaded = fact.preloaded or ()
    found = [
        Damage(database=database, object=one.object, what="acts by itself")
        for database, effects in sorted(fact.databases.items())
        for one in effects
        if one.acts
    ]
    if "pg_cron" in preloaded:
        found += [
            Damage(
                database=database,
                object="extension pg_cron",
                what=f"is preloaded and has {counted(jobs, 'active job')}"
                if jobs > 0
                else "is preloaded and hides its jobs",
            )
            for database, jobs in sorted(fact.jobs.items())
            if jobs
        ]
    found += [
        Damage(database="*", object=f"library {name}", what="is preloaded and has a worker of its own")
        for name in preloaded
        if name in _WORKERS and name != "pg_cron"
    ]
    return found


CHECK = Check("side_effects", measure, judge, SideEffectsFact)
