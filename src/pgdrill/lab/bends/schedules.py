"""The emulator hands a schedule's input on as it stands; AWS puts the occasion in the place of context attributes.

`<aws.scheduler.scheduled-time>` is the time that the schedule says, not the one at which it is served, so that a late
or repeated invocation acts for the same slot.

Source: EventBridge Scheduler User Guide, "Adding context attributes".
"""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from ministack.services import eventbridge, scheduler

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

# How far back an occasion is looked for; the emulator looks every few seconds, unless the machine slept.
LOOK_BACK = (timedelta(minutes=5), timedelta(days=1), timedelta(days=366))


def apply(_: Rds) -> None:
    graft(eventbridge, "_invoke_target(target, event, rule, view)", _with_the_occasion)


def _with_the_occasion(original: Function) -> Function:
    def invoke_target(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> Any:
        if "Target" in rule and target.get("Input"):
            target = target | {
                "Input": substituted(target["Input"], rule, datetime.fromtimestamp(time.time(), UTC))
            }
        return original(target, event, rule, view)

    return invoke_target


def substituted(text: str, schedule: dict[str, Any], now: datetime) -> str:
    """Return an input with the context attributes of the schedule's last occasion at `now`."""
    attributes = {
        "scheduled-time": occasion(schedule, now).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "schedule-arn": schedule["Arn"],
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def occasion(schedule: dict[str, Any], now: datetime) -> datetime:
    """Return the last time, up to `now`, that the schedule's expression names, in UTC."""
    expression = schedule["ScheduleExpression"]
    once: float | None = scheduler._at_time_epoch(expression)  # noqa: SLF001 # its own reading
    if once is not None:
        return datetime.fromtimestamp(once, UTC)
    interval: int | None = eventbridge._parse_rate_seconds(expression)  # noqa: SLF001
    if interval is not None:
        began = float(schedule["CreationDate"])
        passed = (now.timestamp() - began) // interval * interval
        return datetime.fromtimestamp(began + passed, UTC)
    fields = eventbridge._parse_cron_fields(expression)  # noqa: SLF001
    for back in LOOK_BACK:
        following: datetime | None = eventbridge._cron_next_fire(fields, now - back)  # noqa: SLF001
        last = None
        while following is not None and following <= now:
            last, following = following, eventbridge._cron_next_fire(fields, following)  # noqa: SLF001
        if last is not None:
            return last
    return now
