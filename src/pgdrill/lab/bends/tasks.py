"""The emulator's state machines call its services past IAM, with names of its own; AWS's call them as their role.

A task that calls AWS does so through the front door, as the role of its state machine, so policies hold. Arguments,
results and errors have Step Functions' names, and an argument that AWS does not know is refused. A function is
invoked and an execution started only where the role may; an integration that the lab does not serve fails.

Source: Step Functions Developer Guide, "Integrating services" and "Handling errors in Step Functions workflows".
"""

import asyncio
import json
from contextvars import ContextVar
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import get_account_id, get_region
from ministack.services import stepfunctions

from pgdrill.lab.bends import roles, sdk_names
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

SERVICE = "states.amazonaws.com"
# Integrations of Step Functions' own that are calls of one action; what they take as JSON goes on as text.
OPTIMIZED = {
    "sns:publish": ("sns", "publish"),
    "sqs:sendMessage": ("sqs", "sendMessage"),
    "events:putEvents": ("eventbridge", "putEvents"),
}
AS_TEXT = frozenset({"Message", "MessageBody", "Detail"})

_state_machine: ContextVar[dict[str, Any]] = ContextVar("state_machine")


def apply(_: Rds) -> None:
    graft(stepfunctions, "_execute_task(state_def, raw_input, execution, ctx)", _of_a_state_machine)
    graft(stepfunctions, "_invoke_resource(resource, input_data)", _as_its_role)


def failure(error: str, cause: str) -> Exception:
    """Return what fails a state under a name that Retry and Catch match."""
    made: Exception = stepfunctions._ExecutionError(error, cause)  # type: ignore[no-untyped-call] # noqa: SLF001 # its own
    return made


def _of_a_state_machine(original: Function) -> Function:
    def execute_task(state_def: Any, raw_input: Any, execution: dict[str, Any], ctx: Any) -> Any:
        token = _state_machine.set(stepfunctions._state_machines[execution["stateMachineArn"]])  # noqa: SLF001
        try:
            return original(state_def, raw_input, execution, ctx)
        finally:
            _state_machine.reset(token)

    return execute_task


def _as_its_role(original: Function) -> Function:
    def invoke_resource(resource: str, input_data: Any) -> Any:
        if _state_machine.get(None) is None or _on_the_loop():
            return original(resource, input_data)  # a state that is tried out by itself: it has no role
        name = resource.removeprefix("arn:aws:states:::")
        try:
            if name.startswith("aws-sdk:"):
                _, service, action = name.split(":", 2)
                return _call(service, action, input_data)
            if name in OPTIMIZED:
                result = _call(*OPTIMIZED[name], _texts(input_data))
                if result.get("FailedEntryCount"):
                    raise failure("EventBridge.FailedEntry", json.dumps(result))
                return result
            _ask(name, input_data)
        except roles.NotAllowed as error:
            lambdas = name == "lambda:invoke"
            raise failure(
                "Lambda.AWSLambdaException" if lambdas else "States.Permissions", str(error)
            ) from error
        return original(resource, input_data)

    return invoke_resource


def _on_the_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _call(service: str, action: str, arguments: Any) -> Any:
    machine = _state_machine.get()
    client = roles.client(
        sdk_names.BOTOCORE.get(service, service),
        get_region(),
        machine["roleArn"],
        SERVICE,
        source=machine["stateMachineArn"],
    )
    try:
        operation = sdk_names.operation(client.meta.service_model, action)
        request = sdk_names.request(operation.input_shape, arguments) if operation.input_shape else {}
    except sdk_names.Unknown as error:
        raise failure("States.Runtime", str(error)) from error
    python_name = next(
        name for name, method in client.meta.method_to_api_mapping.items() if method == operation.name
    )
    try:
        answer = getattr(client, python_name)(**request)
    except ClientError as error:
        said = error.response["Error"]
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 400)
        cause = f"{said.get('Message', '')} (Service: {service.capitalize()}, Status Code: {status})"
        raise failure(sdk_names.exception(service, operation, said["Code"]), cause) from error
    except BotoCoreError as error:
        raise failure("States.Runtime", str(error)) from error
    return sdk_names.result(operation.output_shape, answer)


def _texts(given: Any) -> Any:
    """Return arguments with what may be given as JSON, and the service takes as text, as text."""
    if isinstance(given, list):
        return [_texts(value) for value in given]
    if not isinstance(given, dict):
        return given
    return {
        name: json.dumps(value) if name in AS_TEXT and not isinstance(value, str) else _texts(value)
        for name, value in given.items()
    }


def _ask(name: str, arguments: Any) -> None:
    """See that the role may do what the emulator then does in-process; what is not known here fails.

    Raises:
        roles.NotAllowed: it may not.
    """
    machine = _state_machine.get()
    here = f"{get_region()}:{get_account_id()}"
    if name.startswith("lambda:invoke"):
        action, function = "lambda:InvokeFunction", arguments.get("FunctionName", "")
        resource = function if function.startswith("arn:") else f"arn:aws:lambda:{here}:function:{function}"
    elif name.startswith("states:startExecution"):
        action, resource = "states:StartExecution", arguments.get("StateMachineArn", "")
    elif name.startswith("arn:aws:lambda:"):
        action, resource = "lambda:InvokeFunction", name
    else:
        raise failure("States.Runtime", f"the lab does not serve the integration {name}")
    roles.check(machine["roleArn"], SERVICE, action, resource, source=machine["stateMachineArn"])
