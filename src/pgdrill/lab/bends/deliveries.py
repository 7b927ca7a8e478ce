"""The emulator drops an event for a bus in another region, and delivers to any state machine; AWS asks the role.

A rule's or schedule's target is reached as its role, if that may: `events:PutEvents` for a bus, here in whichever
region, `states:StartExecution` for a state machine. What cannot be delivered goes to the target's dead-letter queue.
A forwarded event keeps its account, region, id and time.

Source: EventBridge User Guide, "Sending and receiving events between AWS Regions" and "Using dead-letter queues";
EventBridge Scheduler User Guide, "Confused deputy prevention".
"""

import json
import logging
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge

from pgdrill.lab.bends import roles, schedules
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

log = logging.getLogger(__name__)
# The rules that an event went through, with their regions; the emulator's own path does not tell regions apart.
HOPS = "_Hops"


class _Undeliverable(Exception):
    """Why an event does not reach its target."""


def apply(_: Rds) -> None:
    graft(eventbridge, "_invoke_target(target, event, rule, view)", _as_the_role)


def _as_the_role(original: Function) -> Function:
    def invoke_target(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        try:
            spec = parse_arn(target["Arn"])
        except ArnParseError:
            original(target, event, rule, view)  # says so in its log
            return
        bus = spec.service == "events" and spec.resource.startswith("event-bus/")
        try:
            if bus or spec.service == "states":
                action = "events:PutEvents" if bus else "states:StartExecution"
                _ask(target, rule, action)
            if bus and spec.region != get_region():
                _forward(spec, event, rule)
            else:
                original(target, event, rule, view)
        except (_Undeliverable, roles.NotAllowed) as error:
            log.warning("not delivered to %s: %s", target["Arn"], error)
            if outcome := schedules.fired.get():
                outcome.undelivered = str(error)
            _set_aside(target, event, view)

    return invoke_target


def _ask(target: dict[str, Any], rule: dict[str, Any], action: str) -> None:
    service, source = "events.amazonaws.com", rule["Arn"]
    if "ScheduleExpression" in rule and "Target" in rule:
        # Scheduler takes a role for the schedule's group, whose ARN is what a trust policy can name.
        service = "scheduler.amazonaws.com"
        source = source.replace(":schedule/", ":schedule-group/").rpartition("/")[0]
    if "RoleArn" in target:
        roles.check(target["RoleArn"], service, action, target["Arn"], source=source)
    elif action.startswith("states:"):
        raise _Undeliverable("a state machine is started with a role, and the target has none")


def _forward(spec: Any, event: dict[str, Any], rule: dict[str, Any]) -> None:
    """Hand an event to a bus of another region, once for every rule."""
    hop = [get_region(), rule["Arn"]]
    hops = event.get(HOPS, [])
    if hop in hops:
        raise _Undeliverable("the event came through this rule before")
    bus = spec.resource.partition("/")[2]
    forwarded = {name: value for name, value in event.items() if name != "_DispatchPath"}
    forwarded |= {"EventBusName": bus, HOPS: [*hops, hop]}
    with request_scope(get_account_id(), spec.region):
        eventbridge._ensure_default_bus()  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
        if bus not in eventbridge._event_buses:  # noqa: SLF001
            raise _Undeliverable("there is no such bus")
        eventbridge._dispatch_event(forwarded)  # type: ignore[no-untyped-call] # noqa: SLF001


def _set_aside(target: dict[str, Any], event: dict[str, Any], view: Any) -> None:
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if queue:
        view = view or eventbridge._pattern_event_view(event)  # type: ignore[no-untyped-call] # noqa: SLF001
        eventbridge._dispatch_to_sqs(parse_arn(queue), json.dumps(view.event_with_detail()))  # type: ignore[no-untyped-call] # noqa: SLF001
