"""Draws the state machines as they are defined, so that people can look at them; writes docs/machines.md.

`python -m tests.infra.pictures`. Touches the document alone.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from functions import BY_NAME
from tests.infra import definitions
from tests.infra.definitions import NAMES, Body, State

DOCUMENT = Path(__file__).parents[2] / "docs" / "machines.md"
# Those that loop, and what all start; then those of one pass.
FIRST = ("take", "drill", "publish")

HEAD = """\
# State machines

Generated from `infra/machines/` by `make docs`; a test holds that it is fresh.

A function decides; a state machine waits, asks again, and tells.
Definitions are Amazon States Language in JSONata and open in Workflow Studio as they are: `${...}` are its definition substitutions, which the Pulumi program fills with the ARNs of published versions.
So an execution that is under way while a deployment changes everything ends with the functions and the plan that it began with.

- **The next step is the function's to say.**
  A drill, and a point in the making, carry `next` and `wait`; the machine goes there, after so long.
  `pgdrill drill run` and `pgdrill point take` are the same loop over the same functions.
- **Who is told is the machine's to do.**
  A function replies with metrics, events and messages; `publish` puts them where they belong, and is not waited for.
  A reply of null starts nothing.
- **An error is matched by its class.**
  `Unavailable` is asked again, for half a minute, or for an hour where a point or hours of a drill are at stake; what Lambda says of itself is asked again too, and a function that idled for weeks, as the DR cell's do between drills, is waited for until its network is back.
  An invocation that was cut off is repeated once, since every step is safe to repeat.
  A look has little time, and the next one comes soon: it repeats only what has failed at once.
  In a drill, `Busy` and `NotOurs` end the execution, because what is there is somebody else's; anything else goes on to the judge, and the judge's own to the end, so that the temporary instance is deleted whatever happened.
- **What no Catch sees is the reaper's.**
  A stopped execution, one whose time is over, and `States.DataLimitExceeded` run no Catch; `reap` deletes what a lease has run out of.

A payload is references, names and times, under 32 KiB however many tables there are.
History is bounded: the longest way round of a drill makes 16 events, and five hours of it less than half of the 25,000 that AWS allows.
"""


def document() -> str:
    order = [*FIRST, *(name for name in NAMES if name not in FIRST)]
    return "\n".join([HEAD, *(_section(name) for name in order)])


def _section(name: str) -> str:
    definition = definitions.load(name)
    rows = [_row(state) for state in definitions.states(name)]
    return "\n".join(
        [
            f"## {name}\n",
            *(f"{sentence}" for sentence in _sentences(definition["Comment"])),
            f"It may take {_time(definition['TimeoutSeconds'])}.\n",
            "```mermaid\nstateDiagram-v2",
            *_drawn(definition),
            "```\n",
            "| state | does | within |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _sentences(comment: str) -> list[str]:
    return re.split(r"(?<=\.) ", comment)


def _row(state: State) -> str:
    does = str(state.body.get("Comment", ""))
    if state.function:
        where = BY_NAME[state.function].network
        does = f"function `{state.function}` in the {where} network. {does}"
    elif state.body["Type"] == "Task":
        does = f"`{state.body['Resource'].removeprefix('arn:aws:states:::')}`. {does}".removesuffix(". ")
    limit = state.body.get("TimeoutSeconds")
    return f"| {state.name} | {does} | {f'{limit} s' if limit else ''} |"


def _drawn(flow: Body, depth: int = 1) -> Iterator[str]:
    """Yield the lines of a flow; only the ways of errors have a label."""
    pad = "    " * depth
    for name, body in flow["States"].items():
        yield f'{pad}state "{name}" as {_id(name)}'
        if "ItemProcessor" in body:
            yield f"{pad}state {_id(name)} {{"
            yield from _drawn(body["ItemProcessor"], depth + 1)
            yield f"{pad}}}"
    yield f"{pad}[*] --> {_id(flow['StartAt'])}"
    for name, body in flow["States"].items():
        for target in dict.fromkeys([body.get("Next"), *_choices(body), body.get("Default")]):
            if target:
                yield f"{pad}{_id(name)} --> {_id(target)}"
        for catcher in body.get("Catch", ()):
            errors = ", ".join(catcher["ErrorEquals"]).replace("States.ALL", "any error")
            yield f"{pad}{_id(name)} --> {_id(catcher['Next'])}: {errors}"
        if body.get("End") or body["Type"] in {"Succeed", "Fail"}:
            yield f"{pad}{_id(name)} --> [*]"


def _choices(body: Body) -> list[str]:
    return [choice["Next"] for choice in body.get("Choices", ())]


def _id(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower()


def _time(seconds: int) -> str:
    return f"{seconds // 3600} hours" if seconds % 3600 == 0 else f"{seconds // 60} minutes"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
