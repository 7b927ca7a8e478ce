"""The only module that calls EventBridge: puts events on a bus. State machines do it for functions."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import not_told
from pgdrill.errors import Unavailable
from pgdrill.messages import Event

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

# Source: EventBridge API reference, PutEvents: 10 a request.
AT_ONCE = 10


def put(client: "EventBridgeClient", bus: str, suffix: str, events: tuple[Event, ...]) -> None:
    """Put events on a bus.

    Raises:
        NotRunnable, Unavailable: EventBridge refused, did not answer, or did not take all of them.
    """
    for first in range(0, len(events), AT_ONCE):
        entries = [_entry(bus, suffix, event) for event in events[first : first + AT_ONCE]]
        try:
            answer = client.put_events(Entries=entries)
        except (ClientError, BotoCoreError) as error:
            raise not_told("events", bus, error) from error
        if answer["FailedEntryCount"]:
            codes = sorted({str(entry["ErrorCode"]) for entry in answer["Entries"] if "ErrorCode" in entry})
            raise Unavailable(
                f"cannot tell events to {bus!r}: {', '.join(codes)}", hint="the same call may pass later"
            )


def _entry(bus: str, suffix: str, event: Event) -> "PutEventsRequestEntryTypeDef":
    return {
        "EventBusName": bus,
        "Source": f"pgdrill.{suffix}",
        "DetailType": event.kind,
        "Detail": json.dumps({"subject": event.subject} | event.detail),
    }
