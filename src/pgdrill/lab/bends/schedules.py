"""The emulator hands a schedule's input on as it stands; AWS puts the occasion in the place of context attributes.

`<aws.scheduler.scheduled-time>` is the time that the schedule says, not the one at which it is served, so that a late
or repeated invocation acts for the same slot. Through the lab's door a schedule is fired for any occasion, and all
of them are held, so that a test has a month pass at its own pace.

Source: EventBridge Scheduler User Guide, "Adding context attributes".
"""

import json
import time
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import eventbridge, scheduler, stepfunctions

from pgdrill.errors import NotRunnable
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

# How far back an occasion is looked for; the emulator looks every few seconds, unless the machine slept.
LOOK_BACK = (timedelta(minutes=5), timedelta(days=1), timedelta(days=366))


class Fired:
    """What became of one firing: the executions that it started, and why it was not delivered, if it was not."""

    def __init__(self, due_at: datetime) -> None:
        self.due_at = due_at
        self.executions: list[str] = []
        self.undelivered = ""


fired: ContextVar[Fired | None] = ContextVar("fired", default=None)
_held = False


def apply(_: Rds) -> None:
    graft(scheduler, "_tick_schedules()", _unless_held)
    graft(eventbridge, "_invoke_target(target, event, rule, view)", _with_the_occasion)
    graft(stepfunctions, "_start_execution(data)", _noting_the_execution)


def hold(*, held: bool) -> None:
    """Let no schedule fire by itself, or let them all again."""
    global _held  # noqa: PLW0603 # one emulator a process
    _held = held


def fire(account: str, region: str, name: str, due_at: datetime) -> Fired:
    """Invoke a schedule's target as Scheduler does, for the occasion `due_at`; disabled ones as well.

    Raises:
        NotRunnable: no such schedule in that region.
    """
    with request_scope(account, region):
        found = next((one for one in _all() if one["Name"] == name), None)
        if found is None:
            raise NotRunnable(
                f"no schedule {name!r} in {region}", hint=f"aws scheduler list-schedules --region {region}"
            )
        event = {
            "EventId": str(uuid.uuid4()),
            "Source": "aws.scheduler",
            "DetailType": "Scheduled Event",
            "Detail": "{}",
            "Time": due_at.timestamp(),
            "Resources": [found["Arn"]],
            "Account": account,
            "Region": region,
        }
        outcome = Fired(due_at)
        token = fired.set(outcome)
        try:
            eventbridge._invoke_target(found["Target"], event, found)  # type: ignore[no-untyped-call] # noqa: SLF001
        finally:
            fired.reset(token)
    return outcome


def _all() -> list[dict[str, Any]]:
    return list(scheduler._schedules.values())  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own ticker does


def _unless_held(original: Function) -> Function:
    def tick_schedules() -> None:
        if not _held:
            original()

    return tick_schedules


def _noting_the_execution(original: Function) -> Function:
    def start_execution(data: dict[str, Any]) -> Any:
        outcome = fired.get()
        token = fired.set(
            None
        )  # the execution's thread has a copy of this context, and what it starts is its own
        try:
            answer = original(data)
        finally:
            fired.reset(token)
        if outcome is not None:
            status, _, body = answer
            if status == HTTPStatus.OK:
                outcome.executions.append(json.loads(body)["executionArn"])
            else:
                outcome.undelivered = body.decode("utf-8", "replace")
        return answer

    return start_execution


def _with_the_occasion(original: Function) -> Function:
    def invoke_target(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> Any:
        if "Target" in rule and target.get("Input"):
            outcome = fired.get()
            due_at = outcome.due_at if outcome else occasion(rule, datetime.fromtimestamp(time.time(), UTC))
            target = target | {"Input": substituted(target["Input"], rule, due_at)}
        return original(target, event, rule, view)

    return invoke_target


def substituted(text: str, schedule: dict[str, Any], due_at: datetime) -> str:
    """Return an input with the context attributes of one occasion of a schedule."""
    attributes = {
        "scheduled-time": due_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
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
