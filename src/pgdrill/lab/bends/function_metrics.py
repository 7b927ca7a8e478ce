"""The emulator counts only what is invoked over HTTP; AWS counts every invocation, whoever makes it, in `AWS/Lambda`.

A throttled invocation is counted as such and not as one. Metrics are about the function, whichever version ran.

Source: Lambda Developer Guide, "Types of metrics for Lambda functions".
"""

import time
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

NAMESPACE = "AWS/Lambda"


def apply(_: Rds) -> None:
    nothing = lambda *_, **__: None  # noqa: E731 # what is counted below would be counted twice
    graft(lambda_svc, "_emit_lambda_metrics(function_name, duration_ms, error, throttle)", lambda _: nothing)
    graft(lambda_svc, "_execute_function(func, event)", _counting)


def _counting(original: Function) -> Function:
    def execute(func: dict[str, Any], event: Any) -> Any:
        config = func.get("config") or func
        if lambda_svc._function_config_scope_mismatch(config):  # noqa: SLF001 # as its own functions do
            return original(func, event)  # which comes back here in the function's own region
        began = time.monotonic()
        result = original(func, event)
        milliseconds = (time.monotonic() - began) * 1000
        throttled = bool(result.get("throttle"))
        counted = {"Throttles": 1.0} if throttled else {"Throttles": 0.0, "Invocations": 1.0}
        if not throttled:
            counted |= {"Errors": float(bool(result.get("error"))), "Duration": milliseconds}
        for name, value in counted.items():
            unit = "Milliseconds" if name == "Duration" else "Count"
            cloudwatch.record_metric(NAMESPACE, name, value, unit, {"FunctionName": config["FunctionName"]})
        return result

    return execute
