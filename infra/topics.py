"""The two topics of a cell, for people: one tells of recovery points, copies and exports, the other of drills."""

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.messages import Kind
from policies import Document, Statement, document, tls_only
from settings import Settings
from tagging import tags

BACKUPS, DRILLS = Kind.BACKUPS.value, Kind.DRILLS.value


class Topics(pulumi.ComponentResource):
    """Encrypted with the cell's key for messages; each attribute is an ARN, known once its policy stands."""

    backups: pulumi.Output[str]
    drills: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:Topics", name, None, opts)
        self._settings, self._names, self._key = settings, names, key
        self.backups = self._topic(f"{name}-{BACKUPS}", BACKUPS)
        self.drills = self._topic(f"{name}-{DRILLS}", DRILLS)
        self.register_outputs({BACKUPS: self.backups, DRILLS: self.drills})

    @property
    def by_kind(self) -> dict[Kind, pulumi.Output[str]]:
        return {Kind.BACKUPS: self.backups, Kind.DRILLS: self.drills}

    def _topic(self, name: str, thing: str) -> pulumi.Output[str]:
        inside = pulumi.ResourceOptions(parent=self)
        names = self._names
        topic = aws.sns.Topic(
            name,
            name=names.thing(thing),
            kms_master_key_id=self._key,
            region=names.region,
            tags=tags(self._settings, names.thing(thing)),
            opts=inside,
        )
        allowed = aws.sns.TopicPolicy(
            name,
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(policy(names, thing)),
            region=names.region,
            opts=inside,
        )
        return pulumi.Output.all(topic.arn, allowed.id).apply(lambda known: str(known[0]))


def policy(names: Names, thing: str) -> Document:
    """Let this deployment's alarms publish, and EventBridge; roles of the account do by their own policies.

    EventBridge tells neither a topic's policy nor a key's whom it comes for: under a condition on that, no event would
    ever be told. So a rule of another account could publish here, if it came to know the topic's name; it would read
    nothing. RDS publishes through EventBridge alone: an event subscription of its own would tell everything twice.

    Sources: CloudWatch User Guide, "Using Amazon CloudWatch alarms", on permissions for SNS; EventBridge User Guide,
    "Using resource-based policies" ("You can't use Condition blocks in Amazon SNS topic policies for EventBridge");
    SNS Developer Guide, "Key management".
    """
    topic = names.arn("sns", names.thing(thing))
    # The ARN holds the account.
    alarms = {"ArnLike": {"aws:SourceArn": names.arn("cloudwatch", f"alarm:{names.stem}-*")}}
    return document(
        _may_publish("Alarms", "cloudwatch.amazonaws.com", topic) | {"Condition": alarms},
        _may_publish("Events", "events.amazonaws.com", topic),
        tls_only("sns:Publish", topic),
    )


def _may_publish(sid: str, service: str, topic: str) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": topic,
    }
