"""The emulator evaluates a call to RDS on the one instance that it names, or on `*`; AWS does on every resource.

So a policy that names a snapshot, a group or the target of a copy would deny what AWS allows, and allow what AWS
denies. Here each resource of a request, source and target, is evaluated with its tags and properties, then what
the request implies: its tags (`rds:AddTagsToResource`), roles that it passes, keys that RDS uses in its name.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon RDS".
"""

from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.authorization import Need
from pgdrill.lab.rds.service import Rds

# Where the needs of a request travel from the function that sees the request to the one that evaluates it.
NEEDS = "pgdrill:needs"


def apply(rds: Rds) -> None:
    def derive(original: Function) -> Function:
        def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
            context: dict[str, Any] = original(service, iam_action, body, params)
            if service == "rds":
                context[NEEDS] = rds.needs(get_region(), iam_action.partition(":")[2], params)
            return context

        return request_tag_context

    graft(iam_actions, "request_tag_context(service, iam_action, body, params)", derive)
    graft(
        iam_evaluator,
        "enforce(access_key_id, iam_action, service, region, resource_arn, service_context)",
        _each_need,
    )


def _each_need(original: Function) -> Function:
    def enforce(  # noqa: PLR0917 # the emulator's own parameters
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(service_context or {})
        needs: list[Need] | None = context.pop(NEEDS, None)
        for need in needs or [Need(iam_action, resource_arn, region)]:
            keys = context if need.action.startswith("rds:") or not needs else {}
            with request_scope(get_account_id(), need.region):
                denied = original(
                    access_key_id,
                    need.action,
                    need.action.partition(":")[0] if needs else service,
                    need.region,
                    resource_arn=need.resource,
                    service_context=keys | need.keys,
                )
            if denied:
                return denied
        return None

    return enforce
