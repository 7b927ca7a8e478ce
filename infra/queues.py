"""The queues of a cell, and the one for what could not be delivered: schedules that started nothing, events that
reached nobody.
"""

import pulumi
import pulumi_aws as aws

from naming import Names
from policies import Document, document, tls_only
from settings import Settings
from tagging import tags

DEAD_LETTERS = "dead-letters"
KEPT_SECONDS = 14 * 86_400  # the most that SQS keeps


class DeadLetters(pulumi.ComponentResource):
    """Schedules send as their role; event rules as the service, which the queue's policy allows."""

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:DeadLetters", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        queue, _ = make(name, settings, names, DEAD_LETTERS, key, policy(names), KEPT_SECONDS, opts=inside)
        self.arn = queue.arn
        self.register_outputs({"arn": self.arn})


def make(
    name: str,
    settings: Settings,
    names: Names,
    thing: str,
    key: pulumi.Input[str],
    policy: Document,
    kept_seconds: int,
    *,
    opts: pulumi.ResourceOptions,
) -> tuple[aws.sqs.Queue, aws.sqs.QueuePolicy]:
    """Make a queue under a key, with its policy; before the policy is there nobody may send."""
    queue = aws.sqs.Queue(
        name,
        name=names.thing(thing),
        message_retention_seconds=kept_seconds,
        kms_master_key_id=key,
        region=names.region,
        tags=tags(settings, names.thing(thing)),
        opts=opts,
    )
    allowed = aws.sqs.QueuePolicy(
        name,
        queue_url=queue.url,
        policy=pulumi.Output.json_dumps(policy),
        region=names.region,
        opts=opts,
    )
    return queue, allowed


def policy(names: Names) -> Document:
    """Let this deployment's event rules set aside what they could not deliver; nobody comes without TLS.

    Source: EventBridge User Guide, "Using dead-letter queues to process undelivered events".
    """
    queue = names.arn("sqs", names.thing(DEAD_LETTERS))
    return document(
        {
            "Sid": "Rules",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {
                # Of the bus of its own, and of the default one, which rules' ARNs do not name.
                "ArnLike": {
                    "aws:SourceArn": [names.arn("events", f"rule/{names.stem}{end}") for end in ("/*", "-*")]
                }
            },
        },
        tls_only("sqs:*", queue),
    )
