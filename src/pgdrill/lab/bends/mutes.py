"""The emulator knows no alarm mute rules; AWS holds back the actions of the alarms that one names, for its time.

Rules are put, got, listed and deleted; which alarms they hold back is `pgdrill.lab.cloudwatch`'s to say.

Source: CloudWatch API reference, PutAlarmMuteRule, GetAlarmMuteRule, ListAlarmMuteRules, DeleteAlarmMuteRule.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.cloudwatch.metrics import Unknown
from pgdrill.lab.cloudwatch.mutes import Mute, mute
from pgdrill.lab.rds.service import Rds

STATE_KEY = "pgdrill mute rules"  # what the emulator's saved state holds them under

MEMBERS = ("Name", "Description", "Rule", "MuteTargets", "StartDate", "ExpireDate")

Rule = dict[str, Any]
Where = tuple[str, str]

# By account and region, then by name, as they were asked for.
_rules: dict[Where, dict[str, Rule]] = {}


def in_region() -> Iterator[Mute]:
    """Yield the rules of the region of the request at hand."""
    return (mute(rule) for rule in list(_here().values()))


def _here() -> dict[str, Rule]:
    return _rules.setdefault((get_account_id(), get_region()), {})


def apply(_: Rds) -> None:
    graft(cloudwatch, "handle_request(method, path, headers, body, query_params)", _answering)
    graft(cloudwatch, "get_state()", lambda original: lambda: original() | {STATE_KEY: _dump()})
    graft(cloudwatch, "_restore_state(data)", _restoring)


def _answering(original: Function) -> Function:
    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any
    ) -> Any:
        operation = OPERATIONS.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if operation is None:  # boto3 and the AWS CLI send JSON, and name the operation so
            return await original(method, path, headers, body, query_params)
        try:
            told = operation(json.loads(body))
        except Unknown as error:
            return cloudwatch._error("ValidationError", str(error), 400, use_json=True)  # type: ignore[no-untyped-call] # noqa: SLF001
        except KeyError as error:
            missing = f"Alarm mute rule {error} does not exist"
            return cloudwatch._error("ResourceNotFoundException", missing, 404, use_json=True)  # type: ignore[no-untyped-call] # noqa: SLF001
        return cloudwatch._json_ok(told)  # noqa: SLF001 # its own way

    return handle_request


def _put(rule: Rule) -> Rule:
    mute(rule)
    _here()[rule["Name"]] = rule
    return {}


def _get(asked: Rule) -> Rule:
    rule = _here()[asked["AlarmMuteRuleName"]]
    arn = f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm-mute-rule:{rule['Name']}"
    shown = {name: rule[name] for name in MEMBERS if name in rule}
    return shown | {"AlarmMuteRuleArn": arn}


def _list(_: Rule) -> Rule:
    shown = [_get({"AlarmMuteRuleName": name}) for name in sorted(_here())]
    wanted = ("AlarmMuteRuleArn", "ExpireDate")
    return {"AlarmMuteRuleSummaries": [{key: one[key] for key in wanted if key in one} for one in shown]}


def _delete(asked: Rule) -> Rule:
    _here().pop(asked["AlarmMuteRuleName"], None)
    return {}


OPERATIONS: dict[str, Callable[[Rule], Rule]] = {
    "PutAlarmMuteRule": _put,
    "GetAlarmMuteRule": _get,
    "ListAlarmMuteRules": _list,
    "DeleteAlarmMuteRule": _delete,
}


def _dump() -> list[Any]:
    return [[*where, rules] for where, rules in _rules.items()]


def _restoring(original: Function) -> Function:
    def restore_state(data: Any) -> None:
        for account, region, rules in (data or {}).pop(STATE_KEY, []):
            _rules[account, region] = rules
        original(data)

    return restore_state
