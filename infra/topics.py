"""The two topics of a cell, for people: one tells of recovery points, copies and exports, the other of drills."""

import hashlib

import pulumi
import pulumi_aws as aws

from naming import Names
from policies import Document, document
from settings import Settings
from tagging import tags

BACKUPS, DRILLS = "backups", "drills"


class Topics(pulumi.ComponentResource):
    """Encrypted with the cell's key. Who subscribes is the plan's `notify`; an address confirms by a link."""

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

    def _topic(self, name: str, thing: str) -> pulumi.Output[str]:
        inside = pulumi.ResourceOptions(parent=self)
        names, notify = self._names, self._settings.notify
        topic = aws.sns.Topic(
            name,
            name=names.thing(thing),
            kms_master_key_id=self._key,
            region=names.region,
            tags=tags(self._settings, names.thing(thing)),
            opts=inside,
        )
        aws.sns.TopicPolicy(
            name,
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(policy(names, thing)),
            region=names.region,
            opts=inside,
        )
        endpoints = [("email", one) for one in notify.email] + [("https", one) for one in notify.https]
        for protocol, endpoint in endpoints:
            # The address is no name for a resource: it may be long, and it says who is told.
            digest = hashlib.sha256(endpoint.encode()).hexdigest()[:8]
            aws.sns.TopicSubscription(
                f"{name}-{protocol}-{digest}",
                topic=topic.arn,
                protocol=protocol,
                endpoint=endpoint,
                region=names.region,
                opts=inside,
            )
        return topic.arn


def policy(names: Names, thing: str) -> Document:
    """Let nobody come without TLS. Roles of the account publish by their own policies."""
    return document(
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": names.arn("sns", names.thing(thing)),
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )
