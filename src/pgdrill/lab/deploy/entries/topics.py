"""SNS: topics, who may publish to them, and who is told."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entries.queues import text
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag, stays

_ATTRIBUTES = {
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}
_SUBSCRIPTION = {
    "deliveryPolicy": "DeliveryPolicy",
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}


def _create(wanted: Wanted) -> tuple[str, Outputs]:
    name = wanted.take("name")
    attributes = {key: text(value) for key, value in wanted.some(**_ATTRIBUTES).items()}
    arn = wanted.call("sns", "create_topic", Name=name, Attributes=attributes, Tags=wanted.tags())["TopicArn"]
    owner = wanted.call("sns", "get_topic_attributes", TopicArn=arn)["Attributes"].get("Owner")
    return arn, {"arn": arn, "name": name, "owner": owner}


def _update(wanted: Wanted, made: Made) -> Outputs:
    for key, value in wanted.some(**_ATTRIBUTES).items():
        _set(wanted, made.id, key, text(value))
    added, gone = retag(wanted, made)
    resource = {"ResourceArn": made.id}
    if added:
        wanted.call("sns", "tag_resource", resource, Tags=as_tags(added))
    if gone:
        wanted.call("sns", "untag_resource", resource, TagKeys=gone)
    wanted.later("name")
    return {}


def _set(wanted: Wanted, topic: str, name: str, value: str) -> None:
    wanted.call("sns", "set_topic_attributes", TopicArn=topic, AttributeName=name, AttributeValue=value)


def _delete(aws: Aws, made: Made) -> None:
    aws.client("sns").delete_topic(TopicArn=made.id)


def _put_policy(wanted: Wanted) -> tuple[str, Outputs]:
    topic = wanted.take("arn")
    _set(wanted, topic, "Policy", wanted.take("policy"))
    return topic, {"owner": topic.split(":")[4]}


def _update_policy(wanted: Wanted, _: Made) -> Outputs:
    return _put_policy(wanted)[1]


def _subscribe(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later("endpointAutoConfirms", "confirmationTimeoutInMinutes")
    given = wanted.some("protocol", "endpoint", topic="TopicArn")
    attributes = {key: text(value) for key, value in wanted.some(**_SUBSCRIPTION).items()}
    answer = wanted.call("sns", "subscribe", given, Attributes=attributes, ReturnSubscriptionArn=True)
    arn = answer["SubscriptionArn"]
    return arn, {"arn": arn}


def _unsubscribe(aws: Aws, made: Made) -> None:
    aws.client("sns").unsubscribe(SubscriptionArn=made.id)


ENTRIES = (
    Entry("aws:sns/topic:Topic", _create, _delete, _update, frozenset({"name"})),
    # A topic cannot be without a policy; the last one goes with the topic.
    Entry("aws:sns/topicPolicy:TopicPolicy", _put_policy, stays, _update_policy, frozenset({"arn"})),
    Entry("aws:sns/topicSubscription:TopicSubscription", _subscribe, _unsubscribe),
)
