"""What is deployed in a lab, as an operator sees it: schedules to fire, state machines to start, executions to follow.

Calls Scheduler's door and the Step Functions API; waits, as people do.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab.deploy.deployment import OUTPUTS, PLAN
from pgdrill.lab.lab import Lab
from pgdrill.model import JSON
from pgdrill.plan import Plan

PAUSE = 0.1
PATIENCE = 300.0
# Events asked for at once, each with up to all of its state's output; since the last look there are a few.
EVENTS = 10

Output = tuple[str, JSON]


class Deployed:
    """One deployment, by its outputs and plan."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        try:
            self.outputs: dict[str, str] = json.loads((lab.directory / OUTPUTS).read_bytes())
        except FileNotFoundError as error:
            raise NotRunnable(
                f"nothing is deployed in {str(lab.directory)!r}", hint="deploy it with: pgdrill lab deploy"
            ) from error
        self.plan_path = lab.directory / PLAN
        self.plan = Plan.load(self.plan_path)

    def fire(self, job: str, due_at: datetime, *, region: str | None = None) -> str:
        """Fire a schedule, `take-shop` for one; return the execution that it started.

        Raises:
            Broken: it started none.
        """
        name = f"pgdrill-{self.plan.stack.suffix}-{job}"
        fired = self._lab.door.fire(name, due_at, region=region)
        if not fired["executions"]:
            raise Broken(
                f"schedule {name!r} started nothing: {fired['undelivered']}",
                hint="look at its role, its target and its dead-letter queue",
            )
        return str(fired["executions"][-1])

    def start(self, machine: str, given: dict[str, Any]) -> str:
        """Start one of the primary cell's state machines, `Drill` for one; return the execution."""
        arn = self.outputs[f"primary{machine}MachineArn"]
        states = self._lab.client("stepfunctions", self.plan.primary.region)
        return str(states.start_execution(stateMachineArn=arn, input=json.dumps(given))["executionArn"])

    def follow(self, execution: str, wait: Callable[[float], object] = time.sleep) -> Iterator[Output]:
        """Yield the name and output of each state as it is left, until the execution has ended.

        Raises:
            Broken: it failed, or has not ended after five minutes.
        """
        states = self._lab.client("stepfunctions", execution.split(":")[3])
        end = time.monotonic() + PATIENCE
        seen = 0
        while True:
            status = states.describe_execution(executionArn=execution)
            for event in _since(states, execution, seen):
                seen = event["id"]
                if (left := event.get("stateExitedEventDetails")) is not None:
                    yield left["name"], json.loads(left.get("output") or "null")
            if status["status"] == "SUCCEEDED":
                return
            if status["status"] != "RUNNING" or time.monotonic() > end:
                raise Broken(
                    f"execution {execution!r} is {status['status'].lower()}: {status.get('error', '')} {status.get('cause', '')}".strip(),
                    hint="aws stepfunctions get-execution-history tells each of its steps",
                )
            wait(PAUSE)

    def run(self, execution: str, wait: Callable[[float], object] = time.sleep) -> list[Output]:
        return list(self.follow(execution, wait))


def _since(states: Any, execution: str, seen: int) -> list[Any]:
    """Return the events after one, oldest first."""
    found: list[Any] = []
    asked: dict[str, Any] = {"executionArn": execution, "reverseOrder": True, "maxResults": EVENTS}
    while True:
        page = states.get_execution_history(**asked)
        new = [event for event in page["events"] if event["id"] > seen]
        found += new
        if len(new) < len(page["events"]) or "nextToken" not in page:
            return found[::-1]
        asked["nextToken"] = page["nextToken"]
