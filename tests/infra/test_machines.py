"""State machines, functions, errors, retries and time limits fit together, and the definitions are what AWS takes."""

import json
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import jsonata  # type: ignore[import-untyped] # the emulator brings it, and it ships no types
import pytest
from botocore.model import OperationModel
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from functions import BY_NAME, FUNCTIONS, of_cell
from pgdrill import errors, handlers
from pgdrill.drills import drill as steps
from pgdrill.drills.state import Step as DrillStep
from pgdrill.lab.bends import sdk_names
from pgdrill.points import taking
from pgdrill.points.taking import SEALS
from pgdrill.points.taking import Step as TakingStep
from pgdrill.sections import DrillPlan
from pgdrill.watching.alarm_model import ROUND
from tests.infra import definitions, pictures
from tests.infra.definitions import NAMES, START, State, evaluate, expressions
from tests.unit.plans import plan

# Step Functions Developer Guide, "Handling errors", and "Handle transient Lambda service exceptions".
STATES_ERRORS = {"States.ALL", "States.TaskFailed", "States.Timeout"}
LAMBDA_ERRORS = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.Unknown",
}
# What Lambda's runtimes call an invocation that was cut off: Lambda Developer Guide, "Troubleshoot execution issues".
RUNTIME_ERRORS = {"Runtime.ExitError", "Sandbox.Timedout"}
# Seconds that a function may take to begin, before its own time limit counts: Lambda Developer Guide, "Init phase".
COLD_START = 10

# The fields of each type in JSONata: Amazon States Language, https://states-language.net
COMMON = {"Type", "Comment", "Output", "Assign"}
FIELDS = {
    "Task": COMMON | {"Next", "End", "Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch"},
    "Map": COMMON | {"Next", "End", "Items", "ItemProcessor", "MaxConcurrency", "Retry", "Catch"},
    "Choice": COMMON | {"Choices", "Default"},
    "Wait": COMMON | {"Next", "End", "Seconds"},
    "Pass": COMMON | {"Next", "End"},
    "Succeed": {"Type", "Comment", "Output"},
    "Fail": {"Type", "Comment", "Error", "Cause"},
}


def kinds(kind: type[errors.DrillError] = errors.DrillError) -> Iterator[str]:
    yield kind.__name__
    for below in kind.__subclasses__():
        yield from kinds(below)


DRILL_ERRORS = set(kinds())
FUNCTION_STATES = [
    pytest.param(name, state, id=f"{name}-{state.name}")
    for name in NAMES
    for group in definitions.functions(name).values()
    for state in group
]


# ------------------------------------------------------------------------------------ what AWS takes


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_jsonata_with_a_time_limit(name: str) -> None:
    definition = definitions.load(name)
    assert set(definition) == {"Comment", "QueryLanguage", "TimeoutSeconds", "StartAt", "States"}
    assert definition["QueryLanguage"] == "JSONata"


