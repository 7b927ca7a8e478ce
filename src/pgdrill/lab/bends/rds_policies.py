"""The emulator evaluates a call to RDS on the one instance that it names, or on `*`; AWS does on every resource.

So a policy that names a snapshot, a group or the target of a copy would deny what AWS allows, and allow what AWS
denies. Here each resource of a request, source and target, is evaluated with its tags and properties, then what
the request implies: its tags (`rds:AddTagsToResource`), roles that it passes, keys that RDS uses in its name.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon RDS".
"""

from dataclasses import replace
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import get_region

from pgdrill.lab.bends import evaluation
from pgdrill.lab.bends.evaluation import Ask, Asked
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
    evaluation.around(_each_need)


def _each_need(ask: Ask, asked: Asked) -> Any:
    own = {name: value for name, value in asked.context.items() if name != NEEDS}
    needs: list[Need] | None = asked.context.get(NEEDS)
    if not needs:
        return evaluation.first_refusal(ask, [replace(asked, context=own)])
    return evaluation.first_refusal(
        ask,
        (
            Asked(
                asked.access_key,
                need.action,
                need.action.partition(":")[0],
                need.region,
                need.resource,
                (own if need.action.startswith("rds:") else {}) | need.keys,
            )
            for need in needs
        ),
    )
