"""The emulator lets an execution begin after a pause, and does not tell when all have ended; here it begins at once.

No difference to AWS that a state machine could see. The lab's door can wait until nothing runs any more, whoever
started it, and tells which executions did not succeed.
"""

import json
import threading
import time
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from ministack.services import stepfunctions

from pgdrill.errors import Broken
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

PAUSE = 0.15  # what the emulator waits before an execution's first state

_ended = threading.Condition()
_running: set[str] = set()
_unsuccessful: list[dict[str, Any]] = []


def apply(_: Rds) -> None:
    graft(stepfunctions, "_start_execution(data)", _counting)
    graft(stepfunctions, "_run_execution(exec_arn)", _counting_down)
    without_pause = {name: value for name, value in vars(time).items() if not name.startswith("__")}
    without_pause["sleep"] = lambda seconds: None if seconds == PAUSE else time.sleep(seconds)
    vars(stepfunctions)["time"] = SimpleNamespace(**without_pause)


def settle(timeout: float) -> list[dict[str, Any]]:
    """Wait until no execution runs; return those that did not succeed since the last time, as AWS describes them.

    Raises:
        Broken: some still run.
    """
    with _ended:
        if not _ended.wait_for(lambda: not _running, timeout):
            some = ", ".join(sorted(_running)[:3])
            raise Broken(
                f"{len(_running)} executions run for more than {timeout:g} s: {some}",
                hint="see what they wait for: aws stepfunctions get-execution-history",
            )
        told = list(_unsuccessful)
        _unsuccessful.clear()
    return told


def _counting(original: Function) -> Function:
    def start_execution(data: dict[str, Any]) -> Any:
        with _ended:  # the execution's thread waits here at its end, should it be quicker
            answer = original(data)
            status, _, body = answer
            if status == HTTPStatus.OK:
                _running.add(json.loads(body)["executionArn"])
        return answer

    return start_execution


def _counting_down(original: Function) -> Function:
    def run_execution(exec_arn: str) -> None:
        try:
            original(exec_arn)
        finally:
            execution = stepfunctions._executions.get(exec_arn)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
            with _ended:
                if execution and execution["status"] != "SUCCEEDED":
                    told = ("executionArn", "status", "error", "cause")
                    _unsuccessful.append({name: execution.get(name) for name in told})
                _running.discard(exec_arn)
                _ended.notify_all()

    return run_execution
