"""Compares what was restored with what production was before and after the recovery point; pure.

Names map to digests or values. What did not change between the seals must be restored as it was; what did may be
as before or as after, and anything else is open, since it may have changed more than once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgdrill.checks.check import Bracket, Case
from pgdrill.model import Damage, Judgement, PointKind, Verdict

# What a person reads; `Judgement.damaged` counts them all.
SHOWN = 20

MISSING, NEW, DIFFERENT = "missing", "not there in production", "differs"

NO_SEAL = Judgement(
    verdict=Verdict.INCONCLUSIVE,
    reason="no seal to compare with",
    hint="take recovery points with: pgdrill point take",
    coverage="nothing compared",
)


@dataclass(frozen=True)
class Difference:
    """A thing that is not as production was. `open` where production may have changed it meanwhile."""

    database: str
    name: str
    what: str
    open: bool

    def damage(self) -> Damage:
        return Damage(database=self.database, object=self.name, what=self.what)


def differences(
    database: str,
    restored: Mapping[str, str],
    before: Mapping[str, str] | None,
    after: Mapping[str, str] | None,
    case: Case,
) -> list[Difference]:
    """Return what differs, in name order; nothing where there is no seal.

    Something new is open if anything at all changed between the seals, and always at a moment of the PITR window,
    whose seals may be hours apart: it may have been made and dropped in between.
    """
    sealed = [seal for seal in (before, after) if seal is not None]
    alone = len(sealed) < 2
    drifting = before != after or (case.point is not None and case.point.kind is PointKind.PITR)
    found = []
    for name in sorted({name for seal in sealed for name in {*restored, *seal}}):
        here, there = restored.get(name), {seal.get(name) for seal in sealed}
        if here in there:
            continue
        what = MISSING if here is None else NEW if there == {None} else DIFFERENT
        unsure = alone or len(there) > 1 or (there == {None} and drifting)
        found.append(Difference(database, name, what, unsure))
    return found


def judged(found: Sequence[Difference], noun: str, *, hint: str, coverage: str) -> Judgement:
    """Conclude from differences: failed if any is certain, else inconclusive if any is open."""
    certain = [one for one in found if not one.open]
    if certain:
        return told(Verdict.FAILED, certain, f"not as in production: {noun}", hint=hint, coverage=coverage)
    if found:
        return told(
            Verdict.INCONCLUSIVE,
            found,
            f"not as sealed, which production may have changed meanwhile: {noun}",
            hint="compare what is named with what was deployed then; a point with a seal on both sides decides",
            coverage=coverage,
        )
    return Judgement(
        verdict=Verdict.PASSED, reason=f"every {noun} is as it was in production", coverage=coverage
    )


def told(verdict: Verdict, found: Sequence[Difference], what: str, *, hint: str, coverage: str) -> Judgement:
    """Return a judgement that names the first of what was found in its reason."""
    first, more = found[0], f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Judgement(
        verdict=verdict,
        reason=f"{what} {first.name} {first.what}{more}",
        hint=hint,
        coverage=coverage,
        damage=tuple(one.damage() for one in found[:SHOWN]),
        damaged=len(found),
    )


def counted(number: int, noun: str, many: str = "") -> str:
    """Return `1 database`, `2 databases`, `1,234 indexes`."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def named(found: Sequence[Damage]) -> str:
    """Return the first of what was found, and how many more there are."""
    more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
    return f"{found[0].object}: {found[0].what}{more}"


def against(bracket: Bracket[Any]) -> str:
    """Say which seals there are."""
    if bracket.before is not None and bracket.after is not None:
        return "against the seals before and after the point"
    return (
        "against the seal before the point"
        if bracket.before is not None
        else "against the seal after the point"
    )
