"""Who is told: subscriptions of the plan's `notify` to both topics of a cell; chats are in `chats.py`.

Who is told everything also gets the daily canary, as a sign of life: SNS cannot leave out one kind of message without
leaving out alarms, which carry no attributes. Source: SNS Developer Guide, "Attribute key matching".
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.messages import Kind
from pgdrill.sections import Attribute, Notify
from settings import Settings


@dataclass(frozen=True)
class Subscriber:
    """`filters` are by attribute the values that are wanted; empty for everything."""

    protocol: str
    endpoint: str
    kinds: tuple[Kind, ...]
    filters: Mapping[Attribute, list[str]]

    @property
    def digest(self) -> str:
        """Name it: an endpoint may be long, and says who is told. Two of one endpoint are told apart by their filter."""
        told = json.dumps([self.endpoint, self.filters], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:8]


def subscribers(notify: Notify) -> Iterator[Subscriber]:
    for protocol, endpoints in (("email", notify.email), ("https", notify.https), ("sqs", notify.sqs)):
        for endpoint in endpoints:
            yield Subscriber(protocol, endpoint, tuple(Kind), {})
    for one in notify.subscriptions:
        wanted = {name: list(values) for name, values in (one.only or {}).items()}
        kinds = tuple(Kind(topic) for topic in one.topics) or tuple(Kind)
        yield Subscriber(one.protocol, one.endpoint, kinds, wanted)


class Subscriptions(pulumi.ComponentResource):
    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        topics: Mapping[Kind, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:Subscriptions", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        for one in subscribers(settings.notify):
            for kind in one.kinds:
                aws.sns.TopicSubscription(
                    f"{name}-{kind}-{one.protocol}-{one.digest}",
                    topic=topics[kind],
                    protocol=one.protocol,
                    endpoint=one.endpoint,
                    filter_policy=json.dumps(one.filters) if one.filters else None,
                    region=names.region,
                    opts=inside,
                )
        self.register_outputs({})
