"""The emulator has no Service Quotas; AWS takes requests for more, and grants them when it likes.

Only RDS's manual snapshots, which is what the deployment asks for. A request stays pending until the lab's door
grants it.

Source: Service Quotas API.
"""

import json
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import iam_actions, router
from ministack.core.responses import get_account_id, get_region

from pgdrill.lab.bends.graft import Drifted, Function, graft
from pgdrill.lab.rds.quotas import CODE, NAME, Asked, Quotas
from pgdrill.lab.rds.service import Rds

SERVICE = "servicequotas"
PREFIX = "ServiceQuotasV20190624"

Answer = tuple[int, dict[str, str], bytes]


class _Refused(Exception):
    """The error's name, and why."""


def apply(rds: Rds) -> None:
    if SERVICE in app.SERVICE_HANDLERS or SERVICE in iam_actions.SERVICE_TO_IAM_NAMESPACE:
        raise Drifted("the emulator has Service Quotas now, which a bend stands in for")
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    parameters = "service, method, path, headers, body, query_params, region, account_id"
    graft(iam_actions, f"extract_resource_arn({parameters})", _on_the_quota)
    router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": [PREFIX]}
    app.SERVICE_HANDLERS[SERVICE] = _handler(rds.quotas)


def _on_the_quota(original: Function) -> Function:
    """Only a request for more is evaluated on a quota. Source: Service Authorization Reference, Service Quotas."""

    def extract_resource_arn(service: str, *request: Any) -> str:
        _, _, headers, body, *_, region, account = request
        if service != SERVICE or not headers.get("x-amz-target", "").endswith(".RequestServiceQuotaIncrease"):
            return str(original(service, *request))
        asked = json.loads(body or b"{}")
        return f"arn:aws:servicequotas:{region}:{account}:{asked.get('ServiceCode')}/{asked.get('QuotaCode')}"

    return extract_resource_arn


def _handler(quotas: Quotas) -> Callable[..., Any]:
    async def handle(_method: str, _path: str, headers: dict[str, str], body: bytes, _query: Any) -> Answer:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            answer = _answer(quotas, action, json.loads(body or b"{}"))
        except _Refused as error:
            name, message = error.args
            return 400, dict(_TYPE), json.dumps({"__type": name, "message": message}).encode()
        return 200, dict(_TYPE), json.dumps(answer).encode()

    return handle


# Copied for every answer, since the emulator adds to it.
_TYPE = {"Content-Type": "application/x-amz-json-1.1"}


def _answer(quotas: Quotas, action: str, asked: dict[str, Any]) -> dict[str, Any]:
    region = get_region()
    if action == "GetRequestedServiceQuotaChange":
        for one in quotas.asked(region):
            if one.id == asked["RequestId"]:
                return {"RequestedQuota": _request(one)}
        raise _Refused("NoSuchResourceException", f"there is no request {asked['RequestId']}")
    if (asked.get("ServiceCode"), asked.get("QuotaCode")) != ("rds", CODE):
        raise _Refused("NoSuchResourceException", f"the lab knows no quota but {CODE} of rds")
    match action:
        case "GetServiceQuota":
            return {"Quota": _quota(quotas.value(region))}
        case "GetAWSDefaultServiceQuota":
            return {"Quota": _quota(quotas.default)}
        case "RequestServiceQuotaIncrease":
            return {"RequestedQuota": _request(_ask(quotas, region, int(asked["DesiredValue"])))}
        case "ListRequestedServiceQuotaChangeHistoryByQuota":
            return {"RequestedQuotas": [_request(one) for one in quotas.asked(region)]}
    raise _Refused("InvalidAction", f"the lab does not serve {action}")


def _ask(quotas: Quotas, region: str, value: int) -> Asked:
    if value <= quotas.value(region):
        raise _Refused("IllegalArgumentException", f"{value} is not more than {quotas.value(region)}")
    if any(one.status == "PENDING" for one in quotas.asked(region)):
        raise _Refused("ResourceAlreadyExistsException", "a request is pending already")
    return quotas.ask(region, value)


def _quota(value: int) -> dict[str, Any]:
    return _named() | {"Value": float(value), "Adjustable": True, "GlobalQuota": False, "Unit": "None"}


def _request(asked: Asked) -> dict[str, Any]:
    return _named() | {"Id": asked.id, "DesiredValue": float(asked.value), "Status": asked.status}


def _named() -> dict[str, Any]:
    arn = f"arn:aws:servicequotas:{get_region()}:{get_account_id()}:rds/{CODE}"
    return {
        "ServiceCode": "rds",
        "ServiceName": "Amazon Relational Database Service (Amazon RDS)",
        "QuotaCode": CODE,
        "QuotaName": NAME,
        "QuotaArn": arn,
    }
