"""The emulator counts no executions of state machines; AWS publishes how many began and how they ended, in `AWS/States`.

A count of 1 when it happens, about the state machine, whichever version of it ran; and how long those took that ended.

Source: Step Functions Developer Guide, "Monitoring Step Functions metrics using Amazon CloudWatch".
"""

from datetime import datetime
from typing import Any

from ministack.services import cloudwatch, stepfunctions

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

NAMESPACE = "AWS/States"
METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def apply(_: Rds) -> None:
    graft(stepfunctions, "_emit_execution_status_event(execution)", _counting)


def _counting(original: Function) -> Function:
    def emit(execution: dict[str, Any]) -> None:
        about = {"StateMachineArn": execution["stateMachineArn"]}
        cloudwatch.record_metric(NAMESPACE, METRICS[execution["status"]], 1, "Count", about)
        if execution.get("stopDate"):
            took = _moment(execution["stopDate"]) - _moment(execution["startDate"])
            milliseconds = took.total_seconds() * 1000
            cloudwatch.record_metric(NAMESPACE, "ExecutionTime", milliseconds, "Milliseconds", about)
        original(execution)

    return emit


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
