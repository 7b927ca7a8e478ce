"""The emulator leaves out condition keys that pgdrill's policies use, and evaluates a key's alias as a resource.

AWS supplies `cloudwatch:namespace`, `events:source`, `events:detail-type`, `kms:RequestAlias` and, for what a
function's own code asks, `lambda:SourceFunctionArn`; evaluates a call that names an alias on the key behind it; and
has the role, not the session, as `aws:PrincipalArn`; and takes a batch of SQS for what is done to each message. The
lab speaks plain HTTP on loopback and counts as TLS does.

Source: Service Authorization Reference, CloudWatch and EventBridge; KMS Developer Guide, "Using aliases to control
access"; IAM User Guide, "AWS global condition context keys"; Lambda Developer Guide, "Working with Lambda execution
environment credentials"; SQS Developer Guide, "Amazon SQS API permissions: Actions and resource reference".
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import kms

from pgdrill.lab.bends import evaluation
from pgdrill.lab.bends.evaluation import Ask, Asked
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

Keys = dict[str, Any]
# Whose credentials are a function's: access key -> the function's ARN, without a version.
_functions: dict[str, str] = {}


def apply(_: Rds) -> None:
    graft(iam_actions, "extract_iam_action(service, method, path, headers, body, query_params)", _one_by_one)
    graft(iam_actions, "request_tag_context(service, iam_action, body, params)", _supplied)
    evaluation.around(_on_the_key)
    graft(iam_evaluator, "_resolve_condition_key(key, ctx)", _globally)
    graft(lambda_runtime, "execution_credentials(config)", _noting_the_function)


def _one_by_one(original: Function) -> Function:
    """Policies know nothing of batches: whoever may send or delete a message may do so with ten."""

    def extract_iam_action(service: str, *request: Any) -> str | None:
        action: str | None = original(service, *request)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    return extract_iam_action


def _globally(original: Function) -> Function:
    def resolve_condition_key(key: str, ctx: iam_evaluator.EvalContext) -> Any:
        name = key.lower()
        if name == "aws:securetransport":
            return "true"
        if name == "aws:principalarn" and ":assumed-role/" in ctx.principal_arn:
            role = ctx.principal_arn.partition(":assumed-role/")[2].partition("/")[0]
            return f"arn:aws:iam::{ctx.principal_account}:role/{role}"
        return original(key, ctx)

    return resolve_condition_key


def _noting_the_function(original: Function) -> Function:
    def execution_credentials(config: dict[str, Any]) -> dict[str, str]:
        given: dict[str, str] = original(config)
        _functions[given["AWS_ACCESS_KEY_ID"]] = ":".join(config.get("FunctionArn", "").split(":")[:7])
        return given

    return execution_credentials


def _supplied(original: Function) -> Function:
    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> Keys:
        context: Keys = original(service, iam_action, body, params)
        supply = SUPPLIED.get(iam_action)
        return context | supply(_request(body, params)) if supply else context

    return request_tag_context


def _request(body: bytes, params: Mapping[str, list[str]]) -> Mapping[str, Any]:
    """Return a request's members, in JSON as boto3 sends them, or as a query."""
    if body.lstrip()[:1] != b"{":
        return {name: values[-1] for name, values in params.items()}
    try:
        found: Mapping[str, Any] = json.loads(body)
    except ValueError:
        return {}  # refused by the service itself
    return found


def _namespace(request: Mapping[str, Any]) -> Keys:
    return {"cloudwatch:namespace": request["Namespace"]} if "Namespace" in request else {}


def _sources(request: Mapping[str, Any]) -> Keys:
    entries = [entry for entry in request.get("Entries", []) if isinstance(entry, dict)]
    sources = {str(entry["Source"]) for entry in entries if "Source" in entry}
    types = {str(entry["DetailType"]) for entry in entries if "DetailType" in entry}
    return {"events:source": _value(sources), "events:detail-type": _value(types)}


def _value(values: set[str]) -> str | list[str] | None:
    return values.pop() if len(values) == 1 else sorted(values) or None


SUPPLIED: dict[str, Callable[[Mapping[str, Any]], Keys]] = {
    "cloudwatch:PutMetricData": _namespace,
    "events:PutEvents": _sources,
}


def _on_the_key(ask: Ask, asked: Asked) -> Any:
    context, resource = dict(asked.context), asked.resource
    if function := _functions.get(asked.access_key):
        context["lambda:SourceFunctionArn"] = function
    if asked.action.startswith("kms:") and ":alias/" in resource:
        context["kms:RequestAlias"] = resource.split(":", 5)[5]
        key = kms._resolve_key(resource)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
        if key is not None:
            resource = key["Arn"]
    return ask(replace(asked, resource=resource, context=context))
