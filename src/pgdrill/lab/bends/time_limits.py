"""The emulator lets an execution run past the time limit of its state machine; AWS ends it, and no Catch runs.

Its status is `TIMED_OUT`, and stays so whatever the state that was under way ends in. A limit is real seconds, however
much shorter the lab's state machines wait.

Source: Amazon States Language, "Timeouts"; Step Functions API reference, `DescribeExecution` and `HistoryEventType`.
"""

import contextvars
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds


def apply(_: Rds) -> None:
    graft(stepfunctions, "_run_execution(exec_arn)", _within_the_limit)
    graft(stepfunctions, "_fail_execution(execution, error, cause)", _once)


def _within_the_limit(original: Function) -> Function:
    def run_execution(exec_arn: str) -> None:
        execution = stepfunctions._executions.get(exec_arn)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
        with _limited(execution):
            original(exec_arn)

    return run_execution


@contextmanager
def _limited(execution: dict[str, Any]) -> Iterator[None]:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
    limit = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    if limit is None:
        yield
        return
    # The timer acts in the account and region of the execution.
    timer = threading.Timer(limit, contextvars.copy_context().run, (_time_out, execution))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _time_out(execution: dict[str, Any]) -> None:
    if execution["status"] != "RUNNING":
        return
    execution["status"], execution["stopDate"] = "TIMED_OUT", now_iso()
    stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
    stepfunctions._emit_execution_status_event(execution)  # noqa: SLF001 # the same


def _once(original: Function) -> Function:
    """Let an execution that has ended stay as it ended."""

    def fail_execution(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            original(execution, error, cause)

    return fail_execution
