"""catalog: every object is defined, owned, commented and protected as it was in production.

Why:    rows can all be there while a policy, a privilege, a constraint or a trigger is not; nobody notices until
        the copy is in use.
Reads:  the catalogs of every database, once, one short statement for each kind: a digest of every object's
        definition (databases, roles, memberships, settings, schemas, relations, columns, constraints, indexes,
        sequences, views, rules, triggers, policies, functions, types, casts, operators, text search, extensions,
        foreign servers, publications, subscriptions, privileges, comments, labels). No table.
Limits: passwords, and the values of options that may hold one, are not compared. What belongs to an extension is
        its version's matter, apart from changed privileges. The extension amcheck, which an examination may make,
        is left out. A definition that changes and changes back between two seals is not noticed; one that is
        neither as before nor as after is open if production was changing it.
Source: PostgreSQL documentation, System Catalogs; src/backend/utils/adt/ruleutils.c for what prints definitions.
"""

from typing import LiteralString

import psycopg
from psycopg import sql
from pydantic import Field

from pgdrill.checks import bracket, catalog_sql
from pgdrill.checks.check import Case, Check
from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection, Server, settled
from pgdrill.model import Damage, Fact, Judgement, Verdict

SERVER = "*"
# Kinds of what has columns and more of its own: where one is missing it is told before its parts, whose names sort before it.
_WHOLE = (
    "table ",
    "unlogged table ",
    "partition ",
    "partitioned table ",
    "foreign table ",
    "view ",
    "materialized view ",
    "schema ",
)


class CatalogFact(Fact):
    """By database, and for the whole server under `*`: `kind identity` -> 16 hexadecimal digits of SHA-256.

    `role` measured it: what an examination grants to that role is not production's. `unread` says, by database,
    which damage kept a catalog from being read.
    """

    role: str
    objects: dict[str, dict[str, str]]
    unread: dict[str, Unread] = Field(default_factory=dict)


def measure(server: Server, case: Case) -> CatalogFact:
    objects: dict[str, dict[str, str]] = {}
    refused: dict[str, Unread] = {}
    for name in (SERVER, *server.databases()):
        server.progress(f"catalog of {'the server' if name == SERVER else name}")
        with server.session(server.address.dbname if name == SERVER else name) as session:
            try:
                if not case.sealing:
                    # A definition is printed under a share lock on what it names; DDL is not waited for for long.
                    session.execute("SET lock_timeout = '5s'")
                objects[name] = _digests(
                    session, (catalog_sql.SHARED,) if name == SERVER else catalog_sql.KINDS
                )
            except psycopg.Error as error:
                why = unread(error, session)
                if case.sealing or not why.damage:
                    raise
                refused[name] = why
    return CatalogFact(role=server.address.user, objects=objects, unread=refused)


def _digests(session: Connection, kinds: tuple[LiteralString, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in kinds:
        query = sql.SQL(catalog_sql.COMMON) + sql.SQL(kind) + sql.SQL(catalog_sql.DIGEST)
        found.update(settled(session, query))
    return found


def judge(fact: CatalogFact, case: Case) -> Judgement:
    if fact.unread:
        database, why = next(iter(fact.unread.items()))
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"the catalog of {database} cannot be read: {why}",
            hint="the copy is damaged where PostgreSQL describes itself; do not recover from it, drill another point",
            coverage=f"{bracket.counted(len(fact.objects), 'catalog')} read",
            damage=tuple(
                Damage(database=name, object="catalog", what=str(why)) for name, why in fact.unread.items()
            ),
            damaged=len(fact.unread),
        )
    sealed = case.bracket("catalog", CatalogFact)
    if sealed.before is None and sealed.after is None:
        return bracket.NO_SEAL
    seals = [seal.objects if seal else {} for seal in (sealed.before, sealed.after)]
    found: list[bracket.Difference] = []
    for database, objects in sorted(fact.objects.items()):
        around = [seal.get(database) for seal in seals]
        # A database that is new or gone is one difference of the server, not one for each of its objects.
        found += bracket.differences(database, objects, around[0], around[1], case)
    found.sort(key=lambda one: not (one.what == bracket.MISSING and one.name.startswith(_WHOLE)))
    count = sum(len(objects) for objects in fact.objects.values())
    return bracket.judged(
        [one for one in found if not _own(one, fact.role)],
        "object",
        hint="was it changed by hand in the copy? else the backup is of another moment or incomplete: drill another point",
        coverage=f"{bracket.counted(count, 'object')} in {bracket.counted(len(fact.objects) - 1, 'database')},"
        f" {bracket.against(sealed)}",
    )


def _own(one: bracket.Difference, role: str) -> bool:
    """Whether an examination granted itself what it needed to read; production's own grants must be there."""
    return one.name.startswith(f"membership {role} in ") and one.what == bracket.NEW


CHECK = Check("catalog", measure, judge, CatalogFact, sealed=True, needs_seal=True)
