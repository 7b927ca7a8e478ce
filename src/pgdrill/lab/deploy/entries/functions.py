"""Lambda: functions with their published versions, who may invoke them, and what becomes of failed events."""

import time

from pgdrill.errors import Broken
from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, retag

# What a new function and a changed one both take.
_CONFIGURATION = (
    "role",
    "handler",
    "runtime",
    "description",
    "timeout",
    "memorySize",
    "environment",
    "vpcConfig",
    "kmsKeyArn",
    "loggingConfig",
    "tracingConfig",
    "ephemeralStorage",
    "deadLetterConfig",
    "layers",
)
_CODE = ("code", "s3Bucket", "s3Key", "s3ObjectVersion", "architectures")
# Of use to Pulumi alone: the digest of the code, and what is done when the function is deleted.
_LATER = ("sourceCodeHash", "replaceSecurityGroupsOnDestroy", "replacementSecurityGroupIds", "skipDestroy")
PATIENCE = 60.0


def _create(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later(*_LATER)
    publish, reserved = wanted.take("publish"), wanted.take("reservedConcurrentExecutions")
    given = wanted.some(*_CONFIGURATION, "architectures", "packageType", name="FunctionName")
    tags = wanted.take("tags") or {}
    name = given["FunctionName"]
    wanted.call("lambda", "create_function", given, Code=_code(wanted), Tags=tags, Publish=bool(publish))
    if reserved is not None and reserved >= 0:
        wanted.call(
            "lambda",
            "put_function_concurrency",
            FunctionName=name,
            ReservedConcurrentExecutions=reserved,
        )
    return name, _outputs(wanted.aws, name, publish=bool(publish))


def _code(wanted: Wanted) -> dict[str, object]:
    content = wanted.file("code")
    place = wanted.some("s3Bucket", "s3Key", "s3ObjectVersion")
    return place if content is None else {"ZipFile": content}


def _outputs(aws: Aws, name: str, *, publish: bool) -> Outputs:
    client = aws.client("lambda")
    found = client.get_function_configuration(FunctionName=name)
    arn = found["FunctionArn"]
    version = "$LATEST"
    if publish:
        versions = client.list_versions_by_function(FunctionName=name)["Versions"]
        version = str(max((int(one["Version"]) for one in versions if one["Version"].isdigit()), default=0))
    return {
        "arn": arn,
        "qualifiedArn": f"{arn}:{version}",
        "invokeArn": _invocation(aws, arn),
        "qualifiedInvokeArn": _invocation(aws, f"{arn}:{version}"),
        "version": version,
        "codeSha256": found["CodeSha256"],
        "sourceCodeSize": found["CodeSize"],
        "lastModified": found["LastModified"],
    }


def _invocation(aws: Aws, arn: str) -> str:
    return f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{arn}/invocations"


def _update(wanted: Wanted, made: Made) -> Outputs:
    wanted.later(*_LATER, "name", "packageType", "publish")
    name = {"FunctionName": made.id}
    architectures = wanted.some("architectures")
    code = _code(wanted)
    if wanted.changed(*_CODE, "sourceCodeHash"):
        wanted.call("lambda", "update_function_code", name | architectures, **code)
        _settled(wanted.aws, made.id)
    configuration = wanted.some(*_CONFIGURATION)
    if wanted.changed(*_CONFIGURATION):
        wanted.call("lambda", "update_function_configuration", name | configuration)
        _settled(wanted.aws, made.id)
    reserved = wanted.take("reservedConcurrentExecutions")
    if wanted.changed("reservedConcurrentExecutions"):
        if reserved is None or reserved < 0:
            wanted.call("lambda", "delete_function_concurrency", name)
        else:
            wanted.call("lambda", "put_function_concurrency", name, ReservedConcurrentExecutions=reserved)
    if wanted.inputs.get("publish") and wanted.changed(*_CODE, *_CONFIGURATION, "sourceCodeHash", "publish"):
        wanted.call("lambda", "publish_version", name)
    added, gone = retag(wanted, made)
    resource = {"Resource": made.outputs["arn"]}
    if added:
        wanted.call("lambda", "tag_resource", resource, Tags=added)
    if gone:
        wanted.call("lambda", "untag_resource", resource, TagKeys=gone)
    return _outputs(wanted.aws, made.id, publish=bool(wanted.inputs.get("publish")))


def _settled(aws: Aws, name: str) -> None:
    """Wait until a change is in force, since a version cannot be published before."""
    end = time.monotonic() + PATIENCE
    while True:
        found = aws.client("lambda").get_function_configuration(FunctionName=name)
        if found.get("LastUpdateStatus", "Successful") == "Successful":
            return
        if time.monotonic() > end:
            raise Broken(f"function {name!r} is not updated", hint="read daemon.log in the lab's directory")
        time.sleep(0.05)


def _delete(aws: Aws, made: Made) -> None:
    aws.client("lambda").delete_function(FunctionName=made.id)


def _permit(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(
        "action",
        "principal",
        "sourceArn",
        "sourceAccount",
        "qualifier",
        statementId="StatementId",
        function="FunctionName",
    )
    given.setdefault("StatementId", wanted.name)
    wanted.call("lambda", "add_permission", given)
    return str(given["StatementId"]), {"statementId": given["StatementId"]}


def _forbid(aws: Aws, made: Made) -> None:
    asked = {"FunctionName": made.inputs["function"], "StatementId": made.id}
    if made.inputs.get("qualifier"):
        asked["Qualifier"] = made.inputs["qualifier"]
    aws.client("lambda").remove_permission(**asked)


def _put_events(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(
        "functionName", "qualifier", "maximumEventAgeInSeconds", "maximumRetryAttempts", "destinationConfig"
    )
    wanted.call("lambda", "put_function_event_invoke_config", given)
    return ":".join(filter(None, (given["functionName"], given.get("qualifier")))), {}


def _update_events(wanted: Wanted, _: Made) -> Outputs:
    return _put_events(wanted)[1]


def _delete_events(aws: Aws, made: Made) -> None:
    asked = {"FunctionName": made.inputs["functionName"]}
    if made.inputs.get("qualifier"):
        asked["Qualifier"] = made.inputs["qualifier"]
    aws.client("lambda").delete_function_event_invoke_config(**asked)


ENTRIES = (
    Entry("aws:lambda/function:Function", _create, _delete, _update, frozenset({"name", "packageType"})),
    Entry("aws:lambda/permission:Permission", _permit, _forbid),
    Entry(
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        _put_events,
        _delete_events,
        _update_events,
        frozenset({"functionName", "qualifier"}),
    ),
)
