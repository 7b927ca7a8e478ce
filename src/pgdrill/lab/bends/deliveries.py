"""The emulator drops an event for a bus in another region, and asks nobody of a delivery; AWS asks role or resource.

A schedule's target, and a rule's where it is a bus, here in whichever region, or a state machine, is reached as its
role, if that may. A queue, topic or function has to let a rule in by its own policy, and its key by the key's; a topic and a key are not told for which rule it comes. What cannot be delivered goes to the target's dead-letter queue, a schedule's input
as its role and an event as the queue's policy may. A forwarded event keeps its account, region, id and time.
What a topic delivers to an encrypted queue, the queue's key has to let SNS encrypt; else it is lost.

Source: EventBridge User Guide, "Sending and receiving events between AWS Regions", "Using resource-based policies"
and "Using dead-letter queues"; EventBridge Scheduler User Guide, "Confused deputy prevention", "Configuring a
dead-letter queue" and "Encryption at rest"; SNS Developer Guide, "Key management" and "Configuring an encrypted topic with an encrypted
Amazon SQS queue subscription".
"""

import json
import logging
from collections.abc import Callable
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge, lambda_svc, sns, sqs

from pgdrill.lab.bends import delivery_metrics, key_use, roles, schedules
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

log = logging.getLogger(__name__)
EVENTS, SCHEDULER, SNS = "events.amazonaws.com", "scheduler.amazonaws.com", "sns.amazonaws.com"
# What is done with a target.
ACTIONS = {
    "events": "events:PutEvents",
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}
# Targets that let rules in by their own policy, and where that is; schedules come as their role everywhere.
WITHIN_POLICY: dict[str, Callable[[str], Any]] = {
    "lambda": lambda_svc.function_policy_for_arn,
    "sns": sns.topic_policy_for_arn,
    "sqs": sqs.queue_policy_for_arn,
}
# The rules that an event went through, with their regions; the emulator's own path does not tell regions apart.
HOPS = "_Hops"


class _Undeliverable(Exception):
    """Why an event does not reach its target."""


def apply(_: Rds) -> None:
    graft(eventbridge, "_invoke_target(target, event, rule, view)", _as_the_role)
    parameters = (
        "endpoint, envelope, raw, raw_message, message_group_id, message_dedup_id, message_attributes"
    )
    graft(sns, f"_deliver_to_sqs({parameters}, topic_arn)", _as_the_key)


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
            _ask(spec, target, rule)
            if bus and spec.region != get_region():
                _forward(spec, event, rule)
            else:
                original(target, event, rule, view)
        except (_Undeliverable, roles.NotAllowed) as error:
            log.warning("not delivered to %s: %s", target["Arn"], error)
            if outcome := schedules.fired.get():
                outcome.undelivered = str(error)
            _set_aside(target, event, rule, view)

    return invoke_target


def _scheduled(rule: dict[str, Any]) -> bool:
    return "ScheduleExpression" in rule and "Target" in rule


def _ask(spec: Any, target: dict[str, Any], rule: dict[str, Any]) -> None:
    """See that the target may be reached: by its role if that is what its service asks for, else by its own policy."""
    if spec.service not in ACTIONS:
        raise _Undeliverable(f"the lab delivers nothing to {spec.service}")
    if _scheduled(rule) or spec.service not in WITHIN_POLICY:
        _ask_role(target, rule, ACTIONS[spec.service])
    else:
        _ask_resource(target["Arn"], rule["Arn"])


def _ask_role(target: dict[str, Any], rule: dict[str, Any], action: str) -> None:
    if "RoleArn" not in target:
        raise _Undeliverable(f"{action} takes a role, and the target has none")
    if not _scheduled(rule):
        roles.check(target["RoleArn"], EVENTS, action, target["Arn"], source=rule["Arn"])
        return
    if key := rule.get("KmsKeyArn"):
        context = {"kms:EncryptionContext:aws:scheduler:schedule:arn": rule["Arn"]}
        roles.check(target["RoleArn"], SCHEDULER, "kms:Decrypt", key, source=_group(rule), context=context)
    roles.check(target["RoleArn"], SCHEDULER, action, target["Arn"], source=_group(rule))


def _group(schedule: dict[str, Any]) -> str:
    """Scheduler takes a role for the schedule's group, whose ARN is what a trust policy can name."""
    arn: str = schedule["Arn"]
    return arn.replace(":schedule/", ":schedule-group/").rpartition("/")[0]


def _ask_resource(arn: str, source: str) -> None:
    """See that a queue, topic or function lets EventBridge in by its own policy, and its key by that of the key."""
    service = arn.split(":")[2]
    action, policy = ACTIONS[service], WITHIN_POLICY[service](arn)
    # EventBridge tells a topic nothing of whom it comes for, and no key.
    roles.check_service(
        EVENTS,
        action,
        arn,
        source=source,
        policy=policy[0] if policy else None,
        named=service != "sns",
    )
    key_use.check_service(EVENTS, arn, source=source, named=False)


def _as_the_key(original: Function) -> Function:
    def deliver_to_sqs(endpoint: str, *message: Any, topic_arn: str = "", **more: Any) -> None:
        try:
            with request_scope(get_account_id(), parse_arn(endpoint).region):
                key_use.check_service(SNS, endpoint, source=topic_arn)
        except roles.NotAllowed as error:
            log.warning("not delivered from %s to %s: %s", topic_arn, endpoint, error)
            delivery_metrics.failed(topic_arn)
            return
        original(endpoint, *message, topic_arn=topic_arn, **more)

    return deliver_to_sqs


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


def _set_aside(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any) -> None:
    """Put what was not delivered into the dead-letter queue: an event, or a schedule's input; as that may be."""
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return
    try:
        if _scheduled(rule):
            roles.check(target["RoleArn"], SCHEDULER, "sqs:SendMessage", queue, source=_group(rule))
            body = target.get("Input") or "{}"
        else:
            _ask_resource(queue, rule["Arn"])
            view = view or eventbridge._pattern_event_view(event)  # type: ignore[no-untyped-call] # noqa: SLF001
            body = json.dumps(view.event_with_detail())
    except (_Undeliverable, roles.NotAllowed) as error:
        log.warning("not set aside in %s: %s", queue, error)
        return
    eventbridge._dispatch_to_sqs(parse_arn(queue), body)  # type: ignore[no-untyped-call] # noqa: SLF001
