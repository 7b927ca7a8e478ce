"""The emulator takes a Choice's condition for true where it is not false or empty; AWS wants a boolean.

Anything else fails the state, so that a definition does not work in the lab alone.

Source: Step Functions Developer Guide, "Choice workflow state", `Condition`.
"""

import json
from typing import Any

from ministack.services import stepfunctions

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.bends.tasks import failure
from pgdrill.lab.rds.service import Rds


def apply(_: Rds) -> None:
    graft(stepfunctions, "_evaluate_jsonata_choice_rule(rule, raw_input, ctx)", _a_boolean)


def _a_boolean(_: Function) -> Function:
    def evaluate_jsonata_choice_rule(rule: dict[str, Any], raw_input: Any, ctx: Any) -> bool:
        value = stepfunctions._apply_jsonata_template(rule.get("Condition"), raw_input, ctx)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
        if not isinstance(value, bool):
            raise failure(
                "States.QueryEvaluationError",
                "The JSONata expression specified for the field 'Condition' returned an unexpected result type."
                f" Expected 'boolean' for value: {json.dumps(value)}",
            )
        return value

    return evaluate_jsonata_choice_rule
