"""Service Quotas: more of something than AWS gives by itself."""

from typing import Any

from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, stays


def _ask(wanted: Wanted) -> tuple[str, Outputs]:
    which = wanted.some("serviceCode", "quotaCode")
    value = wanted.take("value")
    there = wanted.call("service-quotas", "get_service_quota", which)["Quota"]
    outputs: dict[str, Any] = {
        "arn": there["QuotaArn"],
        "adjustable": there["Adjustable"],
        "quotaName": there["QuotaName"],
        "serviceName": there["ServiceName"],
        "defaultValue": wanted.call("service-quotas", "get_aws_default_service_quota", which)["Quota"][
            "Value"
        ],
    }
    if value > there["Value"]:
        history = "list_requested_service_quota_change_history_by_quota"
        before = wanted.call("service-quotas", history, which)["RequestedQuotas"]
        pending = [one for one in before if one["Status"] == "PENDING" and one["DesiredValue"] >= value]
        request = pending[0] if pending else _request(wanted, which, value)
        outputs |= {"requestId": request["Id"], "requestStatus": request["Status"]}
    return f"{which['serviceCode']}/{which['quotaCode']}", outputs


def _request(wanted: Wanted, which: dict[str, Any], value: float) -> Any:
    asked = wanted.call("service-quotas", "request_service_quota_increase", which, DesiredValue=value)
    return asked["RequestedQuota"]


def _update(wanted: Wanted, _: Made) -> Outputs:
    return _ask(wanted)[1]


ENTRIES = (
    # AWS takes nothing back that it has granted.
    Entry(
        "aws:servicequotas/serviceQuota:ServiceQuota",
        _ask,
        stays,
        _update,
        frozenset({"serviceCode", "quotaCode"}),
    ),
)
