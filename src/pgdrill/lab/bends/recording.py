"""The emulator keeps no account of what roles ask for; AWS's CloudTrail does, and here every evaluation is written down.

Innermost of what is put around the evaluation, so that each action and resource that a call needs is a line of its
own, under the role that asked or that a service had taken.

Source: CloudTrail User Guide, "CloudTrail record contents" (userIdentity, eventName, resources, errorCode).
"""

import os
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator

from pgdrill.lab import daemon
from pgdrill.lab.bends import evaluation
from pgdrill.lab.bends.evaluation import Ask, Asked
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.calls import Call, Recorder
from pgdrill.lab.rds.service import Rds

# What the evaluation at hand is about, from the function that evaluates to the one that knows the outcome.
_evaluated: ContextVar[list[iam_evaluator.EvalContext] | None] = ContextVar("evaluated", default=None)
_recorders: list[Recorder] = []


def apply(_: Rds) -> None:
    _recorders.append(Recorder(Path(os.environ[daemon.MARK])))
    graft(iam_evaluator, "evaluate(ctx, policies, *limits)", _noted)
    evaluation.around(_recorded)


def add(
    role: str, session: str, action: str, resource: str, region: str, *, allowed: bool, **context: Any
) -> None:
    """Write down what a service asked for itself, or what was decided elsewhere than in the evaluation."""
    for recorder in _recorders:
        recorder.add(
            Call(
                at=time.time(),
                role=role,
                session=session,
                action=action,
                resource=resource,
                region=region,
                allowed=allowed,
                context=context,
            )
        )


def _noted(original: Function) -> Function:
    def evaluate(ctx: iam_evaluator.EvalContext, policies: Any, *limits: Any) -> Any:
        noted = _evaluated.get()
        if noted is not None:
            noted.append(ctx)
        return original(ctx, policies, *limits)

    return evaluate


def _recorded(ask: Ask, asked: Asked) -> Any:
    noted: list[iam_evaluator.EvalContext] = []
    token = _evaluated.set(noted)
    try:
        refused = ask(asked)
    finally:
        _evaluated.reset(token)
    if noted:  # else nobody was evaluated: the account's own keys, a wrong signature, what is never refused
        _record(noted[0], allowed=refused is None)
    return refused


def _record(ctx: iam_evaluator.EvalContext, *, allowed: bool) -> None:
    kind, _, rest = ctx.principal_arn.rpartition(":")[2].partition("/")
    role, _, session = rest.partition("/") if kind == "assumed-role" else ("", "", "")
    context = {name: value for name, value in (ctx.service_context or {}).items() if value is not None}
    add(
        role or ctx.principal_arn,
        session,
        ctx.action,
        ctx.resource_arn,
        ctx.region,
        allowed=allowed,
        **context,
    )
