"""The emulator reserves concurrency for `$LATEST` alone; in AWS it is the function's, all versions together.

Source: Lambda Developer Guide, "Configuring reserved concurrency for a function".
"""

from typing import Any

from ministack.services import lambda_svc

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds


def apply(_: Rds) -> None:
    graft(lambda_svc, "_reserved_concurrency(func, config)", _of_the_function)


def _of_the_function(original: Function) -> Function:
    def reserved(func: dict[str, Any], config: dict[str, Any]) -> int | None:
        whole = lambda_svc._functions.get(config.get("FunctionName"))  # type: ignore[no-untyped-call] # noqa: SLF001
        found: int | None = original(whole or func, config)
        return found

    return reserved
