"""CloudWatch's alarms and metrics in the lab: the thread that looks at them, and what the rest hears of a transition.

Is no bend itself: `alarms` puts it in the place of what the emulator does. Every ten seconds all alarms are brought to
what they are now, until the lab's door is given a time: from then on time is the door's, and passes only through it.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch, eventbridge, sns

from pgdrill.lab.bends import key_use, mutes, roles
from pgdrill.lab.clock import LabClock
from pgdrill.lab.cloudwatch import wording
from pgdrill.lab.cloudwatch.alarms import MINUTE, Alarm, Region
from pgdrill.lab.cloudwatch.evaluation import State
from pgdrill.lab.cloudwatch.metrics import Metrics
from pgdrill.model import JSON

log = logging.getLogger(__name__)
EVERY = 10.0
SERVICE = "cloudwatch.amazonaws.com"
FIELDS = {
    State.ALARM: "AlarmActions",
    State.OK: "OKActions",
    State.INSUFFICIENT_DATA: "InsufficientDataActions",
}

Body = dict[str, Any]

_told: ContextVar[float | None] = ContextVar("told", default=None)


def now() -> float:
    """Return the time at which something is done: the one that the door gave, else that of the lab's clock."""
    at = _told.get()
    return WATCH.clock.now().timestamp() if at is None else at


@contextmanager
def as_if(at: float) -> Iterator[None]:
    token = _told.set(at)
    try:
        yield
    finally:
        _told.reset(token)


class Watch:
    """CloudWatch's alarms and metrics in every region, and the thread that looks at them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = LabClock()
        self._regions: dict[tuple[str, str], Region] = {}
        self._by_itself = threading.Event()
        self._by_itself.set()

    def region(self) -> Region:
        """Return the region of the request at hand."""
        where = get_account_id(), get_region()
        if where not in self._regions:
            self._regions[where] = Region(
                Metrics(), _metric_alarms, _composite_alarms, _World(), mutes.in_region
            )
        return self._regions[where]

    def evaluate(self, at: float) -> None:
        """Look at every alarm of every region as at a time."""
        with self.lock, as_if(at):
            stores = (cloudwatch._alarms, cloudwatch._composite_alarms)  # noqa: SLF001 # where they are kept
            places = {key[:2] for store in stores for key in list(store._data)}  # noqa: SLF001 # of all regions
            for account, region in sorted(places):
                with request_scope(account, region):
                    self.region().evaluate(at)

    def take_over(self, *, by_hand: bool) -> None:
        """Let time pass only through the door, or by itself again."""
        if by_hand:
            self._by_itself.clear()
        else:
            self._by_itself.set()

    def look_for_ever(self) -> None:
        while True:
            time.sleep(EVERY)
            if self._by_itself.is_set():
                try:
                    self.evaluate(now())
                except Exception:
                    log.exception("alarms not evaluated")

    def dump(self) -> Body:
        return {
            f"{account} {region}": each.metrics.dump() for (account, region), each in self._regions.items()
        }

    def load(self, dumped: Body) -> None:
        for where, metrics in dumped.items():
            account, region = where.split()
            with request_scope(account, region):
                self.region().metrics = Metrics.load(metrics)


WATCH = Watch()


def evaluate(asked: JSON) -> JSON:
    """Answer the lab's door: look at every alarm at `at`, and before, if `since` is given, at every step after it.

    `every` is a step's length in seconds. Time passes through this door alone from then on.
    """
    at = _moment(asked["at"])
    WATCH.take_over(by_hand=True)
    every = float(asked.get("every") or MINUTE)
    time_to_look = _moment(asked["since"]) + every if asked.get("since") else at
    looks = 0
    while time_to_look < at:
        WATCH.evaluate(time_to_look)
        time_to_look += every
        looks += 1
    WATCH.evaluate(at)
    return {"looks": looks + 1}


def go_on(_: JSON) -> JSON:
    """Answer the lab's door: look at the alarms by itself again, by the lab's clock."""
    WATCH.take_over(by_hand=False)
    return {"every": EVERY}


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without its zone: {text}")
    return moment.timestamp()


def _metric_alarms() -> Mapping[str, Alarm]:
    return dict(cloudwatch._alarms.items())  # type: ignore[no-untyped-call] # noqa: SLF001


def _composite_alarms() -> Mapping[str, Alarm]:
    return dict(cloudwatch._composite_alarms.items())  # type: ignore[no-untyped-call] # noqa: SLF001


class _World:
    """Lets the rest of the emulator hear of alarms."""

    def changed(self, alarm: Alarm, before: Alarm, at: float) -> None:
        remember(
            alarm,
            "StateUpdate",
            f"Alarm updated from {before['StateValue']} to {alarm['StateValue']}",
            wording.history_data(alarm, before),
            at,
        )
        event = {
            "EventId": str(uuid.uuid4()),
            "Source": "aws.cloudwatch",
            "DetailType": "CloudWatch Alarm State Change",
            "Detail": json.dumps(wording.event_detail(alarm, before)),
            "EventBusName": "default",
            "Time": int(at),  # PutEvents of the emulator would put the real time in its place
            "Resources": [alarm["AlarmArn"]],
            "Account": get_account_id(),
            "Region": get_region(),
        }
        eventbridge._ensure_default_bus()  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
        eventbridge._dispatch_event(event)  # type: ignore[no-untyped-call] # noqa: SLF001

    def act(self, alarm: Alarm, before: Alarm, at: float) -> None:
        subject, message = wording.notification(
            alarm, before, at, account=get_account_id(), region=_named(get_region())
        )
        for action in alarm.get(FIELDS[State(alarm["StateValue"])]) or ():
            refusal = _publish(action, alarm["AlarmArn"], subject, json.dumps(message))
            if refusal:
                log.warning("%s: %s", alarm["AlarmName"], refusal)
            told = {"actionState": "Failed" if refusal else "Succeeded", "notificationResource": action}
            summary = f"Failed to execute action {action}. Received error: {refusal}"
            done = f"Successfully executed action {action}"
            remember(alarm, "Action", summary if refusal else done, json.dumps(told | {"error": refusal}), at)


def _publish(topic: str, alarm: str, subject: str, message: str) -> str | None:
    """Publish to a topic as CloudWatch; return why not, if not."""
    try:
        spec = parse_arn(topic)
    except ArnParseError:
        return f"{topic} is no ARN"
    if spec.service != "sns":
        return f"the lab has no actions of {spec.service}"
    if spec.region != get_region():
        return f"{topic} is in another region"
    policy = sns.topic_policy_for_arn(topic)
    if policy is None:
        return f"Topic does not exist: {topic}"
    try:
        roles.check_service(SERVICE, "sns:Publish", topic, source=alarm, policy=policy[0])
        key_use.check_service(SERVICE, topic, source=alarm)
    except roles.NotAllowed as error:
        return str(error)
    sns.publish_internal(topic, message, subject)
    return None


@cache
def _named(region: str) -> str:
    """Return a region's name as messages have it: Asia Pacific (Tokyo)."""
    partitions = botocore.session.get_session().get_data("endpoints")["partitions"]
    names = {code: about["description"] for each in partitions for code, about in each["regions"].items()}
    return str(names.get(region, region))


def remember(alarm: Alarm, kind: str, summary: str, data: str, at: float) -> None:
    cloudwatch._history_entries().append(  # noqa: SLF001 # as its own services do
        {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": "CompositeAlarm" if "AlarmRule" in alarm else "MetricAlarm",
            "Timestamp": cloudwatch._ts_iso(at),  # type: ignore[no-untyped-call] # noqa: SLF001
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": data,
        }
    )
