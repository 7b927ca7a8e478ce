"""What the emulator's IAM is asked, as one thing, and how bends stand around its evaluation.

Is no bend itself. Each bend that stands around what was there sees what is asked, and may ask otherwise, or for more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, request_scope

from pgdrill.lab.bends.graft import Function, graft


@dataclass(frozen=True)
class Asked:
    """May the caller with this access key do this to that? `context` are condition keys of the call."""

    access_key: str
    action: str
    service: str
    region: str
    resource: str = "*"
    context: Mapping[str, Any] = field(default_factory=dict)


# Answers with the emulator's refusal; None where the caller may.
Ask = Callable[[Asked], Any]


def around(bend: Callable[[Ask, Asked], Any]) -> None:
    """Let `bend(ask, asked)` answer in the place of what was there, which is `ask`."""

    def wrapper(original: Function) -> Function:
        def ask(asked: Asked) -> Any:
            return original(
                asked.access_key,
                asked.action,
                asked.service,
                asked.region,
                resource_arn=asked.resource,
                service_context=dict(asked.context),
            )

        def enforce(  # noqa: PLR0917 # the emulator's own parameters
            access_key_id: str,
            iam_action: str,
            service: str,
            region: str,
            resource_arn: str = "*",
            service_context: dict[str, Any] | None = None,
        ) -> Any:
            return bend(
                ask, Asked(access_key_id, iam_action, service, region, resource_arn, service_context or {})
            )

        return enforce

    parameters = "access_key_id, iam_action, service, region, resource_arn, service_context"
    graft(iam_evaluator, f"enforce({parameters})", wrapper)


def first_refusal(ask: Ask, needs: Iterable[Asked]) -> Any:
    """Ask for each of what a call needs, in its own region, until one is refused; None where none is."""
    for need in needs:
        with request_scope(get_account_id(), need.region):
            if refused := ask(need):
                return refused
    return None
