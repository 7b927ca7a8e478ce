"""The definitions of state machines in infra/machines, read as plain data, for tests and for docs/machines.md."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonata  # type: ignore[import-untyped] # the emulator brings it, and it ships no types

FOLDER = Path(__file__).parents[2] / "infra" / "machines"
NAMES = tuple(sorted(path.name.removesuffix(".asl.json") for path in FOLDER.glob("*.asl.json")))
INVOKE = "arn:aws:states:::lambda:invoke"
START = "arn:aws:states:::states:startExecution"

Body = dict[str, Any]


@dataclass(frozen=True)
class State:
    name: str
    body: Body

    @property
    def function(self) -> str | None:
        """The function that it invokes, as `take`."""
        if self.body.get("Resource") != INVOKE:
            return None
        name: str = self.body["Arguments"]["FunctionName"]
        return name.removeprefix("${function_").removesuffix("}")

    def following(self) -> list[str]:
        """Return where it can lead, an error's way included."""
        targets = [self.body.get("Next"), self.body.get("Default")]
        targets += [way["Next"] for way in (*self.body.get("Choices", ()), *self.body.get("Catch", ()))]
        return [target for target in targets if target]

    def way_of(self, error: str) -> str | None:
        """Return where an error leads once it is no longer retried; None where it ends the execution."""
        for catcher in self.body.get("Catch", ()):
            if error in catcher["ErrorEquals"] or catcher["ErrorEquals"] == ["States.ALL"]:
                return str(catcher["Next"])
        return None

    def retrier_of(self, error: str) -> Body | None:
        for retrier in self.body.get("Retry", ()):
            if error in retrier["ErrorEquals"]:
                return dict(retrier)
        return None


def text(name: str) -> str:
    return (FOLDER / f"{name}.asl.json").read_text(encoding="utf-8")


def load(name: str) -> Body:
    found: Body = json.loads(text(name))
    return found


def flows(definition: Body) -> Iterator[Body]:
    """Yield the definition, and what its Map states run for each item."""
    yield definition
    for body in definition["States"].values():
        if "ItemProcessor" in body:
            yield from flows(body["ItemProcessor"])


def states(name: str) -> list[State]:
    """Return every state of a machine, those inside its Map states as well."""
    return [State(each, body) for flow in flows(load(name)) for each, body in flow["States"].items()]


def functions(name: str) -> dict[str, list[State]]:
    """Return the functions of a machine, each with the states that invoke it."""
    found: dict[str, list[State]] = {}
    for state in states(name):
        if state.function:
            found.setdefault(state.function, []).append(state)
    return found


def placeholders(name: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)\}", text(name)))


def filled(name: str, values: dict[str, str]) -> str:
    """Return a definition with its placeholders filled, as it is deployed."""
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text(name))


def expressions(value: Any) -> Iterator[str]:
    """Yield every JSONata expression in a part of a definition, without its marks."""
    if isinstance(value, str) and value.startswith("{%"):
        if not value.endswith("%}"):
            raise ValueError(f"an expression does not end: {value}")
        yield value[2:-2].strip()
    elif isinstance(value, dict):
        for below in value.values():
            yield from expressions(below)
    elif isinstance(value, list):
        for below in value:
            yield from expressions(below)


def evaluate(template: Any, states: Body, **variables: Any) -> Any:
    """Return what a field of a state is; `states` is `$states`: input, result, errorOutput."""
    if isinstance(template, dict):
        return {name: evaluate(value, states, **variables) for name, value in template.items()}
    if isinstance(template, list):
        return [evaluate(value, states, **variables) for value in template]
    for expression in expressions(template):
        parsed = jsonata.Jsonata.jsonata(expression)
        # As the emulator does it: what Step Functions adds to JSONata.
        parsed.register_lambda(
            "partition", lambda array, size: [array[at : at + size] for at in range(0, len(array), size)]
        )
        return parsed.evaluate(None, {"states": states} | variables)
    return template
