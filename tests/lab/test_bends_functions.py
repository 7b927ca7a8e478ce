"""A function runs as in Lambda: its errors keep their names, and what runs is what was deployed."""

import base64
import json
import re
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import archive, deploy, execute, invoke, machine
from tests.lab.labs import MakeLab
from tests.lab.roles import ACCOUNT, Role, allow

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


FINDS = "import importlib.util\ndef handler(event, context): return [n for n in event if importlib.util.find_spec(n)]"


def test_a_function_has_its_zip_and_the_runtime_and_nothing_of_the_host(lab: Lab, unbent: Lab) -> None:
    wanted = ["main", "json", "sqlite3", "boto3", "botocore", "psycopg", "pgdrill", "ministack"]
    for each, found in (lab, wanted[:5]), (unbent, wanted):
        deploy(each, "finds", FINDS)
        assert invoke(each, "finds", wanted) == found


ENVIRONMENT = "import os\ndef handler(event, context): return dict(os.environ)"


def test_a_function_has_lambda_s_environment_and_its_own(lab: Lab, unbent: Lab) -> None:
    for each in (lab, unbent):
        deploy(each, "environment", ENVIRONMENT, Environment={"Variables": {"PLAN": "s3://plan"}})
    found = invoke(lab, "environment")
    assert (found["PLAN"], found["AWS_LAMBDA_FUNCTION_NAME"]) == ("s3://plan", "environment")
    assert found["AWS_ENDPOINT_URL"] == lab.environment["AWS_ENDPOINT_URL"]
    host = {"MINISTACK_REGION", "STATE_DIR", "PERSIST_STATE", "DOCKER_HOST"}
    assert host & found.keys() == set()
    assert host & invoke(unbent, "environment").keys() == host


LIMITS = """
def handler(event, context):
    return context.memory_limit_in_mb, context.get_remaining_time_in_millis(), context.invoked_function_arn
"""


def test_a_function_knows_its_memory_and_time(lab: Lab) -> None:
    arn = deploy(lab, "limits", LIMITS, MemorySize=512, Timeout=7)
    memory, remaining, own = invoke(lab, "limits")
    assert (memory, own) == (512, arn)
    assert 6000 < remaining <= 7000
    lab.client("lambda").update_function_configuration(FunctionName="limits", MemorySize=1024, Timeout=3)
    memory, remaining, _ = invoke(lab, "limits")
    assert memory == 1024
    assert remaining <= 3000


def test_what_runs_is_what_was_deployed_last_or_published(lab: Lab) -> None:
    deploy(lab, "versions", "handler = lambda event, context: 'first'")
    client = lab.client("lambda")
    assert invoke(lab, "versions") == "first"
    version = client.publish_version(FunctionName="versions")["Version"]
    changed = archive(main="handler = lambda event, context: 'second'")
    client.update_function_code(FunctionName="versions", ZipFile=changed)
    assert invoke(lab, "versions") == "second"
    assert invoke(lab, f"versions:{version}") == "first"


def test_a_function_acts_as_its_role(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up(Settings(auth=True))
    role = Role(lab, "acts", allow("s3:ListBucket"), service="lambda.amazonaws.com")
    source = """
import boto3
def handler(event, context):
    who = boto3.client("sts").get_caller_identity()["Arn"]
    boto3.client("s3").list_objects_v2(Bucket=event)
    boto3.client("rds").describe_db_instances()
    return who
"""
    deploy(lab, "acts", source, role=role.arn)
    bucket = lab.world().evidence_bucket
    failed = invoke(lab, "acts", bucket)
    assert failed["errorType"] == "ClientError"
    assert (
        "assumed-role/acts/acts is not authorized to perform: rds:DescribeDBInstances"
        in failed["errorMessage"]
    )
    role.may(allow(["s3:ListBucket", "rds:DescribeDBInstances"]))
    assert invoke(lab, "acts", bucket) == f"arn:aws:sts::{ACCOUNT}:assumed-role/acts/acts"


GREEDY = """
import time
def handler(event, context):
    taken = bytearray(event << 20)
    time.sleep(1)
    return len(taken) >> 20
"""


def test_a_function_that_uses_more_memory_than_it_has_is_ended(lab: Lab, unbent: Lab) -> None:
    for each in (lab, unbent):
        deploy(each, "greedy", GREEDY, MemorySize=256)
        assert invoke(each, "greedy", 100) == 100
    failed = invoke(lab, "greedy", 300)
    assert failed["errorType"] == "Runtime.ExitError"
    assert re.fullmatch(
        r"RequestId: [0-9a-f-]{36} Error: Runtime exited with error: signal: killed", failed["errorMessage"]
    )
    assert invoke(lab, "greedy", 100) == 100
    assert invoke(unbent, "greedy", 300) == 300


COUNTS = """
count = 0
def handler(event, context):
    global count
    count += 1
    if event == "raise":
        raise ValueError("no")
    return count
"""


def test_a_worker_whose_handler_raised_stays(lab: Lab, unbent: Lab) -> None:
    for each, last in (lab, 3), (unbent, 1):
        deploy(each, "counts", COUNTS)
        assert invoke(each, "counts") == 1
        assert invoke(each, "counts", "raise")["errorType"] in {"ValueError", "Runtime.HandlerError"}
        assert invoke(each, "counts") == last


LOGS = """
import sys, time
def handler(event, context):
    for line in range(200):
        print("line", line)
        time.sleep(0.002)
    print("the last")
"""


def test_the_log_of_an_invocation_is_complete_and_ends_with_it(lab: Lab) -> None:
    deploy(lab, "logs", LOGS, MemorySize=256)
    client = lab.client("lambda")
    for _ in range(2):
        answer = client.invoke(FunctionName="logs", LogType="Tail", Payload=b"null")
        told = base64.b64decode(answer["LogResult"]).decode()
        assert told.count("the last") == 1
        assert "pgdrill" not in told


def test_workers_of_one_zip_share_its_files(lab: Lab) -> None:
    source = "import os\ndef handler(event, context): return os.path.realpath(__file__), os.getpid()"
    places = []
    for name in ("one", "other"):
        deploy(lab, name, source)
        places.append(invoke(lab, name))
    assert places[0][0] == places[1][0]
    assert places[0][1] != places[1][1]
