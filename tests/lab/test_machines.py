"""State machines loop, wait, ask again and catch as they are meant to; a drill is destroyed whatever happens."""

import json
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.infra import definitions
from tests.lab.labs import MakeLab, until
from tests.lab.machines import Answer, Machines, raises

DUE = {"due_at": "2026-11-23T19:00:00Z"}
SHOP = DUE | {"database": "shop"}
REPLY: dict[str, list[Any]] = {"metrics": [], "events": [], "messages": []}
STEPS = ("restore", "observe", "unlock", "examine")


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    """A lab whose state machines do not wait."""
    lab = make_lab()
    lab.up(Settings(waits=0))
    return lab


@pytest.fixture(scope="module")
def machines(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    return Machines(lab, tmp_path_factory.mktemp("machines"))


def to(following: str, wait: float = 0, reply: Any = None, **more: Any) -> Answer:
    """Return what a step of a drill answers."""
    return {"drill": {"id": "d", "next": following, "wait": wait} | more, "reply": reply}


def healthy() -> dict[str, Any]:
    return {
        "choose": to("restore"),
        "restore": to("observe"),
        "observe": [to("observe", 0.1), to("observe", 2.4), to("unlock")],
        "unlock": [to("unlock", 0.1), to("examine")],
        "examine": [to("examine"), to("judge")],
        "confront": to("judge"),
        "judge": to("destroy"),
        "destroy": [to("destroy", 1), to("destroy", 2), to("done")],
    }


WHOLE = "choose restore observe observe observe unlock unlock examine examine confront judge destroy destroy destroy"


def test_a_drill_goes_from_step_to_step_as_it_says_itself(machines: Machines) -> None:
    machines.script(**healthy())
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert machines.called == WHOLE.split()
    assert machines.calls[0] == ("choose", SHOP)
    assert all(event.keys() == {"drill"} for _, event in machines.calls[1:])
    given = [event["drill"] for function, event in machines.calls if function == "observe"]
    assert [drill["wait"] for drill in given] == [0, 0.1, 2.4]


def test_a_drill_that_a_freeze_forbids_is_told_and_over(machines: Machines) -> None:
    machines.script(choose={"drill": None, "reply": REPLY})
    with machines.published() as replies:
        assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert machines.called == ["choose"]
    assert replies == [REPLY]


def test_what_the_steps_reply_is_published_in_their_order_and_null_is_not(machines: Machines) -> None:
    told = {name: REPLY | {"events": [{"kind": name, "subject": "d", "detail": {}}]} for name in ("o", "j")}
    machines.script(
        **healthy()
        | {"observe": [to("observe", reply=told["o"]), to("unlock")], "judge": to("destroy", reply=told["j"])}
    )
    with machines.published() as replies:
        assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert replies == [told["o"], told["j"]]


def test_a_busy_database_ends_the_drill_and_destroys_nothing(machines: Machines) -> None:
    machines.script(choose=raises("Busy", "database 'shop' is being drilled by d0 (wait for it)"))
    ended = machines.run("drill", SHOP)
    assert (ended["status"], ended["error"]) == ("FAILED", "Busy")
    assert (
        json.loads(ended["cause"])["errorMessage"] == "database 'shop' is being drilled by d0 (wait for it)"
    )
    assert machines.called == ["choose"]


@pytest.mark.parametrize(
    ("step", "error"), [("restore", "Busy"), *((step, "NotOurs") for step in (*STEPS, "judge"))]
)
def test_an_instance_of_somebody_else_is_not_touched(machines: Machines, step: str, error: str) -> None:
    machines.script(**healthy() | {step: raises(error)})
    ended = machines.run("drill", SHOP)
    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert machines.called[-1] == step


@pytest.mark.parametrize(
    ("step", "error"), [*((step, "Broken") for step in STEPS), ("examine", "Bug"), ("restore", "NotRunnable")]
)
def test_whatever_a_step_ends_in_is_judged_and_destroyed(machines: Machines, step: str, error: str) -> None:
    machines.script(**healthy() | {step: raises(error, "why (hint)")})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    at = machines.called.index(step)
    assert machines.called[at:] == [step, "judge", "destroy", "destroy", "destroy"]
    judged = machines.calls[at + 1][1]
    assert judged["drill"]["next"] == step
    assert judged["error"]["Error"] == error
    assert json.loads(judged["error"]["Cause"])["errorMessage"] == "why (hint)"
    assert "error" not in machines.calls[at + 2][1]


def test_a_drill_that_cannot_be_judged_is_destroyed(machines: Machines) -> None:
    machines.script(**healthy() | {"judge": raises("Broken", "no key (see it)")})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    events = [event for function, event in machines.calls if function == "destroy"]
    assert [event.get("error", {}).get("Error") for event in events] == ["Broken", None, None]


def test_an_error_of_the_export_s_examination_is_none_of_the_drill(machines: Machines) -> None:
    machines.script(**healthy() | {"confront": raises("Bug")})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert machines.called[-5:] == ["confront", "judge", "destroy", "destroy", "destroy"]
    assert "error" not in machines.calls[-4][1]


def test_a_copy_that_was_not_examined_is_not_confronted(machines: Machines) -> None:
    machines.script(**healthy() | {"observe": to("judge", problem={"error": "Broken"})})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert machines.called == ["choose", "restore", "observe", "judge", "destroy", "destroy", "destroy"]


def test_a_cell_without_exports_goes_from_examination_to_judgement(machines: Machines) -> None:
    without = machines.make("drill-without", "drill", function_confront="none")
    machines.script(**healthy())
    assert machines.run(without, SHOP)["status"] == "SUCCEEDED"
    assert machines.called == WHOLE.replace(" confront", "").split()


def test_what_is_unavailable_is_asked_again_with_the_same_drill(machines: Machines) -> None:
    busy = raises("Unavailable", "throttled (wait)")
    machines.script(**healthy() | {"observe": [busy, busy, to("unlock")]})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    asked = [event for function, event in machines.calls if function == "observe"]
    assert len(asked) == 3
    assert asked[0] == asked[1] == asked[2]


def test_what_stays_unavailable_for_an_hour_of_tries_is_judged(machines: Machines) -> None:
    machines.script(**healthy() | {"restore": raises("Unavailable", "throttled (wait)")})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert machines.called == ["choose", *["restore"] * 61, "judge", *["destroy"] * 3]
    assert machines.calls[62][1]["error"]["Error"] == "Unavailable"


def test_a_deletion_is_asked_for_as_long_as_it_takes(machines: Machines) -> None:
    creating = raises("Unavailable", "instance is creating (wait)")
    machines.script(**healthy() | {"destroy": [creating] * 9 + [to("done")]})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert machines.called.count("destroy") == 10


def test_a_deletion_that_is_refused_for_good_is_left_to_the_reaper(machines: Machines) -> None:
    machines.script(**healthy() | {"destroy": raises("NotOurs", "no lease (see it)")})
    ended = machines.run("drill", SHOP)
    assert (ended["status"], ended["error"]) == ("FAILED", "NotOurs")


def test_an_invocation_that_was_cut_off_is_repeated_once(machines: Machines) -> None:
    cut = raises("Sandbox.Timedout")
    machines.script(**healthy() | {"restore": [cut, to("observe")], "examine": cut})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert machines.called.count("restore") == 2
    assert machines.called.count("examine") == 2
    assert "confront" not in machines.called


def test_a_function_whose_network_comes_back_is_waited_for(machines: Machines) -> None:
    waking = raises("Lambda.ResourceNotReadyException")
    machines.script(**healthy() | {"choose": [waking] * 4 + [to("restore")]})
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"


def test_a_drill_that_cannot_be_told_of_is_destroyed_and_says_so_at_its_end(machines: Machines) -> None:
    lost = machines.arns["publish"].replace("publish", "no-such-machine")
    mute = machines.make("drill-mute", "drill", machine_publish=lost)
    machines.script(**healthy() | {"restore": to("observe", reply=REPLY)})
    ended = machines.run(mute, SHOP)
    assert machines.called == WHOLE.split()
    assert (ended["status"], ended["error"]) == ("FAILED", "Untold")
    assert ended["cause"].startswith("publish could not be started: ")


def test_a_step_that_no_state_has_ends_the_drill_by_name(machines: Machines) -> None:
    machines.script(choose=to("hand_over"))
    ended = machines.run("drill", SHOP)
    assert (ended["error"], ended["cause"]) == ("Lost", "unknown step hand_over of drill d")


# ---------------------------------------------------------------------------------------------- take


def taking(following: str, wait: float = 0, reply: Any = None) -> Answer:
    return {"taking": {"point": "p", "next": following, "wait": wait, "unsealed": ""}, "reply": reply}


TAKES = [
    taking("seal_before"),
    taking("await"),
    taking("await", 3),
    taking("seal_after"),
    taking("done", 0, REPLY),
]
SEALS = [taking("ask"), taking("done")]


def test_a_point_is_taken_between_two_seals_and_told(machines: Machines) -> None:
    machines.script(take=TAKES, seal=SEALS)
    with machines.published() as replies:
        assert machines.run("take", SHOP)["status"] == "SUCCEEDED"
    assert machines.called == ["take", "seal", "take", "take", "take", "seal", "take"]
    assert machines.calls[0] == ("take", SHOP)
    assert all(event.keys() == {"taking"} for _, event in machines.calls[1:])
    assert replies == [REPLY]


def test_a_seal_that_cannot_be_taken_does_not_keep_the_point_from_being_taken(machines: Machines) -> None:
    machines.script(take=TAKES, seal=raises("Bug"))
    assert machines.run("take", SHOP)["status"] == "SUCCEEDED"
    assert machines.called == ["take", "seal", "take", "take", "take", "seal", "take"]
    asked, told = machines.calls[2][1]["taking"], machines.calls[-1][1]["taking"]
    assert (asked["next"], asked["unsealed"]) == ("ask", "the function that seals ended in Bug")
    assert (told["next"], told["unsealed"]) == ("done", "the function that seals ended in Bug")


@pytest.mark.parametrize(
    ("before", "given"),
    [([], SHOP), ([taking("ask")], {"taking": taking("ask")["taking"]})],
    ids=["begun", "asked"],
)
def test_a_point_that_is_not_taken_is_told(machines: Machines, before: list[Answer], given: Any) -> None:
    failed = raises("NotRunnable", "no such instance (check it)")
    machines.script(take=[*before, failed, taking("ask", 0, REPLY)])
    with machines.published() as replies:
        ended = machines.run("take", SHOP)
    assert (ended["status"], ended["error"]) == ("FAILED", "NotRunnable")
    assert json.loads(ended["cause"])["errorMessage"] == "no such instance (check it)"
    assert machines.calls[-1] == (
        "take",
        given | {"error": {"Error": ended["error"], "Cause": ended["cause"]}},
    )
    assert replies == [REPLY]


def test_rds_that_does_not_answer_for_minutes_costs_no_point(machines: Machines) -> None:
    machines.script(take=[TAKES[0], *[raises("Unavailable", "no answer (wait)")] * 8, *TAKES[1:]], seal=SEALS)
    assert machines.run("take", SHOP)["status"] == "SUCCEEDED"


# ------------------------------------------------------------------------------------- the one-pass ones

ONE_PASS = {
    "beat": (DUE, DUE),
    "retain": (DUE, DUE),
    "export": (DUE, DUE),
    "reap": (DUE, DUE),
    "copy": (DUE, DUE),
    "seal": (SHOP, SHOP),
    "hear": ({"detail": {"region": "r"}, "source": "pgdrill.test"}, {"detail": {"region": "r"}}),
}


@pytest.mark.parametrize("name", ONE_PASS)
def test_a_pass_calls_its_function_and_publishes_what_it_replies(machines: Machines, name: str) -> None:
    given, gets = ONE_PASS[name]
    answers: list[Answer] = [{"reply": REPLY}, {"reply": None}]
    machines.script(**{name: answers})
    with machines.published() as replies:
        for _ in range(2):
            assert machines.run(name, given)["status"] == "SUCCEEDED"
    assert machines.calls == [(name, gets)] * 2
    assert replies == [REPLY]


def test_all_machines_were_run() -> None:
    """Some in files of their own: publish, watch, and in a deployment the canary."""
    assert {*ONE_PASS, "drill", "take", "publish", "watch", "canary"} == set(definitions.NAMES)


@pytest.mark.parametrize("name", ["seal", "hear"])
def test_a_pass_that_fails_says_what_it_failed_of(machines: Machines, name: str) -> None:
    machines.script(**{name: raises("NotRunnable", "why (hint)")})
    ended = machines.run(name, ONE_PASS[name][0])
    assert (ended["status"], ended["error"]) == ("FAILED", "NotRunnable")
    assert machines.called == [name]


def test_what_the_other_cell_tells_begins_a_round_of_copies_at_the_event_s_time(machines: Machines) -> None:
    machines.script(copy={"reply": None})
    told = {"detail-type": "InventoryTold", "time": "2026-11-23T19:01:00Z", "detail": {}}
    assert machines.run("copy", told)["status"] == "SUCCEEDED"
    assert machines.calls == [("copy", {"due_at": "2026-11-23T19:01:00Z"})]


# ------------------------------------------------------------------------------------------ a deployment


def test_an_execution_in_flight_ends_with_the_functions_that_it_began_with(machines: Machines) -> None:
    states = machines.lab.client("stepfunctions", machines.region)
    machines.script(**healthy() | {"restore": to("observe") | {"until": "renewed"}})
    started = states.start_execution(stateMachineArn=machines.arns["drill"], input=json.dumps(SHOP))[
        "executionArn"
    ]
    until(lambda: "restore" in machines.called)
    machines.renew("new")
    machines.let_go("renewed")
    until(lambda: states.describe_execution(executionArn=started)["status"] != "RUNNING")
    assert states.describe_execution(executionArn=started)["status"] == "SUCCEEDED"
    assert (machines.called, machines.codes) == (WHOLE.split(), {"old"})
    machines.script(**healthy())
    assert machines.run("drill", SHOP)["status"] == "SUCCEEDED"
    assert (machines.called, machines.codes) == (WHOLE.split(), {"new"})
