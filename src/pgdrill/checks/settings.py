"""settings: the server is what production was: version, checksums, and every database's encoding and collation.

Why:    a restore can come up on another major version, without checksums or in another locale; each of them makes
        other answers out of the same rows.
Reads:  one query for the server, one for its databases, one for the parameters that change how statements behave.
Limits: a drill has a parameter group of its own, so parameters that differ are told, not failed. Settings of
        databases and roles are data of the copy and belong to `catalog`; sizes, paths and logging are not compared.
Source: RDS API reference, RestoreDBInstanceFromDBSnapshot (a deprecated version may be upgraded on the way);
        PostgreSQL documentation, pg_settings.category.
"""

from pgdrill.checks import bracket
from pgdrill.checks.check import Bracket, Case, Check
from pgdrill.database import Server
from pgdrill.model import Fact, Judgement, Verdict

_SERVER = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
    current_setting('data_checksums') = 'on', pg_catalog.pg_is_in_recovery()
"""

_DATABASES = """
SELECT quote_ident(d.datname), concat_ws(' ', pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
    d.datlocprovider, coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale'))
FROM pg_catalog.pg_database d WHERE d.datname NOT IN ('rdsadmin', 'template0', 'template1')
"""

# What a session or role sets for itself is not the server's; secrets and host names are in other categories.
_PARAMETERS = """
SELECT name, setting FROM pg_catalog.pg_settings
WHERE source IN ('configuration file', 'command line', 'global') AND (
    category LIKE 'Client Connection Defaults / %' AND category NOT LIKE '%Preloading'
    OR category LIKE 'Version and Platform Compatibility / %')
"""


class SettingsFact(Fact):
    """`databases` maps a name to its encoding and locale, `parameters` those set to their values."""

    version_num: int
    version: str
    checksums: bool
    in_recovery: bool
    databases: dict[str, str]
    parameters: dict[str, str]

    @property
    def major(self) -> int:
        return self.version_num // 10000


def measure(server: Server, _case: Case) -> SettingsFact:
    with server.session(server.address.dbname) as session:
        row = session.execute(_SERVER).fetchone()
        if row is None:
            raise TypeError("a query without FROM returns one row")
        return SettingsFact(
            version_num=row[0],
            version=row[1].split(" ")[0],
            checksums=row[2],
            in_recovery=row[3],
            databases=dict(session.execute(_DATABASES).fetchall()),
            parameters=dict(session.execute(_PARAMETERS).fetchall()),
        )


def judge(fact: SettingsFact, case: Case) -> Judgement:
    sealed = case.bracket("settings", SettingsFact)
    if wrong := _wrong(fact, sealed):
        return wrong
    if sealed.before is None and sealed.after is None:
        if case.point is not None:
            return bracket.NO_SEAL
        return Judgement(
            verdict=Verdict.PASSED,
            reason=f"PostgreSQL {fact.version}, checksums on, not in recovery",
            coverage="by itself; no seal to compare with",
        )
    found = [
        one
        for one in bracket.differences(
            "*",
            fact.databases,
            sealed.before.databases if sealed.before else None,
            sealed.after.databases if sealed.after else None,
            case,
        )
        # Which databases there are is the catalog's matter.
        if one.what == bracket.DIFFERENT
    ]
    if found:
        return bracket.judged(
            found,
            "encoding or collation of database",
            hint="text sorts and compares otherwise than in production; restore to an engine with the same locales",
            coverage=f"{bracket.counted(len(fact.databases), 'database')}, {bracket.against(sealed)}",
        )
    return Judgement(
        verdict=Verdict.PASSED,
        reason=f"PostgreSQL {fact.version}, checksums on, locales as in production" + _told(fact, sealed),
        coverage=f"{bracket.counted(len(fact.databases), 'database')}, {bracket.against(sealed)}",
    )


def _wrong(fact: SettingsFact, sealed: Bracket[SettingsFact]) -> Judgement | None:
    """Return what is wrong with the server itself, and what no upgrade between point and seal explains."""
    seals = [seal for seal in (sealed.before, sealed.after) if seal is not None]
    majors = sorted({seal.major for seal in seals})
    if fact.in_recovery:
        return _not_so(Verdict.FAILED, "the server is in recovery", "see in its log what recovery waits for")
    if seals and fact.major not in majors:
        return _not_so(
            Verdict.FAILED,
            f"PostgreSQL {fact.major} was restored, production ran {' or '.join(map(str, majors))}",
            "restore to the engine version of the recovery point; a major upgrade is no part of a restore",
        )
    if seals and not fact.checksums and all(seal.checksums for seal in seals):
        return _not_so(
            Verdict.FAILED,
            "data checksums are off, and were on in production",
            "the copy is no physical restore of this production; see how it was made",
        )
    if not fact.checksums:
        return _not_so(
            Verdict.INCONCLUSIVE,
            "data checksums are off, so damage on disk passes unseen",
            "turn them on in production: pg_checksums --enable, on a stopped server",
        )
    return None


def _told(fact: SettingsFact, sealed: Bracket[SettingsFact]) -> str:
    """Say what differs without being wrong: the minor version, and parameters of the drill's own group."""
    seals = [seal for seal in (sealed.before, sealed.after) if seal is not None]
    told = ""
    if fact.version_num not in {seal.version_num for seal in seals}:
        told += f"; minor version {fact.version}, was {seals[-1].version}"
    names = {*fact.parameters, *(name for seal in seals for name in seal.parameters)}
    differing = sorted(
        name
        for name in names
        if fact.parameters.get(name) not in {seal.parameters.get(name) for seal in seals}
    )
    if differing:
        shown = ", ".join(differing[: bracket.SHOWN])
        told += f"; parameters of its own: {shown}"
    return told


def _not_so(verdict: Verdict, reason: str, hint: str) -> Judgement:
    return Judgement(verdict=verdict, reason=reason, hint=hint)


CHECK = Check("settings", measure, judge, SettingsFact, sealed=True)
