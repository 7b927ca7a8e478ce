"""ledger: the copy holds every heartbeat up to the recovery point, and none after it.

Why:    a restore can succeed and stop early, go too far, or be of another moment or database; each heartbeat that
        pgdrill wrote in production is known outside of it, so that the copy can be held against the truth.
Reads:  the rows of `pgdrill.ledger`, at most a week of one a minute: sequence, time and digests.
Limits: a beat that was down proves nothing for that time, and 15 minutes of silence at the point are inconclusive.
        Of a snapshot RDS tells the moment to about two minutes; seals around it are exact. Rows of other tables
        are proved only as far as they share the WAL and the storage of the ledger's.
Source: PostgreSQL documentation, recovery_target_time (compares the time of commit); RDS API reference,
        DBSnapshot.SnapshotDatabaseTime.
"""

from datetime import timedelta

from pgdrill import ledger
from pgdrill.checks import access
from pgdrill.checks.check import Bracket, Case, Check
from pgdrill.database import Server
from pgdrill.ledger import Break, LedgerFact, Row
from pgdrill.model import Beat, Damage, Judgement, PointKind, RecoveryPoint, Verdict

# How far from the promised moment a snapshot's data may lie.
SLACK = timedelta(minutes=2)
# Without a beat for longer than this, nobody knows what was written then.
SILENCE = timedelta(minutes=15)

_BROKEN = {
    Break.ALTERED: "was altered: its digest does not follow from its content",
    Break.HOLE: "has a hole before it",
    Break.ORDER: "is out of order",
    Break.LINK: "does not follow from the row before it",
}
_OTHER = (
    "see which snapshot RDS restored, and whether it was copied, renamed or replaced; drill another point"
)
_LOST = "writes are missing that were committed before the point; do not recover from it, drill another point"


def measure(server: Server, case: Case) -> LedgerFact:
    if ledger.DATABASE not in server.databases():
        return LedgerFact(present=False)
    with access.readable(server, ledger.DATABASE) as session:
        return ledger.read(session, newest=1 if case.sealing else None)


def judge(fact: LedgerFact, case: Case) -> Judgement:
    sealed = case.bracket("ledger", LedgerFact)
    beats = case.witness or ()
    if fact.head is None:
        return _absent(fact, sealed, beats, case.point)
    coverage = _coverage(fact, beats)
    if damage := _damage(fact, sealed, beats):
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"{damage[0].object} {damage[0].what}",
            hint=_OTHER,
            coverage=coverage,
            damage=damage[:20],
            damaged=len(damage),
        )
    if case.point is None:
        return Judgement(
            verdict=Verdict.PASSED,
            reason=f"an unbroken chain up to beat {fact.head.sequence}",
            coverage=f"{coverage}; the chain by itself, no recovery point to hold it against",
        )
    return _ends(fact.head, case.point, sealed, beats, coverage)


def _absent(
    fact: LedgerFact, sealed: Bracket[LedgerFact], beats: tuple[Beat, ...], point: RecoveryPoint | None
) -> Judgement:
    must = _must(point, beats) if point else None
    what = "no ledger in the copy" if not fact.present else "the ledger in the copy is empty"
    if must or (sealed.before and sealed.before.head):
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"{what}, although production had beaten before the point",
            hint=_LOST,
        )
    return Judgement(
        verdict=Verdict.INCONCLUSIVE,
        reason=f"{what}, and none is known from before the point",
        hint="install it in production and let it beat: pgdrill ledger install, pgdrill ledger run;"
        ' or set ledger = "off" for this database in the plan',
    )


def _damage(fact: LedgerFact, sealed: Bracket[LedgerFact], beats: tuple[Beat, ...]) -> tuple[Damage, ...]:
    """Return what is wrong with the chain itself, or between it and what is known outside."""
    broken = tuple(_at(sequence, _BROKEN[what]) for what, sequence in ledger.breaks(fact.rows))
    if broken:
        return broken
    known = {
        sequence: {beat.digest for beat in several} for sequence, several in ledger.by_sequence(beats).items()
    }
    for seal in (sealed.before, sealed.after):
        if seal and seal.head:
            known.setdefault(seal.head.sequence, set()).add(seal.head.digest)
    met = [row for row in fact.rows if row.sequence in known]
    strange = [row for row in met if row.digest not in known[row.sequence]]
    if not strange:
        return ()
    if len(strange) == len(met):
        return (
            Damage(
                database=ledger.DATABASE, object="the ledger", what="is another database's: no row is known"
            ),
        )
    return (_at(strange[0].sequence, "is where the copy leaves what production wrote"),)


