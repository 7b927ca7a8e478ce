"""A function runs as in Lambda: its errors keep their names, and what runs is what was deployed."""

import json
import re
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import deploy, execute, invoke, machine
from tests.lab.labs import MakeLab

RAISES = """
class Busy(Exception):
    pass

def handler(event, context):
    raise Busy("the instance is creating")
"""


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(bends=False))
    return lab


def caught(lab: Lab, function: str) -> Any:
    """Call a function from a state machine that catches `Busy` and nothing else; return the execution."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": {}},
        "Catch": [{"ErrorEquals": ["Busy"], "Next": "Seen", "Output": "{% $states.errorOutput %}"}],
        "End": True,
    }
    arn = machine(lab, f"catches-{function}", {"Call": task, "Seen": {"Type": "Succeed"}})
    return execute(lab, arn, {})


def test_a_state_machine_catches_an_exception_by_its_class(lab: Lab) -> None:
    deploy(lab, "raises", RAISES)
    ended = caught(lab, "raises")
    assert ended["status"] == "SUCCEEDED"
    output = json.loads(ended["output"])
    assert output["Error"] == "Busy"
    cause = json.loads(output["Cause"])
    assert (cause["errorType"], cause["errorMessage"]) == ("Busy", "the instance is creating")
    assert cause["stackTrace"] == [
        '  File "/var/task/main.py", line 6, in handler\n    raise Busy("the instance is creating")\n'
    ]
    assert len(cause["requestId"]) == 36


def test_the_bare_emulator_hides_the_class(unbent: Lab) -> None:
    deploy(unbent, "raises", RAISES)
    ended = caught(unbent, "raises")
    assert (ended["status"], ended["error"]) == ("FAILED", "Runtime.HandlerError")


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (
            "import nowhere",
            "Runtime.ImportModuleError",
            "Unable to import module 'main': No module named 'nowhere'",
        ),
        ("def other(): ...", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'main'"),
        ("raise LookupError('at import')", "LookupError", "at import"),
        (
            "handler = lambda event, context: {1, 2}",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
        ),
        (
            "import os\ndef handler(event, context): os._exit(1)",
            "Runtime.ExitError",
            "RequestId: .* Error: Runtime exited without providing a reason",
        ),
        (
            "import time\ndef handler(event, context): time.sleep(9)",
            "Sandbox.Timedout",
            "RequestId: .* Error: Task timed out after 1.00 seconds",
        ),
    ],
)
def test_what_the_runtime_finds_wrong_has_its_own_name(
    lab: Lab, source: str, kind: str, message: str
) -> None:
    name = f"fails-{kind.rpartition('.')[2]}"
    deploy(lab, name, source, Timeout=1)
    payload = invoke(lab, name, {})
    assert payload["errorType"] == kind
    assert re.fullmatch(message, payload["errorMessage"])