@pytest.mark.parametrize("name", NAMES)
def test_a_state_has_the_fields_of_its_type_and_says_where_it_leads(name: str) -> None:
    for state in definitions.states(name):
        kind = state.body["Type"]
        assert set(state.body) - FIELDS[kind] == set(), state.name
        ways = {"Next", "End"} & set(state.body)
        assert len(ways) == (0 if kind in {"Choice", "Succeed", "Fail"} else 1), state.name
        if kind == "Choice":
            assert state.body["Default"]
        if kind == "Task":
            assert state.body["TimeoutSeconds"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_state_is_reached_and_every_way_leads_to_one(name: str) -> None:
    for flow in definitions.flows(definitions.load(name)):
        reached, ahead = set(), [flow["StartAt"]]
        while ahead:
            here = ahead.pop()
            if here not in reached:
                reached.add(here)
                ahead += State(here, flow["States"][here]).following()
        assert reached == set(flow["States"])


@pytest.mark.parametrize("name", NAMES)
def test_names_of_states_are_unique_and_of_a_legal_length(name: str) -> None:
    names = [state.name for state in definitions.states(name)]
    assert len(names) == len(set(names))
    assert all(len(each) <= 80 for each in names)


@pytest.mark.parametrize("name", NAMES)
def test_every_expression_is_jsonata_and_uses_only_variables_that_are_assigned(name: str) -> None:
    definition = definitions.load(name)
    assigned = {
        variable
        for state in definitions.states(name)
        for part in (state.body, *state.body.get("Catch", ()))
        for variable in part.get("Assign", {})
    }
    for expression in expressions(definition):
        parsed = jsonata.Jsonata.jsonata(expression)
        assert parsed.errors is None
        free = set(_variables(parsed.ast)) - _parameters(parsed.ast) - {"states", ""}
        assert free - assigned == set(), expression


def _variables(node: Any) -> Iterator[str]:
    """Yield the names of the variables in a parsed expression; those of functions stand in `procedure`."""
    for key, value in _members(node):
        if key == "procedure" and value is not None and value.type == "variable":
            continue
        if getattr(value, "type", None) == "variable":
            yield value.value
        yield from _variables(value)


def _parameters(node: Any) -> set[str]:
    found: set[str] = set()
    for _, value in _members(node):
        if getattr(value, "type", None) == "lambda":
            found |= {parameter.value for parameter in value.arguments}
        found |= _parameters(value)
    return found


def _members(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, list | tuple):
        return [("", value) for value in node]
    if type(node).__module__.startswith("jsonata"):
        return [(key, value) for key, value in vars(node).items() if not key.startswith("_")]
    return []


@pytest.mark.parametrize("name", NAMES)
def test_retries_and_catches_are_what_aws_takes(name: str) -> None:
    for state in definitions.states(name):
        for retrier in state.body.get("Retry", ()):
            assert retrier["IntervalSeconds"] >= 1
            assert retrier["BackoffRate"] >= 1
            assert retrier.get("MaxDelaySeconds", 61) > retrier["IntervalSeconds"]
        for field in "Retry", "Catch":
            lists = [part["ErrorEquals"] for part in state.body.get(field, ())]
            assert all(lists)
            alone = [one for one in lists if "States.ALL" in one]
            assert alone in ([], [["States.ALL"]])
            assert not alone or lists[-1] == ["States.ALL"]


# ------------------------------------------------------------------------- functions, errors, time


def test_every_function_is_called_by_a_machine_and_no_other_is() -> None:
    called = {function for name in NAMES for function in definitions.functions(name)}
    modules = {
        module.name
        for module in pkgutil.iter_modules(handlers.__path__)
        if hasattr(import_module(f"pgdrill.handlers.{module.name}"), "handler")
    }
    assert called == modules == set(BY_NAME)


def test_a_cell_without_exports_lacks_one_function_and_the_drill_goes_round_it() -> None:
    lacking = {function.name for function in of_cell(primary=True)} - {
        function.name for function in of_cell(primary=False)
    }
    assert lacking & set(definitions.functions("drill")) == {"confront"}
    assert _ways("judge", examined=True, confront="an-arn") == "Confront"
    assert _ways("judge", examined=True, confront="none") == "Judge"
    assert _ways("judge", examined=False, confront="an-arn") == "Judge"


def test_placeholders_are_those_that_are_filled() -> None:
    known = {f"function_{function.name}" for function in FUNCTIONS} | {
        "machine_publish",
        "bus",
        "evidence",
        "queue_canary",
        "region",
        "schedule_group",
        "secrets",
        "suffix",
        "topic_backups",
        "topic_drills",
    }
    assert {one for name in NAMES for one in definitions.placeholders(name)} == known


@pytest.mark.parametrize(("name", "state"), FUNCTION_STATES)
def test_a_state_waits_longer_than_its_function_may_take_to_begin_and_to_run(name: str, state: State) -> None:
    assert state.function is not None
    assert state.body["TimeoutSeconds"] > BY_NAME[state.function].timeout + COLD_START
    assert definitions.load(name)["TimeoutSeconds"] > state.body["TimeoutSeconds"]


def test_every_error_that_is_matched_exists() -> None:
    invoke = get_session().get_service_model("lambda").operation_model("Invoke")
    declared = {f"Lambda.{shape.name}" for shape in invoke.error_shapes}
    matched = {
        error
        for name in NAMES
        for state in definitions.states(name)
        for field in ("Retry", "Catch")
        for part in state.body.get(field, ())
        for error in part["ErrorEquals"]
    }
    declared |= {
        error
        for name in NAMES
        for state in definitions.states(name)
        if ":aws-sdk:" in state.body.get("Resource", "")
        for error in _declared(*state.body["Resource"].split(":")[-2:])
    }
    assert matched - DRILL_ERRORS - declared - STATES_ERRORS - LAMBDA_ERRORS - RUNTIME_ERRORS == set()


def _declared(service: str, action: str) -> set[str]:
    """Return what an integration with the SDK can end in, under the names that states match."""
    operation = _operation(service, action)
    return {sdk_names.exception(service, operation, shape.name) for shape in operation.error_shapes}


def _operation(service: str, action: str) -> OperationModel:
    model = get_session().get_service_model(sdk_names.BOTOCORE.get(service, service))
    return sdk_names.operation(model, action)


def _taken(service: str, action: str) -> dict[str, Any]:
    """Return the arguments of an action, by their names."""
    shape = _operation(service, action).input_shape
    return dict(shape.members) if shape else {}


@pytest.mark.parametrize("name", NAMES)
def test_the_arguments_of_an_integration_are_those_that_its_action_takes(name: str) -> None:
    for state in definitions.states(name):
        if ":aws-sdk:" in state.body.get("Resource", ""):
            taken = _taken(*state.body["Resource"].split(":")[-2:])
            assert state.body["Arguments"].keys() <= taken.keys(), state.name


def test_what_is_written_down_carries_a_checksum() -> None:
    """With `protect` the bucket locks what it holds, and S3 takes nothing there without one.

    Source: S3 User Guide, "Object Lock considerations"; the SDKs compute it, once an algorithm is named.
    """
    writes = [
        state.body["Arguments"]
        for name in NAMES
        for state in definitions.states(name)
        if state.body.get("Resource", "").endswith(":s3:putObject")
    ]
    assert [arguments["ChecksumAlgorithm"] for arguments in writes] == ["CRC32"]
    assert "CRC32" in _taken("s3", "putObject")["ChecksumAlgorithm"].enum


@pytest.mark.parametrize(("name", "state"), FUNCTION_STATES)
def test_every_function_is_retried_alike(name: str, state: State) -> None:
    """But for how long RDS is asked again: half a minute, or an hour where a point or hours of a drill are at stake."""
    _, *rest = state.body["Retry"]
    alike = definitions.functions("retain")["retain"][0].body["Retry"][1:]
    # The time of a look is short, and the next one comes soon: see below.
    assert rest == ([alike[1] | {"MaxAttempts": 3}] if name == "watch" else alike)
    soon = {"IntervalSeconds": 1, "MaxAttempts": 5, "BackoffRate": 2, "JitterStrategy": "FULL"}
    for_an_hour = soon | {"MaxAttempts": 60, "MaxDelaySeconds": 60}
    expected = {"ErrorEquals": ["Unavailable"]} | (for_an_hour if name in {"drill", "take"} else soon)
    assert state.retrier_of("Unavailable") == expected


def test_only_what_may_pass_is_asked_again() -> None:
    retried = {
        error
        for name in NAMES
        for group in definitions.functions(name).values()
        for state in group
        for error in DRILL_ERRORS
        if state.retrier_of(error)
    }
    assert retried == {"Unavailable"}


# Where what an operator can act on leads, in the machines that go on after it; None ends the execution.
STEPS = ("Restore", "Observe", "Unlock", "Examine", "Confront")
WAYS: dict[tuple[str, str], tuple[str | None, str | None]] = {
    # state: (an instance that is not this drill's, everything else)
    ("drill", "Choose"): (None, None),
    **{("drill", name): ("Not ours", "Judge") for name in STEPS},
    ("drill", "Judge"): ("Not ours", "Destroy"),
    ("drill", "Destroy"): (None, None),
    ("take", "Take"): ("Tell of the failure", "Tell of the failure"),
    ("take", "Seal"): ("Wait", "Wait"),
    ("take", "Tell of the point"): (None, None),
    ("take", "Tell of the failure"): (None, None),
}


@pytest.mark.parametrize(("name", "state"), FUNCTION_STATES)
@pytest.mark.parametrize("error", [*sorted(DRILL_ERRORS), "Bug", "States.Timeout", "Lambda.ServiceException"])
def test_every_error_has_its_way(name: str, state: State, error: str) -> None:
    not_ours, others = WAYS.get((name, state.name), (None, None))
    assert state.way_of(error) == (not_ours if error in {"Busy", "NotOurs"} else others)


# ----------------------------------------------------------------------------------- drill and taking


def _ways(following: str | None, *, examined: bool = False, confront: str = "none") -> str:
    """Return the state that a drill with this next step is led to."""
    definition = json.loads(definitions.text("drill").replace("${function_confront}", confront))
    state = definition["States"]["Which step?"]
    held = {"drill": {"next": following} if following else None}
    for choice in state["Choices"]:
        holds = evaluate(choice["Condition"], {"input": held}, examined=examined)
        assert isinstance(holds, bool)  # AWS fails a condition that is no boolean
        if holds:
            return str(choice["Next"])
    return str(state["Default"])


def test_every_step_of_a_drill_leads_to_the_function_of_that_name() -> None:
    """A recovery's own step is never seen here: `pgdrill recover` conducts it."""
    led = {step: _ways(step.value) for step in DrillStep}
    assert led.pop(DrillStep.HAND_OVER) == "Lost"
    assert led.pop(DrillStep.DONE) == "All told?"
    assert led.pop(DrillStep.CHOOSE) == "Lost"
    all_states = {state.name: state for state in definitions.states("drill")}
    assert {step.value: all_states[name].function for step, name in led.items()} == {
        step.value: step.value for step in led
    }
    assert set(led) | {DrillStep.CHOOSE, DrillStep.HAND_OVER} == set(steps.STEPS)


def test_no_drill_and_one_that_is_done_end_alike() -> None:
    assert _ways(None) == _ways("done") == "All told?"


def test_every_step_of_a_taking_leads_to_the_function_that_may_do_it() -> None:
    state = definitions.load("take")["States"]["Which step?"]
    for step in TakingStep:
        led = [
            choice["Next"]
            for choice in state["Choices"]
            if evaluate(choice["Condition"], {"input": {"taking": {"next": step.value}}})
        ]
        expected = ["Tell of the point"] if step is TakingStep.DONE else ["Seal"] if step in SEALS else []
        assert led == expected
    assert state["Default"] == "Take"


@pytest.mark.parametrize(("at", "on"), [("seal_before", "ask"), ("seal_after", "done")])
def test_a_taking_goes_on_without_a_seal_that_could_not_be_taken(at: str, on: str) -> None:
    (catcher,) = definitions.load("take")["States"]["Seal"]["Catch"]
    taken = {"database": "shop", "point": "p", "slot": None, "wait": 3.0, "next": at, "sealed": False}
    moments = {"begun_at": "2026-11-23T18:00:00Z", "ask_until": "2026-11-23T19:00:00Z"}
    states = {"input": {"taking": taken | moments}, "errorOutput": {"Error": "Sandbox.Timedout", "Cause": ""}}
    went = taking.Taking.model_validate(evaluate(catcher["Output"], states)["taking"])
    assert (went.next, went.wait) == (on, 0)
    assert went.unsealed == "the function that seals ended in Sandbox.Timedout"


WAITS = st.floats(min_value=0, max_value=30)


@given(WAITS)
def test_a_wait_is_whole_seconds_as_aws_wants_it(wait: float) -> None:
    for name, held in ("drill", "drill"), ("take", "taking"):
        seconds = definitions.load(name)["States"]["Wait"]["Seconds"]
        waited = evaluate(seconds, {"input": {held: {"wait": wait}}})
        assert waited == int(waited)
        assert abs(waited - wait) <= 0.5


def test_nothing_is_waited_for_where_there_is_no_drill() -> None:
    seconds = definitions.load("drill")["States"]["Wait"]["Seconds"]
    assert evaluate(seconds, {"input": {"drill": None}}) == 0


# ---------------------------------------------------------------------------------------------- limits

# Events in an execution's history that a state makes: Step Functions API reference, HistoryEventType. A task that
# is served is entered, scheduled, started, succeeded and exited; any other state is entered and exited.
EVENTS = {"Task": 5, "Choice": 2, "Wait": 2}
MOST_EVENTS = 25_000
# An invocation takes no less than this, warm.
CALL = 0.1


def events(name: str, lap: list[str]) -> int:
    """Return the events of going round once."""
    states = definitions.load(name)["States"]
    for here, there in zip(lap, [*lap[1:], lap[0]], strict=True):
        assert there in State(here, states[here]).following(), f"{here} does not lead to {there}"
    return sum(EVENTS[states[each]["Type"]] for each in lap)


def laps(seconds: float, most: float) -> int:
    """Return how often something is asked for in that time; a wait is a tenth of what has passed, whole seconds."""
    passed, count = 0.0, 0
    while passed < seconds:
        passed += CALL + round(min(most, passed / 10))
        count += 1
    return count


# The longest way round while an instance is restored: every look says how long it has taken.
TOLD_LAP = ["Observe", "Anything to tell?", "Publish", "Wait", "Which step?"]
TAKE_LAP = ["Take", "Wait", "Which step?"]
HOUR = 3600.0


def test_a_drill_of_five_hours_is_far_below_the_most_events_of_a_history() -> None:
    assert events("drill", TOLD_LAP) == 16  # as docs/machines.md says
    assert laps(5 * HOUR, steps.POLL_MOST) * events("drill", TOLD_LAP) < MOST_EVENTS / 2


@pytest.mark.parametrize(
    ("name", "lap", "most"), [("drill", TOLD_LAP, steps.POLL_MOST), ("take", TAKE_LAP, taking.POLL_MOST)]
)
def test_a_machine_s_time_ends_before_its_history_is_full(name: str, lap: list[str], most: float) -> None:
    assert laps(definitions.load(name)["TimeoutSeconds"], most) * events(name, lap) < MOST_EVENTS


def test_a_machine_lasts_longer_than_a_lease() -> None:
    """What lasts longer is the reaper's: it deletes what a lease has run out of."""
    assert definitions.load("drill")["TimeoutSeconds"] > DrillPlan().lease.total_seconds()


@pytest.mark.parametrize("hours", [1, 2, 3, 4, 6, 8, 12, 24])
def test_a_point_that_is_not_taken_is_told_before_the_time_of_its_machine_is_over(hours: int) -> None:
    """However late a busy instance was asked, and RDS does not answer at the end."""
    every = timedelta(hours=hours)
    planned = plan(points={"every": f"{hours}h", "offset": "0h"})
    slot = datetime(2026, 11, 22, tzinfo=UTC)
    assert planned.points.every == every
    begun = taking.begin(planned, planned.database(None), slot, slot)
    longest = begun.ask_until - begun.begun_at + taking.PATIENCE
    (state, *_) = definitions.functions("take")["take"]
    retried = max(map(_lasts, state.body["Retry"]))
    assert longest.total_seconds() + retried < definitions.load("take")["TimeoutSeconds"]


def test_retries_of_one_step_end_long_before_the_time_of_its_machine() -> None:
    for name in "drill", "take":
        for group in definitions.functions(name).values():
            for state in group:
                longest = max(map(_lasts, state.body["Retry"]))
                assert longest < definitions.load(name)["TimeoutSeconds"] / 2


# An alarm counts on a look's being over: a retry that cannot end within its time is none.
WATCH_LIMIT = definitions.load("watch")["TimeoutSeconds"]
WATCH_STATES = {state.name: state for state in definitions.states("watch") if state.body["Type"] == "Task"}


@pytest.mark.parametrize("name", sorted(WATCH_STATES))
def test_every_retry_of_a_look_fits_into_its_time(name: str) -> None:
    state = WATCH_STATES[name]
    # What takes as long as it may is not asked again; what is, has failed at once.
    assert {"States.Timeout", "Sandbox.Timedout"} & {
        error for retrier in state.body["Retry"] for error in retrier["ErrorEquals"]
    } == set()
    once = BY_NAME[state.function].timeout if state.function else state.body["TimeoutSeconds"]
    assert all(_lasts(retrier) + once < WATCH_LIMIT for retrier in state.body["Retry"])


def test_a_look_is_measured_however_long_what_is_asked_before_it_takes() -> None:
    before = [state for state in WATCH_STATES.values() if ":aws-sdk:" in state.body["Resource"]]
    assert {state.name for state in before} == {"Look at schedules", "Look at a secret"}
    longest = sum(
        state.body["TimeoutSeconds"] * 2 + max(map(_lasts, state.body["Retry"])) for state in before
    )
    assert all(retrier["MaxAttempts"] <= 1 for state in before for retrier in state.body["Retry"])
    assert longest + COLD_START + BY_NAME["watch"].timeout < WATCH_LIMIT


def test_a_look_and_its_publishing_take_no_longer_than_alarms_count_on() -> None:
    publish = next(state for state in definitions.states("publish") if state.name == "Put metrics")
    assert WATCH_LIMIT + publish.body["TimeoutSeconds"] < ROUND.total_seconds()


def _lasts(retrier: definitions.Body) -> float:
    delays = (
        min(
            retrier.get("MaxDelaySeconds", 1e9),
            retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt,
        )
        for attempt in range(retrier["MaxAttempts"])
    )
    return float(sum(delays))


CONDITIONS = [
    pytest.param(choice["Condition"], id=f"{name}-{state.name}-{choice['Next']}")
    for name in NAMES
    for state in definitions.states(name)
    for choice in state.body.get("Choices", ())
]
INPUTS: list[dict[str, Any]] = [
    {},
    {"drill": None, "reply": None},
    {"drill": {"next": "judge"}, "reply": {"metrics": [], "events": [], "messages": []}},
    {"taking": {"next": "seal_after"}, "reply": {"metrics": [{"name": "Age"}], "events": [], "messages": []}},
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_is_a_boolean_whatever_comes_in(condition: str) -> None:
    """AWS fails a state whose condition is anything else."""
    for given_input in INPUTS:
        held = evaluate(condition, {"input": given_input}, examined=True, told=True, untold="")
        assert isinstance(held, bool)


def test_a_function_that_idled_for_weeks_is_waited_for_until_its_network_is_back() -> None:
    """The DR cell drills once a month; Lambda gives an idle function's interfaces back, and takes a minute or two."""
    state = definitions.functions("drill")["choose"][0]
    waking = state.retrier_of("Lambda.ResourceNotReadyException")
    assert waking is not None
    assert 5 * 60 < _lasts(waking) < HOUR


def test_a_payload_carries_the_drill_alone_from_step_to_step() -> None:
    found = definitions.load("drill")["States"]
    only = {"drill": "{% $states.input.drill %}"}
    assert found["Wait"]["Output"] == only
    assert found["Wait"]["Next"] == "Which step?"
    for state in definitions.states("drill"):
        if state.function in {None, "choose"}:
            continue
        assert state.body["Arguments"]["Payload"] == "{% $states.input %}"
        assert state.body["Next"] == "Anything to tell?"
        for catcher in state.body.get("Catch", ()):
            if catcher["Next"] in {"Judge", "Destroy"}:
                assert catcher["Output"] | only == catcher["Output"]
                assert set(catcher["Output"]) <= {"drill", "error"}


def test_every_machine_publishes_what_its_functions_reply() -> None:
    for name in NAMES:
        starts = [state for state in definitions.states(name) if state.body.get("Resource") == START]
        targets = {state.body["Arguments"]["StateMachineArn"] for state in starts}
        assert targets == ({"${machine_publish}"} if definitions.functions(name) else set())


def test_the_pictures_are_those_of_the_definitions() -> None:
    assert pictures.DOCUMENT.read_text() == pictures.document()
