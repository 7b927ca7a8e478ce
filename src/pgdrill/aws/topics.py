"""The only module that calls SNS: sends messages to people. State machines do it for functions."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import not_told
from pgdrill.messages import Message

# Source: SNS API reference, Publish: a subject has at most 100 characters.
LONGEST = 100


def send(client: Any, topic: str, suffix: str, message: Message) -> None:
    """Send one message, with what it is about as attributes, which a subscription can filter on.

    Raises:
        NotRunnable, Unavailable: SNS refused, or did not answer.
    """
    attributes = message.attributes | {"level": message.level.value, "topic": message.topic}
    try:
        client.publish(
            TopicArn=topic,
            Subject=f"pgdrill {suffix}: {message.topic}"[:LONGEST],
            Message="\n\n".join(part for part in (message.text, message.hint) if part),
            # SNS refuses an empty text.
            MessageAttributes={name: _attribute(value) for name, value in attributes.items() if value != ""},
        )
    except (ClientError, BotoCoreError) as error:
        raise not_told("messages", topic, error) from error


def _attribute(value: str | int) -> dict[str, str]:
    """Return a value as SNS takes it; numbers are compared as such."""
    return {"DataType": "String" if isinstance(value, str) else "Number", "StringValue": str(value)}
