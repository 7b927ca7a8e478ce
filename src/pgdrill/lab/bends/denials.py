"""The emulator's refusals do not name the resource that a policy lacks; AWS's do, for each action that it evaluates.

Source: IAM User Guide, "Troubleshoot access denied error messages".
"""

from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions, iam_evaluator

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

_denied: ContextVar[tuple[str, str] | None] = ContextVar("denied", default=None)


def apply(_: Rds) -> None:
    graft(iam_evaluator, "evaluate(ctx, policies, *limits)", _noted)
    graft(
        iam_actions,
        "access_denied_response(service, action, principal_arn, request_id, error_code, message, headers,"
        " resource_arn, explicit_deny, resource_policy_arn)",
        _named,
    )


def _noted(original: Function) -> Function:
    def evaluate(ctx: iam_evaluator.EvalContext, *policies: Any) -> Any:
        result = original(ctx, *policies)
        if result.decision != "Allow":
            _denied.set((ctx.action, ctx.resource_arn))
        return result

    return evaluate


def _named(original: Function) -> Function:
    def access_denied_response(
        service: str, action: str, principal_arn: str, request_id: str, **about: Any
    ) -> Any:
        denied = _denied.get()
        if denied and not any(about.get(name) for name in ("error_code", "message", "resource_policy_arn")):
            action, resource = denied
            explicit = about.get("explicit_deny", False)
            about["message"] = iam_actions.identity_denial_message(action, principal_arn, resource, explicit)
        return original(service, action, principal_arn, request_id, **about)

    return access_denied_response
