"""The emulator reserves concurrency for `$LATEST` alone, and state machines know no throttling; in AWS both are otherwise.

A reservation is the function's, all versions together; a task whose function is throttled fails with
`Lambda.TooManyRequestsException`, which is retried by that name.

Source: Lambda Developer Guide, "Configuring reserved concurrency for a function"; Step Functions Developer Guide,
"Handling errors in Step Functions workflows".
"""

from typing import Any

from ministack.services import lambda_svc

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

THROTTLED = "Lambda.TooManyRequestsException"


def apply(_: Rds) -> None:
    graft(lambda_svc, "_reserved_concurrency(func, config)", _of_the_function)
    graft(lambda_svc, "_throttle_response(reason_code, msg, retry_after)", _named)


def _of_the_function(original: Function) -> Function:
    def reserved(func: dict[str, Any], config: dict[str, Any]) -> int | None:
        whole = lambda_svc._functions.get(config.get("FunctionName"))  # type: ignore[no-untyped-call] # noqa: SLF001
        found: int | None = original(whole or func, config)
        return found

    return reserved


def _named(original: Function) -> Function:
    def throttle_response(reason_code: str, msg: str, retry_after: int = 1) -> dict[str, Any]:
        answer: dict[str, Any] = original(reason_code, msg, retry_after)
        # Where the emulator's state machines look for an error's name, and clients of Lambda do not.
        answer["body"] |= {"errorType": THROTTLED, "errorMessage": msg}
        return answer

    return throttle_response
