import json
from datetime import UTC, datetime

import pytest

from pgdrill.drills.state import TRIES, Drill, Step, after_error, noted
from pgdrill.errors import Broken, Busy, DrillError, NotOurs, NotRunnable, Unavailable, said
from pgdrill.evidence.record import Trigger
from pgdrill.model import Stage, Verdict

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
MADE = [Step.RESTORE, Step.OBSERVE, Step.UNLOCK, Step.EXAMINE]


def drill(step: Step, tries: int = 0) -> Drill:
    return Drill(
        id="20261122t060000z-shop",
        database="shop",
        source="shop-production",
        wanted="latest",
        trigger=Trigger.COMMAND,
        nonce="n",
        plan_sha256="0" * 64,
        started_at=NOW,
        next=step,
        tries=tries,
    )


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.DONE])
def test_what_may_pass_later_is_tried_again_with_growing_waits(step: Step) -> None:
    waits = []
    state = drill(step)
    for _ in range(TRIES - 1):
        state = after_error(state, Unavailable("later", hint="wait"))
        assert state.next is step
        waits.append(state.wait)
    assert waits == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("step", MADE)
def test_a_drill_that_cannot_go_on_is_still_judged_and_is_never_a_pass(step: Step) -> None:
    for error in (Broken("stuck", hint="look"), Unavailable("still not", hint="look")):
        ended = after_error(drill(step, tries=TRIES), error)
        assert ended.next is Step.JUDGE
        assert ended.problem is not None
        assert ended.problem.says is Verdict.INCONCLUSIVE
        assert (ended.problem.step, ended.problem.error) == (step, type(error).__name__)


def test_a_drill_that_cannot_be_judged_is_still_destroyed() -> None:
    ended = after_error(drill(Step.JUDGE, tries=TRIES), Broken("no evidence", hint="look"))
    assert (ended.next, ended.verdict, ended.reason) == (
        Step.DESTROY,
        Verdict.INCONCLUSIVE,
        "not judged: no evidence",
    )


@pytest.mark.parametrize("error", [Busy("other", hint="wait"), NotOurs("other", hint="look")])
@pytest.mark.parametrize("step", MADE)
def test_what_belongs_to_somebody_else_ends_a_drill_at_once(step: Step, error: DrillError) -> None:
    with pytest.raises(type(error)):
        after_error(drill(step), error)


@pytest.mark.parametrize("step", [Step.CHOOSE, Step.DESTROY])
def test_what_cannot_be_begun_or_deleted_is_told(step: Step) -> None:
    with pytest.raises(NotRunnable):
        after_error(drill(step), NotRunnable("no", hint="look"))


def test_moving_on_counts_tries_anew_and_staying_does_not() -> None:
    tried = drill(Step.OBSERVE, tries=3)
    assert tried.to(Step.OBSERVE).tries == 3
    assert tried.to(Step.UNLOCK).tries == 0


def test_the_first_time_a_stage_is_reached_counts() -> None:
    first = drill(Step.OBSERVE).model_copy(update={"stages": {Stage.AVAILABLE: NOW}})
    assert first.at(Stage.AVAILABLE, NOW.replace(hour=7))[Stage.AVAILABLE] == NOW


def test_a_drill_survives_its_json() -> None:
    made = drill(Step.EXAMINE).model_copy(update={"stages": {Stage.AVAILABLE: NOW}})
    assert Drill.model_validate_json(made.model_dump_json()) == made


# What a state machine caught ------------------------------------------------------------------------------


def runtime(kind: str, message: str) -> str:
    """Return a cause as Lambda's runtime writes it."""
    return json.dumps({"errorMessage": message, "errorType": kind, "requestId": "1", "stackTrace": ["line"]})


@pytest.mark.parametrize("step", [*MADE, Step.JUDGE])
def test_what_a_function_raised_is_noted_with_its_hint_and_the_drill_is_judged(step: Step) -> None:
    cause = runtime("Broken", "it is gone (for good) (look at the events (of RDS))")
    ended = noted(drill(step), "Broken", cause, Step.JUDGE)
    assert (ended.next, ended.verdict) == (Step.JUDGE, None)
    assert ended.problem is not None
    assert ended.problem.model_dump() == {
        "step": step,
        "error": "Broken",
        "message": "it is gone (for good)",
        "hint": "look at the events (of RDS)",
        "says": Verdict.INCONCLUSIVE,
    }


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("Bug", runtime("Bug", "ValueError was raised; the log of the function says where")),
        ("ValueError", runtime("ValueError", "a row of somebody's")),
        ("States.Timeout", ""),
        ("Lambda.Unknown", "The cause could not be determined because Lambda did not return an error type."),
        ("Broken", "no JSON"),
        ("Broken", "[]"),
    ],
)
def test_of_what_is_no_error_of_pgdrills_only_the_name_is_noted(error: str, cause: str) -> None:
    problem = noted(drill(Step.EXAMINE), error, cause, Step.JUDGE).problem
    assert problem is not None
    assert (problem.message, problem.hint) == (
        f"{error} ended the step",
        "see the log of the function that ran it",
    )


def test_a_drill_that_could_not_be_judged_goes_to_its_end_without_a_verdict_of_its_own() -> None:
    ended = noted(drill(Step.JUDGE), "Unavailable", runtime("Unavailable", "no bucket (look)"), Step.DESTROY)
    assert (ended.next, ended.verdict, ended.reason) == (
        Step.DESTROY,
        Verdict.INCONCLUSIVE,
        "not judged: no bucket",
    )


def test_a_verdict_that_was_reached_stays() -> None:
    judged = drill(Step.DESTROY).model_copy(
        update={"verdict": Verdict.PASSED, "reason": "whole", "evidence_sha256": "0" * 64}
    )
    ended = noted(judged, "States.Timeout", "", Step.DESTROY)
    assert (ended.next, ended.verdict, ended.reason) == (Step.DESTROY, Verdict.PASSED, "whole")


def test_the_first_problem_is_the_one_that_stands() -> None:
    first = noted(drill(Step.OBSERVE), "States.Timeout", "", Step.JUDGE)
    second = noted(first, "Broken", runtime("Broken", "later (look)"), Step.DESTROY)
    assert second.problem == first.problem
    assert second.reason == "not judged: States.Timeout ended the step"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("it is gone (look)", "it is gone", "look"),
        ("it is gone (for good) (look (there) too)", "it is gone (for good)", "look (there) too"),
        ("it is gone", "it is gone", ""),
        ("it is gone)", "it is gone)", ""),
        ("", "", ""),
    ],
)
def test_message_and_hint_are_parted_as_they_were_joined(text: str, message: str, hint: str) -> None:
    assert said("Broken", runtime("Broken", text)) == (message, hint)
