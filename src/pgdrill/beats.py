"""What befell the beat, as the witness tells it: a gap, a silence, a clock set back, a fork, a ledger made anew.

Pure. Each means something else for what a restored copy can show, and asks for somebody else's attention.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from pgdrill.model import Beat, Model, Moment

# Of a beat a minute, five are missing; a restart of the server or a failover is over sooner.
LONGEST = timedelta(minutes=5)


class Kind(StrEnum):
    """GAP: beats that production made and the witness does not know. SILENCE: nobody beat.

    CLOCK: the server's clock was set back. FORK: numbers were beaten again, so production went back to an earlier
    state: it was itself recovered, or replaced. ANEW: the ledger was removed and made again.
    """

    GAP = "gap"
    SILENCE = "silence"
    CLOCK = "clock"
    FORK = "fork"
    ANEW = "anew"


class Incident(Model):
    """One of them: `sequence` is the beat that shows it, `since` and `until` the beats around; `missing` of a gap."""

    kind: Kind
    sequence: int
    since: Moment
    until: Moment
    missing: int = 0


def histories(beats: Iterable[Beat]) -> list[list[Beat]]:
    """Part beats, in the order of time, into the histories that production had, each in the order of its numbers.

    A number that is beaten again with another digest begins another history, and so does the number 1; numbers
    that are all there once are one history, whatever their times say.
    """
    listed = list({(beat.sequence, beat.digest): beat for beat in beats}.values())
    numbers = {beat.sequence for beat in listed}
    if numbers and len(numbers) == len(listed) == max(numbers) - min(numbers) + 1:
        return [sorted(listed, key=lambda beat: beat.sequence)]
    found: list[dict[int, Beat]] = []
    for beat in listed:
        if not found or beat.sequence in found[-1] or beat.sequence == 1:
            found.append({})
        found[-1][beat.sequence] = beat
    return [[history[number] for number in sorted(history)] for history in found]


def incidents(beats: Sequence[Beat], now: datetime, longest: timedelta = LONGEST) -> list[Incident]:
    """Return what befell the beat until `now`, oldest first; a silence up to `now` has the number still to come.

    A clock that was set forward cannot be told from a silence.
    """
    told = histories(beats)
    found = [incident for history in told for incident in _within(history, longest)]
    for earlier, later in pairwise(told):
        kind = Kind.ANEW if later[0].sequence == 1 else Kind.FORK
        found.append(
            Incident(kind=kind, sequence=later[0].sequence, since=earlier[-1].beat_at, until=later[0].beat_at)
        )
    if told and now - told[-1][-1].beat_at > longest:
        last = told[-1][-1]
        found.append(Incident(kind=Kind.SILENCE, sequence=last.sequence + 1, since=last.beat_at, until=now))
    return sorted(found, key=lambda incident: incident.until)


def _within(history: Sequence[Beat], longest: timedelta) -> Iterator[Incident]:
    for earlier, later in pairwise(history):
        missing = later.sequence - earlier.sequence - 1
        if missing:
            kind = Kind.GAP
        elif later.beat_at <= earlier.beat_at:
            kind = Kind.CLOCK
        elif later.beat_at - earlier.beat_at > longest:
            kind = Kind.SILENCE
        else:
            continue
        yield Incident(
            kind=kind, sequence=later.sequence, since=earlier.beat_at, until=later.beat_at, missing=missing
        )
