"""extensions: every extension is there in production's version, and its library loads.

Why:    an engine without an extension's library restores without an error; the first query that needs it fails.
Reads:  pg_extension and pg_available_extensions of every database; for each library of an extension, one call of
        PostgreSQL's own validator, which loads it and looks a function up in it without calling the function.
Limits: one function a library is looked up. Libraries are not loaded in production, so seals hold versions alone.
        The extension amcheck, which an examination may make, is left out.
Source: PostgreSQL source, fmgr_c_validator; documentation, pg_available_extensions (read from control files).
"""

import psycopg

from pgdrill.checks import bracket
from pgdrill.checks.check import Case, Check
from pgdrill.database import Connection, Server
from pgdrill.model import Fact, Judgement, Model

_EXTENSIONS = """
SELECT quote_ident(e.extname), e.extversion, a.default_version,
    ARRAY(SELECT min(p.oid) FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.objid
          JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'c'
          WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
              AND d.classid = 'pg_proc'::regclass AND has_function_privilege(p.oid, 'EXECUTE')
          GROUP BY p.probin)
FROM pg_catalog.pg_extension e
LEFT JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname
WHERE e.extname <> 'amcheck' ORDER BY e.extname
"""


class Extension(Model):
    """`available` is the version that the engine would install, None where it knows none.

    `refused` is the SQLSTATE with which a library did not load; `tried` counts the libraries.
    """

    version: str
    available: str | None
    tried: int = 0
    refused: str | None = None


class ExtensionsFact(Fact):
    databases: dict[str, dict[str, Extension]]

    def versions(self, database: str) -> dict[str, str]:
        return {name: one.version for name, one in self.databases.get(database, {}).items()}


def measure(server: Server, case: Case) -> ExtensionsFact:
    databases = {}
    for database in server.databases():
        with server.session(database) as session:
            databases[database] = {
                name: _extension(session, version, available, [] if case.sealing else functions)
                for name, version, available, functions in session.execute(_EXTENSIONS).fetchall()
            }
    return ExtensionsFact(databases=databases)


def _extension(session: Connection, version: str, available: str | None, functions: list[int]) -> Extension:
    refused = None
    for function in functions:
        try:
            session.execute("SELECT pg_catalog.fmgr_c_validator(%s)", (function,))
        except (
            psycopg.errors.UndefinedFile,
            psycopg.errors.UndefinedFunction,
            psycopg.InternalError,
        ) as error:
            refused = error.sqlstate
    return Extension(version=version, available=available, tried=len(functions), refused=refused)


def judge(fact: ExtensionsFact, case: Case) -> Judgement:
    sealed = case.bracket("extensions", ExtensionsFact)
    known = sealed.before is not None or sealed.after is not None
    found: list[bracket.Difference] = []
    for database, extensions in sorted(fact.databases.items()):
        for name, one in extensions.items():
            if one.available is None:
                what = "is not known to this engine"
            elif one.refused is not None:
                what = f"has a library that does not load ({one.refused})"
            else:
                continue
            found.append(bracket.Difference(database, name, what, open=False))
        found += bracket.differences(
            database,
            fact.versions(database),
            sealed.before.versions(database) if sealed.before else None,
            sealed.after.versions(database) if sealed.after else None,
            case,
        )
    count = sum(len(extensions) for extensions in fact.databases.values())
    tried = sum(one.tried for extensions in fact.databases.values() for one in extensions.values())
    coverage = f"{bracket.counted(count, 'extension')} in {bracket.counted(len(fact.databases), 'database')}, libraries loaded: {tried}"
    if not found and not known and case.point is not None:
        return bracket.NO_SEAL
    if not known:
        coverage += "; versions not compared, no seal"
    return bracket.judged(
        found,
        "extension",
        hint="compare with the extensions that the engine version of the restored instance supports",
        coverage=coverage,
    )


CHECK = Check("extensions", measure, judge, ExtensionsFact, sealed=True)
