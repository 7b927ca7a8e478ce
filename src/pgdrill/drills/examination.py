"""An examination: the checks that are asked, measured on a server and judged against what is known.

The same for a drill, for `pgdrill verify` and for a fact read back from old evidence.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from pgdrill.checks.check import Case, Check
from pgdrill.database import Server
from pgdrill.errors import DrillError, PlanError
from pgdrill.model import Fact, Finding, Verdict
from pgdrill.plan import Checks

# A measure that has less than this left is not begun: it would end in its first statement.
LEAST = 5.0


@dataclass(frozen=True)
class Measured:
    """What one measure returned, or the name of the error it ended in, and how long it took in seconds."""

    measure: str
    fact: Fact | None
    seconds: float
    error: str = ""

    @property
    def complete(self) -> bool:
        return self.fact is None or self.fact.complete


def asked(checks: Sequence[Check[Any]], wanted: Checks) -> frozenset[str]:
    """Return the names of the checks that the plan asks for.

    Raises:
        PlanError: the plan skips a check that does not exist, or all that do.
    """
    names = frozenset(check.name for check in checks)
    unknown = sorted(set(wanted.skip) - names)
    if unknown:
        raise PlanError(
            f"checks.skip names no check: {', '.join(map(repr, unknown))}",
            hint=f"the checks are {', '.join(check.name for check in checks)}",
        )
    if names == set(wanted.skip):
        raise PlanError("checks.skip leaves no check", hint="a drill that examines nothing proves nothing")
    return names - set(wanted.skip)


def measure_name(check: Check[Any]) -> str:
    """Return the name of a check's measure: the module it stands in. Checks may share one."""
    return str(check.measure.__module__).rsplit(".", 1)[-1]


def measures(checks: Sequence[Check[Any]], case: Case) -> list[Check[Any]]:
    """Return one check for each distinct measure that is asked, in order."""
    first: dict[str, Check[Any]] = {}
    for check in checks:
        if check.name in case.asked:
            first.setdefault(measure_name(check), check)
    return list(first.values())


def measure(
    server: Server, checks: Sequence[Check[Any]], case: Case, earlier: Callable[[Check[Any]], Measured | None]
) -> Iterable[Measured]:
    """Yield what each measure returns, continuing what `earlier` has begun, until the time is used up.

    A measure that raises does not stop the others. Its error is kept as a class name alone, since a server's
    message can quote rows.
    """
    with server.keeping():
        for check in measures(checks, case):
            before = earlier(check)
            if before is not None and before.complete:
                continue
            if server.clock.remaining() < LEAST:
                return
            started = server.clock.elapsed()
            known = before.fact if before else None
            try:
                fact, error = check.measure(server, case.resuming(known)), ""
            except (DrillError, psycopg.Error) as raised:
                fact, error = None, error_name(raised)
            seconds = server.clock.elapsed() - started + (before.seconds if before else 0)
            yield Measured(measure_name(check), fact, seconds, error)


def error_name(error: Exception) -> str:
    """Return the class name, with the SQLSTATE where there is one: `DataCorrupted (XX001)`."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} ({state})" if state else type(error).__name__


def judge(checks: Sequence[Check[Any]], case: Case, measured: dict[str, Measured]) -> tuple[Finding, ...]:
    """Judge every check; the ones not asked are said, the ones not measured are inconclusive."""
    return tuple(_finding(check, case, measured.get(measure_name(check))) for check in checks)


def _finding(check: Check[Any], case: Case, measured: Measured | None) -> Finding:
    if check.name not in case.asked:
        return Finding(check=check.name, verdict=Verdict.NOT_ASKED, reason="not asked for by the plan")
    if measured is None or measured.fact is None:
        error = measured.error if measured else ""
        return Finding(
            check=check.name,
            verdict=Verdict.INCONCLUSIVE,
            reason=f"could not be measured: {error}" if error else "was not measured",
            hint=f"see what the check needs with: pgdrill check explain {check.name}"
            if error
            else "the time was up before its turn: give the examination more",
            seconds=measured.seconds if measured else 0.0,
        )
    judgement = check.judge(measured.fact, case)
    if not measured.complete and judgement.verdict is Verdict.PASSED:
        judgement = judgement.model_copy(
            update={
                "verdict": Verdict.INCONCLUSIVE,
                "reason": f"the time ended before all was measured; so far: {judgement.reason}",
                "hint": "give the examination more time: drill.patience, or a larger class",
            }
        )
    return Finding(check=check.name, seconds=round(measured.seconds, 3), **judgement.model_dump())
