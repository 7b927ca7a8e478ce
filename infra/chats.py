"""Channels of a chat that are told what topics are told. Not of a cell: a channel is configured once for an account.

Amazon Q Developer in chat applications shows alarms and AWS's own events, and drops plain text.
Source: Amazon Q Developer in chat applications Administrator Guide, "Monitoring AWS services" and "Understanding
permissions"; AWS General Reference, "AWS Chatbot endpoints and quotas".
"""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from naming import Names
from policies import EVERYTHING, Document, deny, document, trust
from roles import Role
from settings import Settings
from tagging import tags

# A configuration holds everywhere, and is made at one of these.
ENDPOINTS = ("us-east-2", "us-west-2", "eu-west-1", "ap-southeast-1")
# Whatever role a member of the channel takes, nothing can be run from there.
GUARDRAIL = "arn:aws:iam::aws:policy/AWSDenyAll"


class Chats(pulumi.ComponentResource):
    """The plan's channels, each following all topics of both cells."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        topics: Sequence[pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make them; `names` are those of the primary region."""
        super().__init__("pgdrill:Chats", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        role = Role(
            name,
            settings,
            names,
            "chat",
            purpose="channels of a chat are told, and may do nothing",
            trust=trust(names, "chatbot.amazonaws.com"),
            policy=pulumi.Output.from_input(nothing()),
            opts=inside,
        )
        for chat in settings.notify.chats:
            thing = names.thing(f"chat-{chat.channel.lower()}")
            aws.chatbot.SlackChannelConfiguration(
                f"{name}-{chat.channel}",
                configuration_name=thing,
                slack_team_id=chat.workspace,
                slack_channel_id=chat.channel,
                sns_topic_arns=topics,
                iam_role_arn=role.arn,
                guardrail_policy_arns=[GUARDRAIL],
                logging_level="ERROR",
                region=names.region if names.region in ENDPOINTS else ENDPOINTS[0],
                tags=tags(settings, thing),
                opts=inside,
            )
        self.register_outputs({})


def nothing() -> Document:
    return document(deny("Nothing", EVERYTHING, EVERYTHING))
