"""Functions and state machines in a lab, as small as a test needs them."""

import io
import json
import zipfile
from typing import Any

from pgdrill.lab.lab import Lab
from tests.lab.labs import until

ROLE = "arn:aws:iam::000000000000:role/anything"


def archive(**files: str) -> bytes:
    """Return a zip of modules: name without `.py`, source."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        for name, source in files.items():
            package.writestr(f"{name}.py", source)
    return content.getvalue()


def deploy(lab: Lab, name: str, source: str, *, role: str = ROLE, **configuration: Any) -> str:
    """Make a function whose module `main` has a `handler`; return its ARN."""
    settings: dict[str, Any] = {"Runtime": "python3.13", "Handler": "main.handler", "Timeout": 10}
    made = lab.client("lambda").create_function(
        FunctionName=name, Role=role, Code={"ZipFile": archive(main=source)}, **(settings | configuration)
    )
    return str(made["FunctionArn"])


def invoke(lab: Lab, name: str, event: Any = None) -> Any:
    """Return what the function answers, an error's payload as well."""
    answer = lab.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def machine(lab: Lab, name: str, states: dict[str, Any], *, role: str = ROLE) -> str:
    """Make a state machine in JSONata that begins with its first state; return its ARN."""
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    made = lab.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role
    )
    return str(made["stateMachineArn"])


def execute(lab: Lab, machine_arn: str, given: Any = None) -> Any:
    """Run a state machine to its end and return its description."""
    client = lab.client("stepfunctions")
    started = client.start_execution(
        stateMachineArn=machine_arn, input=json.dumps(given, ensure_ascii=False)
    )["executionArn"]
    until(lambda: client.describe_execution(executionArn=started)["status"] != "RUNNING")
    return client.describe_execution(executionArn=started)
