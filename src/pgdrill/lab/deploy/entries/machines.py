"""Step Functions: state machines with their published versions."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag
from pgdrill.model import JSON


def _configuration(wanted: Wanted) -> dict[str, JSON]:
    given = wanted.some(
        "definition",
        "roleArn",
        "tracingConfiguration",
        "encryptionConfiguration",
        "publish",
        "versionDescription",
    )
    if (logging := wanted.take("loggingConfiguration")) is not None:
        logging = dict(logging)
        group = logging.pop("logDestination", None)
        if group:
            logging["destinations"] = [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}]
        given["loggingConfiguration"] = logging
    if not given.get("publish"):
        given.pop("versionDescription", None)
    return given


def _create(wanted: Wanted) -> tuple[str, Outputs]:
    given = _configuration(wanted) | wanted.some("name", "type")
    made = wanted.call("stepfunctions", "create_state_machine", given, tags=wanted.tags("key", "value"))
    arn = made["stateMachineArn"]
    return arn, _outputs(wanted.aws, arn) | {
        "stateMachineVersionArn": made.get("stateMachineVersionArn", arn)
    }


def _outputs(aws: Aws, arn: str) -> Outputs:
    found = aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    return {
        "arn": arn,
        "name": found["name"],
        "status": found["status"],
        "creationDate": found["creationDate"].isoformat(),
        "revisionId": found.get("revisionId", ""),
    }


def _update(wanted: Wanted, made: Made) -> Outputs:
    given = _configuration(wanted)
    outputs: Outputs = {}
    if wanted.changed(*_CONFIGURATION):
        answer = wanted.call("stepfunctions", "update_state_machine", given, stateMachineArn=made.id)
        if given.get("publish"):
            outputs["stateMachineVersionArn"] = answer["stateMachineVersionArn"]
    added, gone = retag(wanted, made)
    resource = {"resourceArn": made.id}
    if added:
        wanted.call("stepfunctions", "tag_resource", resource, tags=as_tags(added, "key", "value"))
    if gone:
        wanted.call("stepfunctions", "untag_resource", resource, tagKeys=gone)
    wanted.later("name", "type")
    return _outputs(wanted.aws, made.id) | outputs


def _delete(aws: Aws, made: Made) -> None:
    aws.client("stepfunctions").delete_state_machine(stateMachineArn=made.id)


_CONFIGURATION = (
    "definition",
    "roleArn",
    "tracingConfiguration",
    "encryptionConfiguration",
    "loggingConfiguration",
    "publish",
    "versionDescription",
)
ENTRIES = (
    Entry("aws:sfn/stateMachine:StateMachine", _create, _delete, _update, frozenset({"name", "type"})),
)
