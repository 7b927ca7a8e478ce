"""The queue of a cell for what could not be delivered: schedules that started nothing, events that reached nobody."""

import pulumi
import pulumi_aws as aws

from naming import Names
from policies import Document, document
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
        queue = aws.sqs.Queue(
            name,
            name=names.thing(DEAD_LETTERS),
            message_retention_seconds=KEPT_SECONDS,
            kms_master_key_id=key,
            region=names.region,
            tags=tags(settings, names.thing(DEAD_LETTERS)),
            opts=inside,
        )
        aws.sqs.QueuePolicy(
            name,
            queue_url=queue.url,
            policy=pulumi.Output.json_dumps(policy(names)),
            region=names.region,
            opts=inside,
        )
        self.arn = queue.arn
        self.register_outputs({"arn": self.arn})


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
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": queue,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )
