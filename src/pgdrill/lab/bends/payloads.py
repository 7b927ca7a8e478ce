"""The emulator carries any payload from state to state; AWS fails a state whose input or output is over 256 KiB.

`States.DataLimitExceeded` and `States.Runtime` are terminal: a Catch or Retry of `States.ALL` does not match them.

Source: Step Functions Developer Guide, "Service quotas" (maximum input or output size) and "Handling errors".
"""

import json
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import stepfunctions

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.bends.tasks import failure
from pgdrill.lab.rds.service import Rds

LIMIT = 262_144  # bytes of UTF-8
TERMINAL = frozenset({"States.DataLimitExceeded", "States.Runtime"})
STATES = (
    "_execute_pass(state_def, raw_input, ctx)",
    "_execute_task(state_def, raw_input, execution, ctx)",
    "_execute_choice(state_def, raw_input, ctx)",
    "_execute_wait(state_def, raw_input, ctx)",
    "_execute_parallel(state_def, raw_input, execution, ctx)",
    "_execute_map(state_def, raw_input, execution, ctx)",
)


def apply(_: Rds) -> None:
    for state in STATES:
        graft(stepfunctions, state, _limited_output)
    graft(stepfunctions, "_invoke_resource(resource, input_data)", _limited_task)
    graft(stepfunctions, "_error_matches(error_equals, error)", _terminal)
    graft(stepfunctions, "_start_execution(data)", _limited_start)


def _size(value: Any) -> int:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


def _limited_output(original: Function) -> Function:
    def execute(state_def: Any, raw_input: Any, *rest: Any) -> Any:
        output, following = original(state_def, raw_input, *rest)
        if _size(output) > LIMIT:
            what = f"The state of type '{state_def['Type']}'"
            raise failure("States.DataLimitExceeded", f"{what} returned a result {_too_large()}")
        return output, following

    return execute


def _limited_task(original: Function) -> Function:
    def invoke_resource(resource: str, input_data: Any) -> Any:
        if _size(input_data) > LIMIT:
            raise failure("States.DataLimitExceeded", f"The task '{resource}' got an input {_too_large()}")
        result = original(resource, input_data)
        if _size(result) > LIMIT:
            raise failure(
                "States.DataLimitExceeded", f"The task '{resource}' returned a result {_too_large()}"
            )
        return result

    return invoke_resource


def _too_large() -> str:
    return "with a size exceeding the maximum number of bytes service limit."


def _terminal(original: Function) -> Function:
    def error_matches(error_equals: list[str], error: str) -> bool:
        if error in TERMINAL:
            return error in error_equals
        return bool(original(error_equals, error))

    return error_matches


def _limited_start(original: Function) -> Function:
    def start_execution(data: dict[str, Any]) -> Any:
        if len(data.get("input", "").encode()) > LIMIT:
            said = f"Value at 'input' failed to satisfy constraint: Member must have length less than or equal to {LIMIT}"
            return error_response_json("ValidationException", f"1 validation error detected: {said}", 400)
        return original(data)

    return start_execution
