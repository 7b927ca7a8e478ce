"""The boundary of every function: decodes what comes in, makes cell and clock, calls one thing, encodes what comes of it.

Nothing else below the handlers reads the environment or a clock. Errors leave with their class's name, which a
state machine's Retry and Catch match; what is no `DrillError` is a bug, and leaves without its message, since that
may quote what a database holds.

    PGDRILL_PLAN     key of the plan in the evidence bucket, which says what it holds: a version keeps its plan
    PGDRILL_BUCKET   the cell's evidence bucket
    PGDRILL_CELL     primary or dr
"""

import hashlib
import json
import logging
import os
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel

from pgdrill.aws import sessions
from pgdrill.aws.store import Store
from pgdrill.cell import CONFIG, Cell
from pgdrill.errors import DrillError, PlanError
from pgdrill.handlers.payloads import Answer
from pgdrill.messages import Reply
from pgdrill.model import JSON, Clock
from pgdrill.plan import Plan

# A step gets the time that its function has, less a fifteenth of it, in which to write down what it did.
MARGIN = 15
# The bundle of RDS's authorities in the zip.
ROOT_CERT = "rds-ca.pem"
# What travels through a state machine is under 32 KiB, with what is written around it.
MOST = 31 * 1024

log = logging.getLogger(__name__)

R = TypeVar("R", bound=BaseModel)


class Context(Protocol):
    """What Lambda tells a handler of its invocation; as much of it as is used."""

    def get_remaining_time_in_millis(self) -> int: ...


class Bug(Exception):
    """Something that no operator can act on. The message names the class of what was raised, and nothing else."""


Handler = Callable[[JSON, Context], dict[str, JSON]]
Work = Callable[[R, Cell, Clock], Answer]


def function(request: type[R], work: Work[R], opened: Callable[[], Cell] | None = None) -> Handler:
    """Return the handler that decodes a request, has it worked on in the function's cell, and encodes the answer."""

    def handler(event: JSON, context: Context) -> dict[str, JSON]:
        try:
            asked = request.model_validate(event)
            cell = (opened or open_cell)()
            answer = work(asked, cell, clock(context))
        except DrillError as error:
            raise type(error)(f"{error.message} ({error.hint})", hint=error.hint) from error
        except Exception as error:  # noqa: BLE001 # a boundary: nothing may pass with a message of unknown content
            name = type(error).__name__
            frames = traceback.format_tb(error.__traceback__)
            log.error("%s was raised", name, extra={"frames": frames})  # noqa: TRY400 # the message must not be logged
            raise Bug(f"{name} was raised; the log of the function says where") from None
        return _encoded(answer)

    return handler


def clock(context: Context) -> Clock:
    """Return a clock that shows what time it is, and counts down what an invocation may still take."""
    budget = _seconds(context) * (1 - 1 / MARGIN)
    left = _seconds(context) - budget
    now = datetime.fromtimestamp(time.time(), UTC)  # the one reading that the lab can move
    return Clock(now=now, remaining=lambda: max(0.0, _seconds(context) - left), budget=budget)


def open_cell() -> Cell:
    """Open the function's cell, once a container and plan.

    Raises:
        PlanError: the environment is not set, or there is no such plan.
    """
    names = ("PGDRILL_PLAN", "PGDRILL_BUCKET", "PGDRILL_CELL")
    if missing := [name for name in names if not os.environ.get(name)]:
        raise PlanError(
            f"the function's environment lacks {', '.join(missing)}", hint="deploy the function anew"
        )
    if root := os.environ.get("LAMBDA_TASK_ROOT"):
        os.environ["PGSSLROOTCERT"] = str(Path(root) / ROOT_CERT)
    return _cell(*(os.environ[name] for name in names))


@lru_cache(maxsize=1)
def _cell(key: str, bucket: str, which: str) -> Cell:
    session = sessions.session()
    body = Store(session.client("s3", config=CONFIG), bucket).get(key)
    digest = hashlib.sha256(body or b"").hexdigest()
    if body is None or key != f"plan/{digest}.json":
        raise PlanError(
            f"there is no plan {key!r} in bucket {bucket!r}"
            if body is None
            else f"plan {key!r} in bucket {bucket!r} has SHA-256 {digest}: it was altered",
            hint="deploy anew, which writes it again",
        )
    plan = Plan.of(json.loads(body), key)
    if which not in {"primary", "dr"}:
        raise PlanError(f"PGDRILL_CELL is {which!r}", hint="it is primary or dr; deploy the function anew")
    return Cell.open(plan, plan.dr if which == "dr" else plan.primary, session)


def _seconds(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000


def _encoded(answer: Answer) -> dict[str, JSON]:
    """Log all that is to be told, and send on as much of it as a state machine may carry besides the rest."""
    told = answer.reply.beside_alarms() if answer.reply and answer.reply != Reply() else None
    answer = answer.model_copy(update={"reply": None})
    if told is not None:
        log.info("told", extra={"reply": told.model_dump(mode="json")})
        told = told.within(MOST - len(answer.model_dump_json().encode()))
    encoded: dict[str, JSON] = answer.model_copy(update={"reply": told}).model_dump(mode="json")
    return encoded
