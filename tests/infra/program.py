"""Runs components, or the whole program, under Pulumi's mocks, and gives what was registered as plain data.

Nothing is called: what AWS would answer is made up here, from the inputs where they tell and from the name elsewhere.
"""

import asyncio
import json
import runpy
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from pgdrill.build import zips

INFRA = Path(__file__).parents[2] / "infra"
ACCOUNT = "111122223333"
REGIONS = ("ap-southeast-1", "ap-northeast-1")
JSON = Any
# Manual snapshots, where an account has asked for more than RDS gives by itself.
RAISED = {"eu-west-1": 140.0, "eu-central-1": 500.0}

SETTINGS: dict[str, JSON] = {
    "stack": {"suffix": "test"},
    "tags": {"Environment": "test", "Owner": "dba", "CostCenter": "4711"},
    "database": [
        {"name": "shop", "origin": "created", "secret": "shop/pgdrill", "master_secret": "shop/master"}
    ],
}
ADOPTED: dict[str, JSON] = SETTINGS | {
    "primary": {
        "network": {"vpc": "vpc-old", "subnets": ["subnet-1", "subnet-2"], "security_group": "sg-old"}
    },
    "database": [{"name": "shop", "instance": "shop-production", "secret": "shop/pgdrill"}],
}


@dataclass(frozen=True)
class Resource:
    """A registration; `inputs` as the provider would get them, `outputs` with what the mock made up besides."""

    typ: str
    name: str
    inputs: dict[str, JSON]
    outputs: dict[str, JSON]
    custom: bool


@dataclass
class Run:
    """What a run registered, what it asked for, and what it gave."""

    resources: list[Resource] = field(default_factory=list)
    calls: list[tuple[str, dict[str, JSON]]] = field(default_factory=list)
    exports: dict[str, JSON] = field(default_factory=dict)
    result: Any = None

    def of(self, typ: str, region: str | None = None) -> list[Resource]:
        """Return the resources of a type, such as `aws:kms/key:Key`, of one region or of all."""
        return [
            one
            for one in self.resources
            if one.typ == typ and (region is None or one.inputs.get("region") == region)
        ]

    def one(self, typ: str, name: str) -> Resource:
        """Return the only resource of that type and name."""
        (found,) = (one for one in self.resources if (one.typ, one.name) == (typ, name))
        return found

    def managed(self) -> list[Resource]:
        """Return what is made in AWS: all but components."""
        return [one for one in self.resources if one.custom]


class _Recorder(Mocks):
    def __init__(self, run: Run) -> None:
        self._run = run

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, JSON]]:
        inputs = dict(args.inputs)
        outputs = inputs | (_made(args.typ, args.name, inputs) if args.custom else {})
        self._run.resources.append(Resource(args.typ, args.name, inputs, outputs, bool(args.custom)))
        return str(outputs.get("id", args.name)), outputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, JSON], list[tuple[str, str]]]:
        given = dict(args.args)
        self._run.calls.append((args.token, given))
        return _answer(args.token, given), []


def _made(typ: str, name: str, inputs: dict[str, JSON]) -> dict[str, JSON]:
    """Return what AWS would add: ids and ARNs that tell the things of two regions apart."""
    region = inputs.get("region", "")
    service, kind = typ.split(":")[1].split("/")
    identifier = f"{kind.lower()}-{name}"
    arns = {
        "aws:iam/role:Role": f"arn:aws:iam::{ACCOUNT}:role/{inputs.get('name')}",
        "aws:s3/bucket:Bucket": f"arn:aws:s3:::{inputs.get('bucket')}",
        "aws:kms/key:Key": f"arn:aws:kms:{region}:{ACCOUNT}:key/{identifier}",
        "aws:cloudwatch/logGroup:LogGroup": f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{inputs.get('name')}",
        "aws:cloudwatch/eventBus:EventBus": f"arn:aws:events:{region}:{ACCOUNT}:event-bus/{inputs.get('name')}",
        "aws:cloudwatch/eventRule:EventRule": f"arn:aws:events:{region}:{ACCOUNT}:rule/{inputs.get('name')}",
        "aws:sns/topic:Topic": f"arn:aws:sns:{region}:{ACCOUNT}:{inputs.get('name')}",
        "aws:sqs/queue:Queue": f"arn:aws:sqs:{region}:{ACCOUNT}:{inputs.get('name')}",
        "aws:sfn/stateMachine:StateMachine": f"arn:aws:states:{region}:{ACCOUNT}:stateMachine:{inputs.get('name')}",
        "aws:lambda/function:Function": f"arn:aws:lambda:{region}:{ACCOUNT}:function:{inputs.get('name')}",
        "aws:rds/instance:Instance": f"arn:aws:rds:{region}:{ACCOUNT}:db:{inputs.get('identifier')}",
    }
    arn = arns.get(typ, f"arn:aws:{service}:{region}:{ACCOUNT}:{identifier}")
    more: dict[str, JSON] = {
        "aws:kms/key:Key": {"keyId": identifier},
        "aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": f"pl-s3-{region}"},
        "aws:lambda/function:Function": {
            "qualifiedArn": f"{arn}:1",
            "version": "1",
            "invokeArn": f"{arn}/invoke",
        },
        "aws:sqs/queue:Queue": {"url": f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/{inputs.get('name')}"},
        "aws:rds/instance:Instance": {
            "address": f"{inputs.get('identifier')}.example.{region}.rds.amazonaws.com",
            "port": inputs.get("port", 5432),
            "resourceId": "db-EXAMPLE",
        },
    }.get(typ, {})
    return {"id": inputs.get("bucket", identifier), "arn": arn, **more}


