"""Where the daily canary is awaited: a queue that is subscribed to both topics of a cell, for canaries alone.

So a topic, its policy, its key and a delivery are tried every day, without a person who has to notice that nothing came.
"""

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

import queues
from naming import Names
from pgdrill.messages import Kind
from policies import Document, document, tls_only
from settings import Settings

# The queue, the machine, and the attribute that a canary carries, and nothing else does.
CANARY = "canary"
KEPT_SECONDS = 3_600


class Canary(pulumi.ComponentResource):
    """The queue, as the state machine `canary` needs it. The url is known once somebody may send there."""

    url: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        key: pulumi.Input[str],
        topics: Mapping[Kind, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:Canary", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        queue, allowed = queues.make(
            name, settings, names, CANARY, key, policy(names), KEPT_SECONDS, opts=inside
        )
        subscribed = [
            aws.sns.TopicSubscription(
                f"{name}-{kind}",
                topic=topic,
                protocol="sqs",
                endpoint=queue.arn,
                filter_policy=json.dumps({CANARY: [{"exists": True}]}),
                raw_message_delivery=True,
                region=names.region,
                opts=inside,
            )
            for kind, topic in topics.items()
        ]
        ready = pulumi.Output.all(queue.url, allowed.id, *(one.id for one in subscribed))
        self.url, self.arn = ready.apply(lambda known: str(known[0])), queue.arn
        self.register_outputs({"url": self.url, "arn": self.arn})


def policy(names: Names) -> Document:
    """Let this cell's topics send; nobody comes without TLS.

    Source: SNS Developer Guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic".
    """
    queue = names.arn("sqs", names.thing(CANARY))
    topics = [names.arn("sns", names.thing(kind)) for kind in Kind]
    return document(
        {
            "Sid": "Topics",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topics}},
        },
        tls_only("sqs:*", queue),
    )
