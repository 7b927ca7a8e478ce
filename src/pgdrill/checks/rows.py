"""rows: every table can be read whole, and holds what another restore of the same point holds.

Why:    a restore can succeed with a page zeroed, a file cut short or a table emptied; checksums pass a page
        of zeros, and only reading every row and comparing shows what is missing.
Reads:  every page of every table, TOAST included, inside the server: a count and a digest leave it, no row.
Limits: a table without a reference is a `baseline`: read, but compared with nothing. Unlogged tables are
        known to be empty after a restore, foreign tables would act on another server: neither is read.
        The digests are 64-bit hashes, made against accidents, not against an adversary.
Source: PostgreSQL documentation, 73.6 Database Page Layout; ALTER TABLE, FORCE ROW LEVEL SECURITY.
"""

from pgdrill.checks.bracket import counted, named
from pgdrill.checks.check import Case, Check
from pgdrill.checks.sweep import SweepFact, sweep
from pgdrill.content.fingerprint import Fingerprint, differences
from pgdrill.model import Damage, Judgement, Verdict

LISTED = 20
OTHER = "the other restore"


def judge(fact: SweepFact, case: Case) -> Judgement:
    """Judge *read*, then *compared*."""
    here = fact.fingerprint()
    reference = _reference(fact, case)
    refused = [
        (why, Damage(database=database, object=table, what=str(why)))
        for database, one in here.databases.items()
        for table, why in one.unread.items()
    ]
    damage = [one for why, one in refused if why.damage]
    different = differences(here, reference, ("this copy", OTHER)) if fact.complete and reference else []
    damage += [Damage(database=one.database, object=one.table, what=one.what) for one in different]
    compared = _common(here, reference) if reference else 0
    whole = sum(len(one.tables) for one in here.databases.values())

    verdict, hint = Verdict.PASSED, ""
    if damage:
        verdict = Verdict.FAILED
        reason = named(damage)
        hint = "restore an older recovery point and drill it; keep this instance's snapshot for inspection"
    elif refused:
        verdict = Verdict.INCONCLUSIVE
        reason = f"not read whole: {named([one for _, one in refused])}"
        hint = "see that the master user may read them: pg_read_all_data, and the owner's role under row security"
    elif not fact.complete:
        verdict = Verdict.INCONCLUSIVE
        reason = "the time ended before every table was read"
        hint = "give the examination more time"
    elif case.checks.rows.compared == "required" and compared < whole:
        verdict = Verdict.INCONCLUSIVE
        reason = f"nothing to compare {counted(whole - compared, 'table')} with"
        hint = "drill the same point a second time, or set checks.rows.compared to when_available"
    else:
        equal = f", {compared:,} equal to {OTHER}'s" if compared else ""
        reason = f"{counted(whole, 'table')} read whole{equal}"
    return Judgement(
        verdict=verdict,
        reason=reason,
        hint=hint,
        coverage=_coverage(fact, here, compared, first=reference is None),
        damage=tuple((damage or [one for _, one in refused])[:LISTED]),
        damaged=len(damage),
    )


def _reference(fact: SweepFact, case: Case) -> Fingerprint | None:
    """Return what another restore of the point holds, where it was read whole and in the same way."""
    other = case.reference("sweep", SweepFact)
    if other is None or not other.complete:
        return None
    alike = (other.exact, other.algorithm) == (fact.exact, fact.algorithm)
    return other.fingerprint() if alike else None


def _common(here: Fingerprint, reference: Fingerprint) -> int:
    return sum(
        len(one.tables.keys() & reference.databases[name].tables.keys())
        for name, one in here.databases.items()
        if name in reference.databases
    )


def _coverage(fact: SweepFact, here: Fingerprint, compared: int, *, first: bool) -> str:
    whole = [table for one in here.databases.values() for table in one.tables.values()]
    user = [heap for one in fact.databases.values() for heap in one.heaps.values() if heap.user]
    skipped = sorted({heap.skipped.split(":")[0] for heap in user if heap.skipped})
    count = sum(bool(heap.skipped) for heap in user)
    return (
        f"read {len(whole)} of {len(user) - count} tables, {sum(table.rows for table in whole):,} rows,"
        f" {sum(table.bytes for table in whole) / 1e6:,.1f} MB; compared {compared} of {len(whole)}"
        + (": first drill of this point" if first else "")
        + (f"; {count} hold no rows of the backup ({', '.join(skipped)})" if count else "")
    )


CHECK = Check("rows", sweep, judge, SweepFact)
