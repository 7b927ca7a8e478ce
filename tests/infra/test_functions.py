"""Each function is deployed as the table says: in its network, under its role, from its zip, as a version."""

import base64
import hashlib
from importlib import import_module
from pathlib import Path

import pytest

import pgdrill.handlers
from functions import BY_NAME, FUNCTIONS, Function, Network, Zip, of_cell
from tests.infra.program import Resource, Run

FUNCTION, LOGS, OBJECT = (
    "aws:lambda/function:Function",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:s3/bucketObjectv2:BucketObjectv2",
)
# Modules of handlers that are none themselves.
SHARED = {"__init__", "boundary", "payloads", "pointing", "steps"}
CELLS = [
    pytest.param(cell, function, id=f"{cell}-{function.name}")
    for cell in ("primary", "dr")
    for function in of_cell(primary=cell == "primary")
]


def test_every_handler_has_a_function_and_every_function_a_handler() -> None:
    folder = Path(pgdrill.handlers.__path__[0])
    assert {path.stem for path in folder.glob("*.py")} - SHARED == set(BY_NAME)
    for function in FUNCTIONS:
        module, _, name = function.handler.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_each_cell_has_the_functions_that_are_for_it(whole: Run) -> None:
    deployed = {one.name for one in whole.of(FUNCTION)}
    assert deployed == {
        f"{cell}-{function.name}"
        for cell, primary in (("primary", True), ("dr", False))
        for function in of_cell(primary=primary)
    }
    primary_only = {one.name for one in of_cell(primary=True)} - {one.name for one in of_cell(primary=False)}
    assert primary_only == {"beat", "seal", "take", "export", "confront"}


@pytest.mark.parametrize(("cell", "function"), CELLS)
def test_a_function_is_deployed_as_the_table_says(whole: Run, cell: str, function: Function) -> None:
    made = whole.one(FUNCTION, f"{cell}-{function.name}").inputs
    assert made["handler"] == f"pgdrill.handlers.{function.name}.handler"
    assert (made["runtime"], made["architectures"], made["publish"]) == ("python3.13", ["arm64"], True)
    assert (made["timeout"], made["memorySize"]) == (function.timeout, function.memory)
    assert made["timeout"] <= 900
    key = whole.one("aws:kms/key:Key", f"{cell}-storage").outputs["arn"]
    assert made["kmsKeyArn"] == key
    log = whole.one(LOGS, f"{cell}-{function.name}").inputs
    assert (log["name"], log["kmsKeyId"]) == (f"/aws/lambda/{made['name']}", key)
    assert log["retentionInDays"] == 90
    assert made["loggingConfig"]["logGroup"] == log["name"]
    assert made["loggingConfig"]["logFormat"] == "JSON"


@pytest.mark.parametrize(("cell", "function"), CELLS)
def test_a_function_is_in_the_private_subnets_of_one_network(
    whole: Run, cell: str, function: Function
) -> None:
    made = whole.one(FUNCTION, f"{cell}-{function.name}").inputs["vpcConfig"]
    network = f"{cell}-{function.network}"
    subnets = {one.outputs["id"] for one in whole.of("aws:ec2/subnet:Subnet") if network in one.name}
    group = whole.one("aws:ec2/securityGroup:SecurityGroup", f"{network}-functions").outputs["id"]
    # They are registered in any order.
    assert made | {"subnetIds": sorted(made["subnetIds"])} == {
        "subnetIds": sorted(subnets),
        "securityGroupIds": [group],
    }
    assert len(subnets) == 2
    talks_to_production = function.name in {"beat", "seal"}
    assert (function.network is Network.PRODUCTION) == talks_to_production


@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_the_environment_names_plan_bucket_and_cell_and_nothing_else(whole: Run, cell: str) -> None:
    plan = _plan(whole, cell)
    expected = {
        "PGDRILL_PLAN": plan.inputs["key"],
        "PGDRILL_BUCKET": plan.inputs["bucket"],
        "PGDRILL_CELL": cell,
    }
    environments = [
        one.inputs["environment"]["variables"] for one in whole.of(FUNCTION) if one.name.startswith(cell)
    ]
    assert len(environments) == len(of_cell(primary=cell == "primary"))
    assert all(environment == expected for environment in environments)


@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_the_plan_lies_under_a_key_that_says_what_it_holds(whole: Run, cell: str) -> None:
    plan = _plan(whole, cell)
    digest = hashlib.sha256(plan.inputs["content"].encode()).hexdigest()
    assert plan.inputs["key"] == f"plan/{digest}.json"
    assert plan.inputs["content"] == whole.exports["plan"]


@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_code_lies_under_a_key_that_says_what_it_is_and_functions_run_it(whole: Run, cell: str) -> None:
    for kind in Zip:
        digest = hashlib.sha256(kind.encode())
        code = whole.one(OBJECT, f"{cell}-code-{kind}").inputs
        assert code["key"] == f"code/{digest.hexdigest()}/{kind}.zip"
        for function in of_cell(primary=cell == "primary"):
            made = whole.one(FUNCTION, f"{cell}-{function.name}").inputs
            if function.zip is kind:
                assert (made["s3Bucket"], made["s3Key"]) == (code["bucket"], code["key"])
                assert made["sourceCodeHash"] == base64.b64encode(digest.digest()).decode()
    assert [function.name for function in FUNCTIONS if function.zip is Zip.PARQUET] == ["confront"]


def _plan(run: Run, cell: str) -> Resource:
    return run.one(OBJECT, f"{cell}-plan")
