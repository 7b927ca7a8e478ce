"""What a check is: `measure` reads a fact from a restored database, `judge` decides, purely.

So judging is tested without a database, facts go into the evidence, and old evidence can be judged again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from pydantic import ValidationError

from pgdrill.database import Server
from pgdrill.model import JSON, Beat, Fact, Judgement, RecoveryPoint, Seal
from pgdrill.plan import Checks

F = TypeVar("F", bound=Fact)
G = TypeVar("G", bound=Fact)


@dataclass(frozen=True)
class Bracket(Generic[F]):
    """A fact as it was in production before and after the recovery point; None where no seal is there."""

    before: F | None
    after: F | None

    @property
    def fixed(self) -> F | None:
        """The fact that must have held at the point: both seals agree. None when that is not known."""
        return self.before if self.before is not None and self.before == self.after else None


@dataclass(frozen=True)
class Case:
    """All that a check may know apart from the database itself.

    `asked` holds the names of the checks in this examination, so that a shared measure does no more than is
    asked. `earlier` is the fact that the same measure returned when its time budget ended. `reference` is a
    fact of the same measure from another restore of the same point. `witness` are the ledger's beats known
    outside the database, oldest first. `sealing` is True in production, around a snapshot: then nothing is
    scanned, and only what a seal holds is read.
    """

    checks: Checks
    asked: frozenset[str]
    point: RecoveryPoint | None = None
    before: Seal | None = None
    after: Seal | None = None
    witness: tuple[Beat, ...] | None = None
    references: dict[str, JSON] = field(default_factory=dict)
    earlier: Fact | None = None
    sealing: bool = False

    def bracket(self, check: str, fact: type[F]) -> Bracket[F]:
        """Return what the seals hold for a check, parsed."""
        before, after = (seal.facts.get(check) if seal else None for seal in (self.before, self.after))
        return Bracket(_parsed(before, fact), _parsed(after, fact))

    def reference(self, measure: str, fact: type[F]) -> F | None:
        """Return the fact of another restore of the same point, parsed."""
        return _parsed(self.references.get(measure), fact)

    def resumed(self, fact: type[F]) -> F | None:
        return self.earlier if isinstance(self.earlier, fact) else None

    def resuming(self, earlier: Fact | None) -> "Case":
        return replace(self, earlier=earlier)


def _parsed(content: JSON, fact: type[F]) -> F | None:
    """Read a fact back; one that another version of pgdrill wrote in another form is as good as none."""
    try:
        return None if content is None else fact.model_validate(content)
    except ValidationError:
        return None


@dataclass(frozen=True)
class Check(Generic[F]):
    """One property that must hold in a restored database.

    `fact` is the type that `measure` returns, so that it can be read back. `sealed` facts are also measured
    in production around a snapshot. Checks may share a measure; it then runs once. `needs_seal` says that
    it cannot judge without a seal or the witness, so that an examination without any does not ask for it.
    """

    name: str
    measure: Callable[[Server, Case], F]
    judge: Callable[[F, Case], Judgement]
    fact: type[F]
    sealed: bool = False
    needs_seal: bool = False
