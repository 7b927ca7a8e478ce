"""Names of Step Functions' AWS SDK integrations, which are those of the AWS SDK for Java 2, from botocore's models.

Members begin as words (`DbInstanceIdentifier`, but `SourceDBInstanceIdentifier`), exceptions consist of words
(`InvalidDbInstanceStateException`). Touches nothing.

Source: Step Functions Developer Guide, "Supported AWS SDK service integrations"; AWS SDK for Java 2, codegen,
`DefaultNamingStrategy`.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

# Services that botocore knows under another name.
BOTOCORE = {"sfn": "stepfunctions", "eventbridge": "events", "cloudwatchlogs": "logs"}
PREFIXES = {
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "eventbridge": "EventBridge",
    "secretsmanager": "SecretsManager",
    "dynamodb": "DynamoDb",
}


class Unknown(Exception):
    """A name that AWS would not take."""


def member(name: str) -> str:
    """Return what a member is called: `DBInstances` as `DbInstances`, `MultiAZ` and `stateMachineArn` capitalised."""
    run = re.match(r"[A-Z]{2,}", name)
    if run is None:
        return name[:1].upper() + name[1:]
    length = run.end() if run.end() == len(name) else run.end() - 1
    return name[:length].capitalize() + name[length:]


def exception(service: str, operation: OperationModel, code: str) -> str:
    """Return the error's name for Retry and Catch; one that the operation does not declare is the service's."""
    prefix = PREFIXES.get(service, service.capitalize())
    for shape in operation.error_shapes:
        if code in {shape.name, shape.metadata.get("error", {}).get("code")}:
            words = re.sub(r"[A-Z]{2,}(?=[A-Z][a-z]|$)", lambda run: run[0].capitalize(), shape.name)
            return f"{prefix}.{re.sub(r'(Fault|Exception|Error)$', '', words)}Exception"
    return f"{prefix}.{prefix}Exception"


def operation(model: ServiceModel, name: str) -> OperationModel:
    """Return the operation that a resource's last part names, as `describeDBInstances`.

    Raises:
        Unknown: there is none.
    """
    found = name[:1].upper() + name[1:]
    if name[:1].isupper() or found not in model.operation_names:
        raise Unknown(f"The resource provided for the state is not recognized: {model.service_name}:{name}")
    return model.operation_model(found)


def request(shape: Shape, given: Any, where: str = "") -> Any:
    """Return arguments under botocore's names.

    Raises:
        Unknown: an argument is none of the operation's.
    """
    if isinstance(shape, StructureShape) and isinstance(given, dict):
        names = {member(name): name for name in shape.members}
        unknown = given.keys() - names.keys()
        if unknown:
            raise Unknown(f"The field {where}{min(unknown)!r} is not supported by Step Functions")
        return {
            names[name]: request(shape.members[names[name]], value, f"{where}{name}.")
            for name, value in given.items()
        }
    if isinstance(shape, ListShape) and isinstance(given, list):
        return [request(shape.member, value, where) for value in given]
    if isinstance(shape, MapShape) and isinstance(given, dict):
        return {name: request(shape.value, value, where) for name, value in given.items()}
    if shape.type_name == "blob":
        return json.dumps(given)  # a payload is JSON, a text with its quotation marks
    if shape.type_name in {"integer", "long"} and isinstance(given, float) and given.is_integer():
        return int(given)  # JSONata's numbers
    return given


def result(shape: Shape | None, answer: Any) -> Any:
    """Return an answer of botocore's as a state's result: JSON, with the names that states see."""
    if isinstance(shape, StructureShape):
        return {
            member(name): result(shape.members[name], value)
            for name, value in answer.items()
            if name in shape.members
        }
    if isinstance(shape, ListShape):
        return [result(shape.member, value) for value in answer]
    if isinstance(shape, MapShape):
        return {name: result(shape.value, value) for name, value in answer.items()}
    if isinstance(answer, datetime):
        return answer.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if hasattr(answer, "read"):
        answer = answer.read()
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
