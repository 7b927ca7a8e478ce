"""What RDS tells of itself: kept for DescribeEvents, published for EventBridge.

Every event that the lab's RDS can tell stands in EVENTS. There is none for a backup, a snapshot or a copy that
failed: AWS has none either.
Source: RDS User Guide, "Amazon RDS event categories and event messages".
"""

import json
import logging
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pgdrill.lab.rds import listing, wire
from pgdrill.lab.rds.records import Event, Instance, Snapshot
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result

log = logging.getLogger(__name__)

KEPT = timedelta(days=14)


@dataclass(frozen=True)
class Kind:
    category: str
    message: str


EVENTS = {
    "0001": Kind("backup", "Backing up DB instance"),
    "0002": Kind("backup", "Finished DB Instance backup"),
    "0003": Kind("deletion", "DB instance deleted"),
    "0005": Kind("creation", "DB instance created"),
    "0006": Kind("availability", "DB instance restarted"),
    "0016": Kind("configuration change", "Reset master credentials"),
    "0019": Kind("restoration", "Restored from DB instance {source} to {target}."),
    "0028": Kind("configuration change", "Disabled automated backups"),
    "0031": Kind(
        "failure", "DB instance put into {status}. RDS recommends that you initiate a point-in-time-restore."
    ),
    "0032": Kind("configuration change", "Enabled automated backups"),
    "0040": Kind("creation", "Creating manual snapshot"),
    "0041": Kind("deletion", "Deleted user snapshot"),
    "0042": Kind("creation", "Manual snapshot created"),
    "0043": Kind("restoration", "Restored from snapshot {snapshot}."),
    "0059": Kind("notification", "Started copy of snapshot {snapshot} from region {region}."),
    "0060": Kind(
        "notification", "Finished copy of snapshot {snapshot} from region {region} in {minutes} minutes."
    ),
    "0061": Kind("notification", "Canceled snapshot copy request of {snapshot} from region {region}."),
    "0067": Kind("failure", "Unable to reset your password."),
    "0087": Kind("notification", "DB instance stopped."),
    "0088": Kind("notification", "DB instance started."),
    "0090": Kind("creation", "Creating automated snapshot"),
    "0091": Kind("creation", "Automated snapshot created"),
    "0159": Kind("notification", "The DB snapshot export task failed."),
    "0160": Kind("notification", "The DB snapshot export task was canceled."),
    "0161": Kind("notification", "The DB snapshot export task completed."),
    "0190": Kind("notification", "Canceled snapshot copy request of {snapshot} in region {region}."),
    "0196": Kind("notification", "Started copy of snapshot {snapshot} in region {region}."),
    "0197": Kind("notification", "Finished copy of snapshot {snapshot} in region {region}."),
}
_EVENTBRIDGE = {
    "db-instance": ("RDS DB Instance Event", "DB_INSTANCE"),
    "db-snapshot": ("RDS DB Snapshot Event", "SNAPSHOT"),
}


def tell(state: State, subject: Instance | Snapshot, number: str, **words: Any) -> None:
    """Record an event of `subject` and hand it over for publication."""
    kind = EVENTS[number]
    is_instance = isinstance(subject, Instance)
    event = Event(
        region=subject.region,
        identifier=subject.identifier,
        event=f"RDS-EVENT-{number}",
        source_type="db-instance" if is_instance else "db-snapshot",
        arn=state.arn("db" if is_instance else "snapshot", subject),
        message=kind.message.format(**words),
        categories=(kind.category,),
        date=state.moment(),
    )
    with state.lock:
        state.events.append(event)
        with (state.directory / "events.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(event.model_dump_json() + "\n")
    state.outbox.put((time.monotonic(), event))


def describe(state: State, region: str, request: Request) -> Result:
    """DescribeEvents: of the last hour, unless the request says otherwise."""
    if request.get("SourceIdentifier") and not request.get("SourceType"):
        raise RdsError("InvalidParameterCombination", "Cannot specify source identifier without source type")
    until = request.get("EndTime") or state.moment()
    since = request.get("StartTime") or until - timedelta(minutes=request.get("Duration", 60))
    categories = set(request.get("EventCategories", ()))
    chosen = [
        event
        for event in state.events
        if event.region == region
        and max(since, state.moment() - KEPT) <= event.date <= until
        and request.get("SourceType", event.source_type) == event.source_type
        and request.get("SourceIdentifier", event.identifier).lower() == event.identifier
        and (not categories or categories.intersection(event.categories))
    ]
    return listing.page(request, "Events", chosen, _shown)


def _shown(event: Event) -> Result:
    return {
        "SourceIdentifier": event.identifier,
        "SourceType": event.source_type,
        "Message": event.message,
        "EventCategories": event.categories,
        "Date": event.date,
        "SourceArn": event.arn,
    }


def load(state: State) -> None:
    path = state.directory / "events.jsonl"
    if path.exists():
        # A lab that was killed while it wrote may have left half a line.
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
        ]
        state.events[:] = [Event.model_validate_json(line) for line in lines]


def publish_for_ever(state: State) -> None:
    """Publish each event in time, unless the faults say late, several times or out of order."""
    for told, event in _arrivals(state):
        faults = state.faults.setting.events
        state.wait(max(0.0, told + faults.late - time.monotonic()))
        for _ in range(faults.copies):
            try:
                state.publish(event.region, _entry(event))
            except Exception:
                log.exception("%s of %s not published", event.event, event.identifier)


def _arrivals(state: State) -> Iterator[tuple[float, Event]]:
    """Yield (monotonic time, event) as they come; shuffled ones are gathered for a while, then reversed."""
    while (first := state.outbox.get()) is not None:
        window = state.faults.setting.events.shuffled
        if not window:
            yield first
            continue
        state.wait(window)
        batch = [first, *_waiting(state.outbox)]
        yield from reversed(batch)


def _waiting(outbox: "queue.Queue[tuple[float, Event] | None]") -> Iterator[tuple[float, Event]]:
    """Take what waits, up to the end mark, which stays."""
    while not outbox.empty():
        more = outbox.get()
        if more is None:
            outbox.put(None)
            return
        yield more


def _entry(event: Event) -> dict[str, Any]:
    """Return the event as PutEvents takes it. Source: RDS User Guide, "Overview of events for Amazon RDS"."""
    detail_type, source_type = _EVENTBRIDGE[event.source_type]
    detail = {
        "EventCategories": list(event.categories),
        "SourceType": source_type,
        "SourceArn": event.arn,
        "Date": wire.timestamp(event.date),
        "Message": event.message,
        "SourceIdentifier": event.identifier,
        "EventID": event.event,
    }
    return {
        "Source": "aws.rds",
        "DetailType": detail_type,
        "Time": int(event.date.timestamp()),
        "Resources": [event.arn],
        "Detail": json.dumps(detail),
    }
