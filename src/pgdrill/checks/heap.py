"""heap: the pages of every table, and every value stored out of line, are sound.

Why:    a page can pass its checksum and still hold tuples that contradict the commit log or lack their TOAST
        chunks: a lost write, a missing commit-log segment, a bug of a past release.
Reads:  amcheck's `verify_heapam` with TOAST over every page, frozen ones too, of tables, materialized views,
        TOAST and system catalogs. Where amcheck is refused, a full read under checksums stands in for it.
Limits: a page of zeros and a file cut short are sound to amcheck; `rows` finds them by comparing.
Source: PostgreSQL documentation, F.1 amcheck.
"""

from pgdrill.checks.bracket import named
from pgdrill.checks.check import Case, Check
from pgdrill.checks.sweep import SweepFact, Swept, sweep
from pgdrill.content.fingerprint import CATALOG
from pgdrill.model import Damage, Judgement, Verdict

LISTED = 20


def judge(fact: SweepFact, _case: Case) -> Judgement:
    """Judge what amcheck found, or what a full read under checksums stumbled over."""
    heaps = [
        (database, name, heap) for database, one in fact.databases.items() for name, heap in one.heaps.items()
    ]
    damage = [
        Damage(database=database, object=CATALOG, what=str(one.unread))
        for database, one in fact.databases.items()
        if one.unread and one.unread.damage
    ]
    damage += [
        Damage(database=database, object=name, what=_what(heap))
        for database, name, heap in heaps
        if _broken(heap)
    ]
    unproved = [
        Damage(database=database, object=name, what=str(why))
        for database, name, heap in heaps
        if (why := heap.unverified or (None if heap.verified else heap.unread))
    ]
    refused = [database for database, one in fact.databases.items() if not one.amcheck]

    verdict, hint = Verdict.PASSED, ""
    if damage:
        verdict = Verdict.FAILED
        reason = named(damage)
        hint = "restore an older recovery point and drill it; then look for the damage in production with pg_amcheck"
    elif unproved:
        verdict = Verdict.INCONCLUSIVE
        reason = f"not verified: {named(unproved)}"
        hint = (
            "see that the master user may execute verify_heapam, and read the tables where amcheck is refused"
        )
    elif not fact.complete:
        verdict = Verdict.INCONCLUSIVE
        reason = "the time ended before every relation was verified"
        hint = "give the examination more time"
    elif refused and not fact.checksums:
        verdict = Verdict.INCONCLUSIVE
        reason = f"amcheck is refused in {', '.join(refused)}, and the pages carry no checksums"
        hint = "grant EXECUTE on amcheck's functions, or enable data checksums in production"
    elif refused:
        reason = f"every table was read whole under checksums; amcheck is refused in {', '.join(refused)}"
    else:
        reason = "amcheck found every relation sound"
    return Judgement(
        verdict=verdict,
        reason=reason,
        hint=hint,
        coverage=_coverage([heap for _, _, heap in heaps], checksums=fact.checksums),
        damage=tuple((damage or unproved)[:LISTED]),
        damaged=len(damage),
    )


def _broken(heap: Swept) -> bool:
    return bool(heap.corrupt or (heap.unread and heap.unread.damage))


def _what(heap: Swept) -> str:
    more = f" and {heap.corrupt - 1} more findings" if heap.corrupt > 1 else ""
    return f"{heap.messages[0]}{more}" if heap.messages else str(heap.unread)


def _coverage(heaps: list[Swept], *, checksums: bool) -> str:
    # A foreign table has no pages here.
    heaps = [heap for heap in heaps if heap.verified or heap.digest or heap.pending or heap.unverified]
    verified = [heap for heap in heaps if heap.verified and not heap.pending and not heap.unverified]
    read = [
        heap for heap in heaps if not heap.verified and heap.digest and not heap.pending and not heap.unread
    ]
    parts = [
        f"amcheck of {len(verified)} of {len(heaps)} relations, {sum(heap.pages for heap in verified):,} pages"
    ]
    if read:
        how = "full read under checksums" if checksums else "full read"
        parts.append(f"{how} of {len(read)} tables, system catalogs left out")
    return "; ".join(parts)


CHECK = Check("heap", sweep, judge, SweepFact)
