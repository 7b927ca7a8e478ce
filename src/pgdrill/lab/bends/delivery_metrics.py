"""The emulator counts no deliveries of a topic; AWS publishes those that failed, in `AWS/SNS`.

A count of 1 when it happens, about the topic's name: a queue that is gone, or whose policy or key keeps SNS out, and
each try of an endpoint that does not answer as it should. The emulator tries once.

Source: SNS Developer Guide, "Monitoring Amazon SNS topics using CloudWatch".
"""

import json
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import request_scope
from ministack.services import cloudwatch, sns, sqs

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

NAMESPACE, FAILED = "AWS/SNS", "NumberOfNotificationsFailed"


def apply(_: Rds) -> None:
    parameters = (
        "endpoint, envelope, raw, raw_message, message_group_id, message_dedup_id, message_attributes"
    )
    graft(sns, f"_deliver_to_sqs({parameters}, topic_arn)", _to_queue)
    graft(sns, "_http_post_sync(endpoint, payload, sns_message_type)", _to_endpoint)


def failed(topic: str) -> None:
    """Count a delivery that failed, in the topic's region."""
    spec = parse_arn(topic)
    with request_scope(spec.account_id, spec.region):
        cloudwatch.record_metric(NAMESPACE, FAILED, 1, "Count", {"TopicName": spec.resource})


def _to_queue(original: Function) -> Function:
    def deliver_to_sqs(  # noqa: PLR0917 # the emulator's own parameters
        endpoint: str,
        envelope: str,
        raw: bool,
        raw_message: str,
        message_group_id: str = "",
        message_dedup_id: str = "",
        message_attributes: dict[str, Any] | None = None,
        topic_arn: str = "",
    ) -> None:
        if not _takes(endpoint, topic_arn):
            failed(topic_arn)
        fifo = (message_group_id, message_dedup_id)
        original(endpoint, envelope, raw, raw_message, *fifo, message_attributes, topic_arn)

    return deliver_to_sqs


def _takes(queue: str, topic: str) -> bool:
    try:
        account = parse_arn(queue).account_id
    except ArnParseError:
        return False
    there = sqs._queue_by_arn(queue) is not None  # noqa: SLF001 # as its own services do
    return there and bool(sqs.queue_policy_allows(queue, "sns.amazonaws.com", topic, account))


def _to_endpoint(original: Function) -> Function:
    def post(endpoint: str, payload: str, sns_message_type: str) -> int:
        try:
            return int(original(endpoint, payload, sns_message_type))
        except Exception:
            if sns_message_type == "Notification":
                failed(json.loads(payload)["TopicArn"])
            raise

    return post
