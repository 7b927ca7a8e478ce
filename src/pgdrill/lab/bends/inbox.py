"""The emulator forgets what it would have sent by mail or text; the lab keeps every letter, for whoever looks."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import sns

from pgdrill.lab import daemon
from pgdrill.lab.bends import watch
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.cloudwatch.inbox import Inbox, Letter, Recipient
from pgdrill.lab.rds.service import Rds


def apply(_: Rds) -> None:
    inbox = Inbox(Path(os.environ[daemon.MARK]))
    parameters = "topic_arn, msg_id, message, subject, message_structure, message_attributes"
    signature = f"_fanout({parameters}, message_group_id, message_dedup_id)"
    graft(sns, signature, lambda original: _kept(original, inbox))


def _kept(original: Function, inbox: Inbox) -> Function:
    def fanout(  # noqa: PLR0917 # the emulator's own parameters
        topic: str,
        identifier: str,
        message: str,
        subject: str,
        structure: str = "",
        attributes: dict[str, Any] | None = None,
        **fifo: str,
    ) -> Any:
        inbox.put(_letter(topic, message, subject, attributes or {}))
        return original(topic, identifier, message, subject, structure, attributes, **fifo)

    return fanout


def _letter(topic: str, message: str, subject: str, attributes: dict[str, Any]) -> Letter:
    try:
        region = parse_arn(topic).region
    except ArnParseError:
        region = ""
    found = sns._topic_by_arn_any_scope(topic) or {"subscriptions": []}  # noqa: SLF001 # as its own services do
    recipients = tuple(
        Recipient(
            protocol=each.get("protocol", ""),
            endpoint=each.get("endpoint", ""),
            confirmed=bool(each.get("confirmed")),
        )
        for each in found["subscriptions"]
        if sns._matches_filter_policy(each, attributes, message)  # noqa: SLF001
    )
    return Letter(
        when=datetime.fromtimestamp(watch.now(), UTC),
        region=region,
        topic=topic,
        subject=subject,
        text=message,
        attributes={name: _text(value) for name, value in attributes.items()},
        recipients=recipients,
    )


def _text(attribute: Any) -> str:
    for name in ("StringValue", "Value", "BinaryValue"):
        if isinstance(attribute, dict) and attribute.get(name) is not None:
            return str(attribute[name])
    return json.dumps(attribute)
