"""The emulator's Step Functions ask no role to deliver logs or to use a state machine's key; AWS's do.

A state machine with a log is made or changed only if its role may set up its delivery, and one with a customer-managed
key starts an execution only if its role may use that.

Source: Step Functions Developer Guide, "Using CloudWatch Logs to log execution history" and "Data at rest encryption
in Step Functions"; Step Functions API, StartExecution, KmsAccessDeniedException.
"""

import contextlib
import time
from http import HTTPStatus
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import stepfunctions

from pgdrill.lab.bends import roles
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.bends.tasks import SERVICE
from pgdrill.lab.rds.service import Rds

CREATES = (
    "CreateLogDelivery",
    "GetLogDelivery",
    "ListLogDeliveries",
    "DescribeLogGroups",
    "DescribeResourcePolicies",
    "PutResourcePolicy",
)
CHANGES = (*CREATES[1:], "UpdateLogDelivery")
# Until when a state machine's data key is used again, by (ARN, role, key).
_fresh: dict[tuple[str, str, str], float] = {}


def apply(_: Rds) -> None:
    graft(stepfunctions, "_create_state_machine(data)", _created)
    graft(stepfunctions, "_update_state_machine(data)", _changed)
    graft(stepfunctions, "_delete_state_machine(data)", _deleted)
    graft(stepfunctions, "_start_execution(data)", _with_the_key)


def _created(original: Function) -> Function:
    def create_state_machine(data: dict[str, Any]) -> Any:
        here = f"arn:aws:states:{get_region()}:{get_account_id()}"
        machine = data | {"stateMachineArn": f"{here}:stateMachine:{data.get('name')}"}
        return _denied(machine, CREATES) or original(data)

    return create_state_machine


def _changed(original: Function) -> Function:
    def update_state_machine(data: dict[str, Any]) -> Any:
        return _denied((_machine(data) or {}) | data, CHANGES) or original(data)

    return update_state_machine


def _deleted(original: Function) -> Function:
    def delete_state_machine(data: dict[str, Any]) -> Any:
        machine = _machine(data)
        answer = original(data)
        if machine and answer[0] == HTTPStatus.OK and _logs(machine):
            with contextlib.suppress(roles.NotAllowed):  # then the delivery stays
                _ask(machine, "logs:DeleteLogDelivery", "*")
        return answer

    return delete_state_machine


def _denied(machine: dict[str, Any], delivery: tuple[str, ...]) -> Any:
    """Return AWS's refusal where the role may not deliver the log that is asked for, else None."""
    if not _logs(machine):
        return None
    try:
        for action in delivery:
            _ask(machine, f"logs:{action}", "*")
        if key := _key(machine):
            logs = {"kms:EncryptionContext:SourceArn": f"arn:aws:logs:{get_region()}:{get_account_id()}:*"}
            _ask(machine, "kms:GenerateDataKey", key, logs)
    except roles.NotAllowed:
        lacks = "The state machine IAM Role is not authorized to access the Log Destination"
        return error_response_json("AccessDeniedException", lacks, 400)
    return None


def _with_the_key(original: Function) -> Function:
    def start_execution(data: dict[str, Any]) -> Any:
        asked = data.get("stateMachineArn", "").partition("#")[0]
        base = stepfunctions._resolve_state_machine_arn(asked)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
        machine = stepfunctions._state_machines.get(base) if base else None  # type: ignore[no-untyped-call] # noqa: SLF001
        if machine and (key := _key(machine)):
            period = machine["encryptionConfiguration"].get("kmsDataKeyReusePeriodSeconds", 300)
            known = base, machine["roleArn"], key
            context = {"kms:EncryptionContext:aws:states:stateMachineArn": base}
            try:
                if _fresh.get(known, 0) < time.monotonic():
                    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
                        _ask(machine, action, key, context)
                    _fresh[known] = time.monotonic() + period
            except roles.NotAllowed as error:
                return error_response_json("KmsAccessDeniedException", str(error), 400)
        return original(data)

    return start_execution


def _machine(data: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = stepfunctions._state_machines.get(data.get("stateMachineArn"))  # type: ignore[no-untyped-call] # noqa: SLF001
    return found


def _logs(machine: dict[str, Any]) -> bool:
    return bool((machine.get("loggingConfiguration") or {}).get("level", "OFF") != "OFF")


def _key(machine: dict[str, Any]) -> str | None:
    encryption = machine.get("encryptionConfiguration") or {}
    return encryption.get("kmsKeyId") if encryption.get("type") == "CUSTOMER_MANAGED_KMS_KEY" else None


def _ask(machine: dict[str, Any], action: str, resource: str, context: dict[str, str] | None = None) -> None:
    source = machine["stateMachineArn"]
    roles.check(machine.get("roleArn", ""), SERVICE, action, resource, source=source, context=context)