def _ends(
    head: Row, point: RecoveryPoint, sealed: Bracket[LedgerFact], beats: tuple[Beat, ...], coverage: str
) -> Judgement:
    """Judge where the chain ends: not before the last beat that it must hold, not after the point."""
    must, slack = _must(point, beats), _slack(point)
    least = max(must.sequence if must else 0, _sequence(sealed.before))
    if head.sequence < least:
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"the copy ends with beat {head.sequence} of {_time(head)}; beat {least} was committed before the point",
            hint=_LOST,
            coverage=coverage,
            damage=(_at(least, "is missing"),),
            damaged=least - head.sequence,
        )
    if _beyond(head, point, sealed):
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"the copy goes beyond the point: beat {head.sequence} of {_time(head)} is there",
            hint=_OTHER,
            coverage=coverage,
            damage=(_at(head.sequence, "was written after the point"),),
            damaged=1,
        )
    if not beats and sealed.before is None and sealed.after is None:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"an unbroken chain up to beat {head.sequence}, and no witness of what it should be",
            hint="see that the beat reaches the evidence bucket: pgdrill ledger status",
            coverage=coverage,
        )
    silent = point.recovers_to - head.beat_at
    if silent > SILENCE + slack:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"nobody beat for {_seconds(silent)} before the point, so nothing shows what was written then",
            hint="see why the beat was down: pgdrill ledger status, and the logs of what runs it",
            coverage=coverage,
        )
    return Judgement(
        verdict=Verdict.PASSED,
        reason=f"an unbroken chain up to beat {head.sequence}, {_beside(head.beat_at - point.recovers_to)} the point",
        coverage=f"{coverage}; {_sides(head, point, beats)}",
    )


def _beyond(head: Row, point: RecoveryPoint, sealed: Bracket[LedgerFact]) -> bool:
    """Whether a row is there that was written later; a snapshot's own seal knows that better than its clock."""
    most = _sequence(sealed.after)
    if most and (head.sequence > most or point.kind is not PointKind.PITR):
        return head.sequence > most
    return head.beat_at >= point.recovers_to + _slack(point)


def _must(point: RecoveryPoint, beats: tuple[Beat, ...]) -> Beat | None:
    """Return the last beat that was surely committed before the point."""
    sure = [beat for beat in beats if beat.done_at <= point.recovers_to - _slack(point)]
    return max(sure, key=lambda beat: beat.done_at, default=None)


def _slack(point: RecoveryPoint) -> timedelta:
    return timedelta(0) if point.kind is PointKind.PITR else SLACK


def _sequence(seal: LedgerFact | None) -> int:
    return seal.head.sequence if seal and seal.head else 0


def _coverage(fact: LedgerFact, beats: tuple[Beat, ...]) -> str:
    known = {beat.digest for beat in beats}
    told = f"{len(fact.rows)} rows, {sum(row.digest in known for row in fact.rows)} of them witnessed"
    silences = ledger.silences(fact.rows, SILENCE)
    steps = ledger.clock_steps(fact.rows)
    told += f"; silences of the beat: {len(silences)}" if silences else ""
    return told + (f"; production's clock set back: {len(steps)}" if steps else "")


def _sides(head: Row, point: RecoveryPoint, beats: tuple[Beat, ...]) -> str:
    """Say what shows that the copy ends at the point and nowhere else."""
    there = f"beat {head.sequence}, {_beside(head.beat_at - point.recovers_to)} the point, is there"
    later = min(
        (beat for beat in beats if beat.beat_at > head.beat_at), key=lambda beat: beat.beat_at, default=None
    )
    if later is None:
        return f"{there}; no later one is known yet"
    return f"{there}, beat {later.sequence}, {_beside(later.beat_at - point.recovers_to)} it, is not"


def _beside(distance: timedelta) -> str:
    return f"{_seconds(abs(distance))} {'after' if distance > timedelta(0) else 'before'}"


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.1f} s"


def _time(row: Row) -> str:
    return f"{row.beat_at:%Y-%m-%d %H:%M:%S} UTC"


def _at(sequence: int, what: str) -> Damage:
    return Damage(database=ledger.DATABASE, object=f"row {sequence} of pgdrill.ledger", what=what)


CHECK = Check("ledger", measure, judge, LedgerFact, sealed=True, needs_seal=True)
