"""What the evidence says to one demand, and how the answers for each drill and each database come together. Pure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pgdrill.compliance.period import Drilled, Period
from pgdrill.evidence.chain import Break
from pgdrill.evidence.wording import plural
from pgdrill.model import Model, Verdict, worst


class Answer(Model):
    """What the evidence says to one demand. `says` are sentences, `drills` the ids they rest on, oldest first."""

    verdict: Verdict
    says: tuple[str, ...]
    drills: tuple[str, ...] = ()


class Doubt(NamedTuple):
    """Why one drill does not show what is demanded: `failed` where its record shows the contrary, else a gap.

    `what` goes on after the drill's id.
    """

    verdict: Verdict
    what: str


Demand = Callable[[Period], Answer]


def contrary(what: str) -> Doubt:
    return Doubt(Verdict.FAILED, what)


def unshown(what: str) -> Doubt:
    return Doubt(Verdict.INCONCLUSIVE, what)


def gap(says: str, drills: Sequence[Drilled] = ()) -> Answer:
    return Answer(verdict=Verdict.INCONCLUSIVE, says=(says,), drills=ids(drills))


def shown(says: str, drills: Sequence[Drilled] = ()) -> Answer:
    return Answer(verdict=Verdict.PASSED, says=(says,), drills=ids(drills))


def each(period: Period, what: str, doubt: Callable[[Drilled], Doubt | None]) -> Answer:
    """Ask every drill; one that came to no conclusion is a gap, unless it shows the contrary before it ended."""

    def doubted(drilled: Drilled) -> Doubt | None:
        found = doubt(drilled)
        if drilled.evidence.verdict is Verdict.INCONCLUSIVE and (
            found is None or found.verdict is not Verdict.FAILED
        ):
            return unshown("came to no conclusion")
        return found

    answers = []
    for database in period.databases:
        drills = period.of(database)
        found = [(one, said) for one in drills if (said := doubted(one))]
        answers += [
            Answer(
                verdict=said.verdict,
                says=(f"{database}: {one.evidence.drill} {said.what}",),
                drills=ids([one]) if said.verdict is Verdict.FAILED else (),
            )
            for one, said in found
        ]
        if not drills:
            answers.append(gap(f"{database}: no drill"))
        elif not found:
            answers.append(shown(f"{database}: {count(drills)}, each {what}", drills))
    return together(answers, period)


def together(answers: Sequence[Answer], period: Period) -> Answer:
    """Return the worst, with all that is said; of a database whose evidence is not whole nothing is shown."""
    unsure = [
        gap(f"{database}: its evidence is not whole: {breaks[0].kind} at {breaks[0].drill}{_more(breaks)}")
        for database in period.databases
        if (breaks := period.broken.get(database))
    ]
    return merged([*answers, *unsure])


def merged(answers: Sequence[Answer]) -> Answer:
    drills = {drill for answer in answers for drill in answer.drills}
    return Answer(
        verdict=worst([answer.verdict for answer in answers]),
        says=tuple(said for answer in answers for said in answer.says),
        drills=tuple(sorted(drills)),
    )


def ids(drills: Sequence[Drilled]) -> tuple[str, ...]:
    return tuple(one.evidence.drill for one in drills)


def count(drills: Sequence[Drilled]) -> str:
    return plural(len(drills), "drill")


def _more(breaks: Sequence[Break]) -> str:
    return f" (and {len(breaks) - 1} more)" if len(breaks) > 1 else ""
