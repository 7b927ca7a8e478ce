"""The state machines of infra/machines in a lab, over functions that follow a script and write down what they get.

A function stands at the function boundary as the real ones do: it answers JSON, or raises an error by class name.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pgdrill.lab.lab import Lab
from tests.infra import definitions
from tests.lab.functions import ROLE, archive, execute
from tests.lab.labs import until
from tests.lab.roles import ACCOUNT

HOME, AWAY = "ap-southeast-1", "ap-northeast-1"
SUFFIX = "test"
BUS = f"pgdrill-{SUFFIX}"
SECRETS = ("shop/pgdrill", "shop/master")

# Answers in turn, the last one again and again; `raises` names the class of an error, `until` a file to wait for.
SCRIPTED = """
import json, pathlib, time
PLACE = pathlib.Path({place!r})

def handler(event, context):
    name = context.function_name
    with open(PLACE / "calls", "a+") as calls:
        calls.seek(0)
        earlier = sum(json.loads(line)["function"] == name for line in calls)
        calls.write(json.dumps({{"function": name, "event": event, "code": {code!r}}}) + "\\n")
    answers = json.loads((PLACE / "script").read_text())[name]
    answer = answers[min(earlier, len(answers) - 1)]
    while "until" in answer and not (PLACE / answer["until"]).exists():
        time.sleep(0.01)
    if "raises" in answer:
        raise type(answer["raises"], (Exception,), {{}})(answer.get("says", ""))
    return answer
"""

Answer = dict[str, Any]


def raises(error: str, says: str = "") -> Answer:
    return {"raises": error, "says": says}


class Machines:
    """One region's machines, with its bus and topics; `calls` is what the functions got since the last script."""

    def __init__(self, lab: Lab, place: Path, region: str = HOME) -> None:
        self.lab, self.region, self._place = lab, region, place
        place.mkdir(exist_ok=True)
        place.chmod(0o777)
        here = f"{region}:{ACCOUNT}"
        self.topics = {
            kind: lab.client("sns", region).create_topic(Name=f"{BUS}-{kind}")["TopicArn"]
            for kind in ("backups", "drills")
        }
        self.bus = f"arn:aws:events:{here}:event-bus/{BUS}"
        lab.client("events", region).create_event_bus(Name=BUS)
        self._values = {
            "suffix": SUFFIX,
            "schedule_group": BUS,
            "secrets": ",".join(SECRETS),
            "region": region,
            "evidence": f"{BUS}-evidence",
            "queue_canary": f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/{BUS}-canary",
            "bus": self.bus,
            "machine_publish": f"arn:aws:states:{here}:stateMachine:publish",
            **{f"topic_{kind}": arn for kind, arn in self.topics.items()},
        }
        self._functions = {function for name in definitions.NAMES for function in definitions.functions(name)}
        for function in self._functions:
            self._values[f"function_{function}"] = self._function(function)
        self.arns = {name: self.make(name, name) for name in definitions.NAMES}

    def _function(self, name: str) -> str:
        """Make a function; return the ARN of its published version."""
        made = self.lab.client("lambda", self.region).create_function(
            FunctionName=name,
            Role=ROLE,
            Code={"ZipFile": self._zip("old")},
            Runtime="python3.13",
            Handler="main.handler",
            Timeout=60,
            Publish=True,
        )
        return f"{made['FunctionArn'].removesuffix(':' + made['Version'])}:{made['Version']}"

    def _zip(self, code: str) -> bytes:
        return archive(main=SCRIPTED.format(place=str(self._place), code=code))

    def renew(self, code: str) -> None:
        """Publish new versions of all functions, and point the machines to them, as a deployment does."""
        functions = self.lab.client("lambda", self.region)
        for name in self._functions:
            made = functions.update_function_code(FunctionName=name, ZipFile=self._zip(code), Publish=True)
            arn = self._values[f"function_{name}"].rpartition(":")[0]
            self._values[f"function_{name}"] = f"{arn}:{made['Version']}"
        states = self.lab.client("stepfunctions", self.region)
        for name, arn in self.arns.items():
            states.update_state_machine(
                stateMachineArn=arn, definition=definitions.filled(name, self._values)
            )

    def make(self, name: str, file: str, **values: str) -> str:
        """Make a machine of a definition, under a name of its own; return its ARN."""
        made = self.lab.client("stepfunctions", self.region).create_state_machine(
            name=name, definition=definitions.filled(file, self._values | values), roleArn=ROLE
        )
        return str(made["stateMachineArn"])

    def script(self, **answers: list[Answer] | Answer) -> None:
        """Say what the functions answer from now on, and forget what they got."""
        listed = {name: given if isinstance(given, list) else [given] for name, given in answers.items()}
        (self._place / "script").write_text(json.dumps(listed))
        (self._place / "calls").write_text("")

    def let_go(self, name: str) -> None:
        """Make the file that an answer waits for."""
        (self._place / name).touch()

    def run(self, name: str, given: Any) -> Any:
        return execute(self.lab, self.arns.get(name, name), given)

    @property
    def _lines(self) -> list[Any]:
        return [json.loads(line) for line in (self._place / "calls").read_text().splitlines()]

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return [(call["function"], call["event"]) for call in self._lines]

    @property
    def codes(self) -> set[str]:
        """Which code the functions ran."""
        return {call["code"] for call in self._lines}

    @property
    def called(self) -> list[str]:
        return [function for function, _ in self.calls]

    def executions(self, name: str) -> list[Any]:
        """Return the descriptions of a machine's executions, the last one first, once all have ended."""
        client = self.lab.client("stepfunctions", self.region)
        arn = self.arns[name]
        until(lambda: not client.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"])
        listed = client.list_executions(stateMachineArn=arn)["executions"]
        return [client.describe_execution(executionArn=one["executionArn"]) for one in listed]

    @contextmanager
    def published(self) -> Iterator[list[Any]]:
        """Yield a list that holds, after the block, what was given to `publish` meanwhile, the first one first."""
        before = {one["executionArn"] for one in self.executions("publish")}
        replies: list[Any] = []
        yield replies
        after = [one for one in self.executions("publish") if one["executionArn"] not in before]
        replies += [
            json.loads(one["input"])["reply"] for one in sorted(after, key=lambda one: one["startDate"])
        ]


class Letters:
    """A queue that gets what a topic or a rule sends."""

    def __init__(self, machines: Machines, name: str) -> None:
        self._client = machines.lab.client("sqs", machines.region)
        self._url = self._client.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{machines.region}:{ACCOUNT}:{name}"

    def take(self, count: int) -> list[Any]:
        """Return that many bodies, and see that there are no more."""
        got: list[Any] = []

        def all_there() -> bool:
            answer = self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
            got.extend(json.loads(one["Body"]) for one in answer.get("Messages", []))
            return len(got) >= count

        until(all_there, seconds=20)
        assert "Messages" not in self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
        assert len(got) == count
        return got
