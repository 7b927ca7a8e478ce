"""What integration tests know of a deployment: its flat outputs, and AWS through boto3. Nothing of the lab.

Endpoint and credentials come from the environment, so that the same tests hold a real account to the same things.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import boto3
from botocore.config import Config

CELLS: tuple[Literal["primary"], Literal["dr"]] = ("primary", "dr")
PATIENCE = 120.0


def client(service: str, region: str) -> Any:
    # Some tests have a lab of their own, at another endpoint.
    return _client(service, region, os.environ.get("AWS_ENDPOINT_URL"))


@cache
def _client(service: str, region: str, endpoint: str | None) -> Any:
    return boto3.session.Session().client(
        service,  # type: ignore[call-overload] # the caller's choice
        region_name=region,
        endpoint_url=endpoint,
        config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 3}),
    )


@dataclass(frozen=True)
class Cell:
    """One cell's outputs, by their names without the cell's: `cell["EvidenceBucket"]`."""

    name: str
    suffix: str
    account: str
    outputs: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.outputs[f"{self.name}{name}"]

    def each(self, name: str) -> list[str]:
        """Return the members of a list."""
        return [one for one in self[name].split(",") if one]

    def named(self, ending: str) -> dict[str, str]:
        """Return the outputs with an ending, by what stands before it: `cell.named("FunctionArn")`."""
        return {
            key.removeprefix(self.name).removesuffix(ending): value
            for key, value in self.outputs.items()
            if key.startswith(self.name) and key.endswith(ending)
        }

    @property
    def region(self) -> str:
        return self["Region"]

    def client(self, service: str) -> Any:
        return client(service, self.region)

    def pages(self, service: str, operation: str, member: str, **asked: Any) -> Iterator[Any]:
        for page in self.client(service).get_paginator(operation).paginate(**asked):
            yield from page[member]


@dataclass(frozen=True)
class Deployment:
    outputs: dict[str, str]

    @property
    def plan(self) -> Any:
        """The plan that the functions read, as JSON."""
        return json.loads(self.outputs["plan"])

    @property
    def suffix(self) -> str:
        return self.outputs["environmentSuffix"]

    @property
    def operators(self) -> set[str]:
        """The ARNs of the roles that may recover by hand."""
        return {one for one in self.outputs.get("operators", "").split(",") if one}

    def cell(self, name: str) -> Cell:
        return Cell(name, self.suffix, self.outputs["account"], self.outputs)

    @property
    def cells(self) -> tuple[Cell, Cell]:
        return self.cell("primary"), self.cell("dr")


def execute(cell: Cell, machine: str, given: Any) -> Any:
    """Run a state machine to its end; return its description."""
    states = cell.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=cell[f"{machine}MachineArn"], input=json.dumps(given))[
        "executionArn"
    ]
    until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
    return states.describe_execution(executionArn=arn)


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.05)
