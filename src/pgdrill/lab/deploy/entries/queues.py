"""SQS: queues and who may send to them."""

from typing import Any

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, retag

# Properties that are attributes of the same or another name; all of them text.
_ATTRIBUTES = {
    "delaySeconds": "DelaySeconds",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}


def _attributes(wanted: Wanted) -> dict[str, str]:
    return {name: text(value) for name, value in wanted.some(**_ATTRIBUTES).items()}


def text(value: Any) -> str:
    """Return an attribute's value in SQS's and SNS's way."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) else str(value)


def _create(wanted: Wanted) -> tuple[str, Outputs]:
    name, attributes, tags = wanted.take("name"), _attributes(wanted), wanted.take("tags") or {}
    url = wanted.call("sqs", "create_queue", QueueName=name, Attributes=attributes, tags=tags)["QueueUrl"]
    found = wanted.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return url, {"arn": found["Attributes"]["QueueArn"], "url": url, "name": name}


def _update(wanted: Wanted, made: Made) -> Outputs:
    url = {"QueueUrl": made.id}
    wanted.call("sqs", "set_queue_attributes", url, Attributes=_attributes(wanted))
    added, gone = retag(wanted, made)
    if added:
        wanted.call("sqs", "tag_queue", url, Tags=added)
    if gone:
        wanted.call("sqs", "untag_queue", url, TagKeys=gone)
    wanted.later("name")
    return {}


def _delete(aws: Aws, made: Made) -> None:
    aws.client("sqs").delete_queue(QueueUrl=made.id)


def _put_policy(wanted: Wanted) -> tuple[str, Outputs]:
    url, policy = wanted.take("queueUrl"), wanted.take("policy")
    wanted.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})
    return url, {}


def _update_policy(wanted: Wanted, _: Made) -> Outputs:
    return _put_policy(wanted)[1]


def _delete_policy(aws: Aws, made: Made) -> None:
    aws.client("sqs").set_queue_attributes(QueueUrl=made.id, Attributes={"Policy": ""})


ENTRIES = (
    Entry("aws:sqs/queue:Queue", _create, _delete, _update, frozenset({"name"})),
    Entry(
        "aws:sqs/queuePolicy:QueuePolicy",
        _put_policy,
        _delete_policy,
        _update_policy,
        frozenset({"queueUrl"}),
    ),
)
