"""The functions of a cell as Lambda runs them, each with a role, a log group and a network of its own.

Every one is published as a version, and state machines name versions: an execution in flight goes on with the
code and the plan that it began with. Old versions stay until the function goes.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from functions import Function, Network, Zip, of_cell
from ground import Ground
from pgdrill.plan import Plan
from policies import Scope, trust
from policies_of_functions import policy
from roles import Role
from settings import Settings
from tagging import tags

RUNTIME = "python3.13"
LOGS_DAYS = 90


class Lambdas(pulumi.ComponentResource):
    """All functions of a cell, with what they run from: the zips and the plan, under names that say what they hold."""

    versions: dict[str, pulumi.Output[str]]
    """ARNs of the published versions, by the function's name"""
    roles: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        settings: Settings,
        ground: Ground,
        *,
        plan: pulumi.Output[Plan],
        scope: pulumi.Output[Scope],
        zips: Mapping[Zip, Path],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:Lambdas", name, None, opts)
        self._name, self._settings, self._ground, self._scope = name, settings, ground, scope
        self._inside = pulumi.ResourceOptions(parent=self)
        key = self._plan(plan)
        code = {kind: self._code(kind, path) for kind, path in zips.items()}
        self.versions, self.roles = {}, {}
        for function in of_cell(primary=ground.cell == "primary"):
            self._function(function, key, code[function.zip])
        self.register_outputs({})

    def _plan(self, plan: pulumi.Output[Plan]) -> pulumi.Output[str]:
        """Put the plan where functions read it; return its key, once it is there.

        The one before stays: executions in flight, and versions that are started by hand, still read it.
        """
        made = aws.s3.BucketObjectv2(
            f"{self._name}-plan",
            bucket=self._ground.buckets.evidence.bucket,
            key=plan.apply(lambda known: known.key()),
            content=plan.apply(lambda known: known.to_json()),
            content_type="application/json",
            region=self._ground.names.region,
            tags=tags(self._settings),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        return made.key

    def _code(self, kind: Zip, path: Path) -> "Code":
        digest = hashlib.sha256(path.read_bytes())
        made = aws.s3.BucketObjectv2(
            f"{self._name}-code-{kind}",
            bucket=self._ground.buckets.evidence.bucket,
            key=f"code/{digest.hexdigest()}/{kind}.zip",
            source=pulumi.FileAsset(str(path)),
            content_type="application/zip",
            region=self._ground.names.region,
            tags=tags(self._settings),
            # Under an object lock nothing can be deleted yet.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=self._settings.protect),
        )
        return Code(made.bucket, made.key, base64.b64encode(digest.digest()).decode())

    def _function(self, function: Function, plan: pulumi.Output[str], code: "Code") -> None:
        settings, ground, names = self._settings, self._ground, self._ground.names
        name, inside = f"{self._name}-{function.name}", self._inside
        role = Role(
            name,
            settings,
            names,
            function.name,
            purpose=f"what the function {names.thing(function.name)} does",
            trust=trust(names, "lambda.amazonaws.com"),
            policy=self._scope.apply(lambda scope: policy(scope, function)),
            opts=inside,
        )
        log = aws.cloudwatch.LogGroup(
            name,
            name=names.function_logs(function.name),
            retention_in_days=LOGS_DAYS,
            kms_key_id=ground.keys.storage,
            region=names.region,
            tags=tags(settings, names.function_logs(function.name)),
            opts=inside,
        )
        made = aws.lambda_.Function(
            name,
            name=names.thing(function.name),
            description=f"pgdrill: {function.name}, in the {function.network} network",
            role=role.arn,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=function.handler,
            s3_bucket=code.bucket,
            s3_key=code.key,
            source_code_hash=code.sha256,
            publish=True,
            timeout=function.timeout,
            memory_size=function.memory,
            kms_key_arn=ground.keys.storage,
            environment={
                "variables": {
                    "PGDRILL_PLAN": plan,
                    "PGDRILL_BUCKET": ground.buckets.evidence.bucket,
                    "PGDRILL_CELL": ground.cell,
                }
            },
            vpc_config=self._network(function.network),
            logging_config={
                "log_format": "JSON",
                "log_group": log.name,
                "application_log_level": "INFO",
                "system_log_level": "WARN",
            },
            region=names.region,
            tags=tags(settings, names.thing(function.name)),
            opts=inside,
        )
        self.versions[function.name], self.roles[function.name] = made.qualified_arn, role.arn

    def _network(self, network: Network) -> Any:
        if network is Network.PRODUCTION:
            production = self._ground.production
            return {"subnet_ids": production.subnets, "security_group_ids": [production.functions]}
        drill = self._ground.drill
        return {"subnet_ids": drill.subnets, "security_group_ids": [drill.functions]}


@dataclass(frozen=True)
class Code:
    """Where a zip lies, and what Lambda shall find in it."""

    bucket: pulumi.Output[str]
    key: pulumi.Output[str]
    sha256: str