def _answer(token: str, given: dict[str, JSON]) -> dict[str, JSON]:
    region = given.get("region", "")
    answers: dict[str, Callable[[], dict[str, JSON]]] = {
        "aws:index/getCallerIdentity:getCallerIdentity": lambda: {"accountId": ACCOUNT},
        "aws:index/getAvailabilityZones:getAvailabilityZones": lambda: {
            # In Tokyo as an account has it for which the constrained zone is the second.
            "names": [
                f"{region}{letter}"
                for letter, zone in (("c", "az1"), ("a", "az4"), ("b", "az3"), ("d", "az2"))
                if region != "ap-northeast-1" or f"apne1-{zone}" not in given.get("excludeZoneIds", ())
            ]
        },
        "aws:secretsmanager/getSecretVersion:getSecretVersion": lambda: {
            "secretString": json.dumps({"username": "master", "password": "not-in-state"}),
            "versionId": "11111111-2222-3333-4444-555555555555",
        },
        "aws:servicequotas/getServiceQuota:getServiceQuota": lambda: {"value": RAISED.get(region, 100.0)},
        "aws:rds/getInstance:getInstance": lambda: {
            "dbInstanceIdentifier": given["dbInstanceIdentifier"],
            "dbInstanceArn": f"arn:aws:rds:{region}:{ACCOUNT}:db:{given['dbInstanceIdentifier']}",
            "engine": "mysql" if given["dbInstanceIdentifier"] == "of-mysql" else "postgres",
            "engineVersion": {"of-14": "14.19", "of-16": "16.10"}.get(given["dbInstanceIdentifier"], "15.14"),
            "storageEncrypted": given["dbInstanceIdentifier"] != "in-plain",
            "address": f"{given['dbInstanceIdentifier']}.old.example",
            "port": 6432 if given["dbInstanceIdentifier"] == "on-6432" else 5432,
            "dbSubnetGroup": "other-subnets"
            if given["dbInstanceIdentifier"] == "elsewhere"
            else "old-subnets",
            "kmsKeyId": f"arn:aws:kms:{region}:{ACCOUNT}:key/"
            + ("of-aws" if given["dbInstanceIdentifier"] == "by-aws" else "old"),
            "vpcSecurityGroups": ["sg-other", "sg-database"]
            if given["dbInstanceIdentifier"] == "let-in-by-others"
            else ["sg-database"],
            "dbParameterGroups": [
                "other-parameters" if given["dbInstanceIdentifier"] == "set-otherwise" else "old-parameters"
            ],
        },
        "aws:kms/getKey:getKey": lambda: {
            "arn": given["keyId"],
            "keyManager": "AWS" if given["keyId"].endswith("/of-aws") else "CUSTOMER",
        },
    }
    return answers[token]()


@contextmanager
def _loops() -> Iterator[None]:
    """Give Pulumi an event loop, and close it and those that it makes in its threads and leaves open."""
    made: list[asyncio.AbstractEventLoop] = []
    new = asyncio.new_event_loop

    def tracked() -> asyncio.AbstractEventLoop:
        made.append(new())
        return made[-1]

    with patch.object(asyncio, "new_event_loop", tracked):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            yield
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            # Of a run that failed much is still waiting, and would fail in the middle of a later one.
            if left := asyncio.all_tasks(loop):
                for task in left:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(left))
            asyncio.set_event_loop(None)
            for one in made:
                one.close()


def run(build: Callable[[], Any]) -> Run:
    """Run `build` under mocks until everything is registered; `result` is what it gave, resolved."""
    recorded = Run()

    @pulumi.runtime.test  # type: ignore[untyped-decorator] # Pulumi types it so
    def under_mocks() -> Any:
        def keep(value: Any) -> None:
            recorded.result = value

        return pulumi.Output.from_input(build()).apply(keep)

    with _loops():
        pulumi.runtime.mocks.set_mocks(_Recorder(recorded), project="pgdrill", stack="test", preview=False)
        under_mocks()
    return recorded


@contextmanager
def _small_zips() -> Iterator[None]:
    """Put small files in the place of the functions' zips, which tests/unit/build and tests/lab are about."""
    with tempfile.TemporaryDirectory() as directory:

        def build(_: Path, *, which: str, **__: Any) -> Path:
            path = Path(directory, f"{which}.zip")
            path.write_bytes(which.encode())
            return path

        with patch.object(zips, "build", build):
            yield


def program(settings: dict[str, JSON]) -> Run:
    """Run `__main__.py` with these settings; `exports` has its outputs, resolved."""
    exported: dict[str, Any] = {}
    pulumi.runtime.set_all_config({"pgdrill:plan": json.dumps(settings)})

    def build() -> Any:
        with patch.object(pulumi, "export", exported.__setitem__):
            runpy.run_path(str(INFRA / "__main__.py"), run_name="__main__")
        return pulumi.Output.all(**exported)

    with _small_zips():
        done = run(build)
    done.exports = done.result
    return done
