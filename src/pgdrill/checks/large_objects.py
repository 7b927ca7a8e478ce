"""large_objects: every large object can be read whole, and holds what another restore of the same point holds.

Why:    large objects lie in one system catalog beside the tables, where no table's fingerprint sees them.
Reads:  each object through `lo_get`, a piece at a time, inside the server: a count, a length and a digest leave
        it, no content. The catalog itself may only be read by a superuser, so objects of other owners are
        read with their owners' roles, on a leased copy.
Limits: pages of objects that no longer exist are only seen by a superuser.
Source: PostgreSQL documentation, 35.4 Server-side Functions of large objects; 53.29 pg_largeobject.
"""

import psycopg
from pydantic import Field

from pgdrill.checks.access import readable
from pgdrill.checks.bracket import counted, named
from pgdrill.checks.check import Case, Check
from pgdrill.checks.parallel import MARGIN
from pgdrill.content.fingerprint import CATALOG, Digest, as_digest
from pgdrill.content.unread import Unread, unread
from pgdrill.database import Connection, Server
from pgdrill.model import Damage, Fact, Judgement, Model, Verdict

LISTED = 20
BATCH = 500
# Bytes of an object that are held in memory at once; objects may be up to 4 TB long.
PIECE = 8 << 20

# One row a piece; an empty object has one piece, so that it is counted. A descriptor ends with the statement.
_READ = """
SELECT count(*) FILTER (WHERE at = 0),
       coalesce(sum(hashint8extended(
           hashoidextended(loid, 1) # hashint8extended(at, 2)
           # hash_record_extended(row(lo_get(loid, at, %(piece)s)), 3), 0)), 0),
       coalesce(sum(size) FILTER (WHERE at = 0), 0)
FROM unnest(%(objects)s::oid[]) AS loid,
     LATERAL (SELECT lo_lseek64(lo_open(loid, 262144), 0, 2) AS size OFFSET 0) AS length,
     LATERAL generate_series(0, greatest(size - 1, 0), %(piece)s) AS at
"""


class Objects(Model):
    """`last` is the highest object that was read; the next step goes on above it."""

    digest: Digest = Digest()
    bytes: int = 0
    last: int = 0
    done: bool = False
    unread: dict[str, Unread] = Field(default_factory=dict)


class LargeObjectFact(Fact):
    databases: dict[str, Objects] = Field(default_factory=dict)


def measure(server: Server, case: Case) -> LargeObjectFact:
    earlier = case.resumed(LargeObjectFact)
    names = server.databases()
    done = dict(earlier.databases) if earlier else {}
    for name in names:
        known = done.get(name, Objects())
        if known.done or server.clock.remaining() < 2 * MARGIN:
            continue
        with readable(server, name) as session:
            try:
                done[name] = _read(server, session, name, known)
            except psycopg.Error as error:
                refused = known.unread | {CATALOG: unread(error, session)}
                done[name] = known.model_copy(update={"unread": refused, "done": True})
    return LargeObjectFact(complete=all(name in done and done[name].done for name in names), databases=done)


def _read(server: Server, session: Connection, name: str, known: Objects) -> Objects:
    """Read on above the last object, until all are read or the time is over."""
    first = known.last
    while server.clock.remaining() > MARGIN:
        objects = [
            row[0]
            for row in session.execute(
                "SELECT oid::bigint FROM pg_largeobject_metadata WHERE oid > %s::oid ORDER BY oid LIMIT %s",
                (str(known.last), BATCH),
            )
        ]
        if not objects:
            return known.model_copy(update={"done": True})
        server.progress(f"{name}: large object {objects[0]}, {known.digest.rows:,} read")
        after = _read_batch(session, known, objects)
        if any(why.canceled for why in after.unread.values()) and known.last > first:
            # The step is over; the next one begins with this batch, and what it cannot do is given up.
            return known
        known = after.model_copy(update={"last": objects[-1]})
    return known


def _read_batch(session: Connection, known: Objects, objects: list[int]) -> Objects:
    """Add a batch; where it fails, one by one, so that one bad object does not hide the others."""
    try:
        row = session.execute(_READ, {"objects": objects, "piece": PIECE}).fetchall()[0]
    except psycopg.Error as error:
        if len(objects) > 1:
            for one in objects:
                known = _read_batch(session, known, [one])
            return known
        return known.model_copy(update={"unread": known.unread | {str(objects[0]): unread(error, session)}})
    return known.model_copy(
        update={"digest": known.digest + as_digest(row[:2]), "bytes": known.bytes + int(row[2])}
    )


def judge(fact: LargeObjectFact, case: Case) -> Judgement:
    reference = case.reference("large_objects", LargeObjectFact)
    refused = [
        (why, Damage(database=database, object=f"large object {name}", what=str(why)))
        for database, one in fact.databases.items()
        for name, why in one.unread.items()
    ]
    damage = [one for why, one in refused if why.damage]
    compared = bool(reference and reference.complete)
    if fact.complete and reference and compared:
        for database, one in fact.databases.items():
            other = reference.databases.get(database, Objects())
            if one.digest != other.digest and not one.unread and not other.unread:
                what = f"{counted(one.digest.rows, 'object')}, {other.digest.rows:,} in the other restore"
                if one.digest.rows == other.digest.rows:
                    what = "different content than in the other restore"
                damage.append(Damage(database=database, object="large objects", what=what))
    count = sum(one.digest.rows for one in fact.databases.values())
    size = sum(one.bytes for one in fact.databases.values())

    verdict, hint = Verdict.PASSED, ""
    if damage:
        verdict = Verdict.FAILED
        reason = named(damage)
        hint = "restore an older recovery point and drill it; keep this one for inspection"
    elif refused:
        verdict = Verdict.INCONCLUSIVE
        reason = f"not read whole: {named([one for _, one in refused])}"
        hint = "see that the master user may read them; they open to their owner's role and by GRANT SELECT ON LARGE OBJECT"
    elif not fact.complete:
        verdict = Verdict.INCONCLUSIVE
        reason = "the time ended before every large object was read"
        hint = "give the examination more time"
    else:
        reason = f"{counted(count, 'large object')} read whole" if count else "no large objects"
    return Judgement(
        verdict=verdict,
        reason=reason,
        hint=hint,
        coverage=f"read {count:,} of {count + len(refused):,}, {size / 1e6:,.1f} MB; "
        + (
            "compared with the other restore"
            if compared
            else "compared with nothing: first drill of this point"
        ),
        damage=tuple((damage or [one for _, one in refused])[:LISTED]),
        damaged=len(damage),
    )


CHECK = Check("large_objects", measure, judge, LargeObjectFact)
