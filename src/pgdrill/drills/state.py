"""What travels between the steps of a drill, and what an error makes of it. Plain data; no I/O, no clock.

A Drill holds references, times and names, never facts and never a secret, so that it stays small however many
tables a database has, and may be read by whoever may read a state machine's history.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from pgdrill.errors import Busy, DrillError, NotOurs, Unavailable, said
from pgdrill.evidence.record import Instance, Isolation, Purpose, Trigger
from pgdrill.model import Lease, Model, Moment, Recovered, RecoveryPoint, Stage, Verdict

# Tries of one step that ends in Unavailable, with waits of 1, 2, 4, ... seconds, before the drill gives up.
TRIES = 6


class Step(StrEnum):
    """The steps of a drill, in their order, and `done`. A recovery hands over where a drill destroys."""

    CHOOSE = "choose"
    RESTORE = "restore"
    OBSERVE = "observe"
    UNLOCK = "unlock"
    EXAMINE = "examine"
    JUDGE = "judge"
    HAND_OVER = "hand_over"
    DESTROY = "destroy"
    DONE = "done"


class FactRef(Model):
    """Where a fact lies in the store; `error` names what the measure ended in, and then nothing lies there."""

    measure: str
    key: str
    sha256: str = ""
    complete: bool
    seconds: float
    error: str = ""


class Problem(Model):
    """Why a drill could not go on. `says` is what that tells of the recovery point."""

    step: Step
    error: str
    message: str
    hint: str
    says: Verdict


class Drill(Model):
    """One drill. `next` is the step to call, `wait` the seconds before it.

    The password of its instance is derived from `nonce` with a key that only two steps may use. `held` is what
    makes the instance pgdrill's to change; `examined` is False for a recovery that shall not wait for checks,
    `accepted` True for one that is to be handed over although it did not pass. `confronted` names the export that
    the copy was cross-examined with.
    """

    id: str
    database: str
    source: str
    wanted: str
    purpose: Purpose = Purpose.DRILL
    examined: bool = True
    trigger: Trigger
    operator: str | None = None
    nonce: str
    plan_sha256: str
    started_at: Moment
    next: Step = Step.CHOOSE
    wait: float = 0
    tries: int = 0
    point: RecoveryPoint | None = None
    held: Annotated[Lease | Recovered | None, Field(union_mode="left_to_right")] = None
    requested_at: Moment | None = None
    password_asked: bool = False
    handing_over_at: Moment | None = None
    accepted: bool = False
    stages: dict[Stage, Moment] = Field(default_factory=dict)
    instance: Instance | None = None
    isolation: tuple[Isolation, ...] = ()
    facts: tuple[FactRef, ...] = ()
    confronted: str = ""
    problem: Problem | None = None
    verdict: Verdict | None = None
    reason: str = ""
    evidence_sha256: str = ""
    delete_asked_at: Moment | None = None

    def to(self, step: Step, wait: float = 0, **changes: object) -> "Drill":
        """Return the drill as the next step gets it; moving on starts the count of tries anew."""
        tries = self.tries if step is self.next else 0
        return self.model_copy(update={"next": step, "wait": wait, "tries": tries, **changes})

    def at(self, stage: Stage, moment: datetime) -> dict[Stage, datetime]:
        """Return the stages with one more; the first time a stage is reached is the one that counts."""
        return {stage: moment} | self.stages

    def holding(self) -> Lease | Recovered:
        if self.held is None:
            raise ValueError(f"drill {self.id} holds no instance yet")
        return self.held

    def restored_from(self) -> RecoveryPoint:
        if self.point is None:
            raise ValueError(f"drill {self.id} has no recovery point yet")
        return self.point


def after_error(drill: Drill, error: DrillError) -> Drill:
    """Return how a drill goes on after an error; the temporary instance is destroyed whatever happened.

    A recovery stops where it is: its instance stays, and `resume` goes on from there.

    Raises:
        DrillError: the same one, where nothing was made yet or what is there is not this drill's; when
            deleting fails for good, which leaves the instance to the reaper; or in a recovery.
    """
    if isinstance(error, Unavailable) and drill.tries + 1 < TRIES:
        return drill.model_copy(update={"wait": float(2**drill.tries), "tries": drill.tries + 1})
    if drill.next in {Step.CHOOSE, Step.DESTROY} or isinstance(error, Busy | NotOurs):
        raise error
    if drill.purpose is Purpose.RECOVERY:
        raise error
    problem = Problem(
        step=drill.next,
        error=type(error).__name__,
        message=error.message,
        hint=error.hint,
        says=Verdict.INCONCLUSIVE,
    )
    return _stopped(drill, problem, Step.DESTROY if drill.next is Step.JUDGE else Step.JUDGE)


def noted(drill: Drill, error: str, cause: str, to: Step) -> Drill:
    """Return how a drill goes on after what a state machine caught: to its judge, or without one to its end.

    `cause` is what the function's runtime wrote, as JSON; what is no error of pgdrill's is known by its name alone,
    since its message may quote anything.
    """
    message, hint = said(error, cause)
    problem = Problem(step=drill.next, error=error, message=message, hint=hint, says=Verdict.INCONCLUSIVE)
    return _stopped(drill, problem, to)


def _stopped(drill: Drill, problem: Problem, to: Step) -> Drill:
    """The first problem is the one that stands; a verdict that was reached stays."""
    problem = drill.problem or problem
    if to is Step.JUDGE or drill.evidence_sha256:
        return drill.to(to, problem=problem)
    return drill.to(
        to, problem=problem, verdict=Verdict.INCONCLUSIVE, reason=f"not judged: {problem.message}"
    )
