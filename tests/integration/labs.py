"""A lab with the deployed program in it and a production that a drill can look at, for as long as a context lasts."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.database import Address
from pgdrill.lab import postgres, production, shop
from pgdrill.lab.cluster import kill_orphans
from pgdrill.lab.deploy.deploy import deploy
from pgdrill.lab.deploy.deployment import PLAN
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.model import Clock
from pgdrill.plan import Plan

ROWS = 3_000


@contextmanager
def deployed(
    settings: dict[str, Any] | Callable[[Lab], dict[str, Any]] | None = None,
    *,
    rows: int = ROWS,
    load: Callable[[Address, int], None] = shop.load,
    **of_the_lab: Any,
) -> Iterator[Lab]:
    """Deploy into a lab that enforces policies; its environment is this process's meanwhile.

    `load` fills each instance that the stack makes with about `rows` rows. `settings` may depend on what a function finds or makes in the lab before. `of_the_lab` are settings of the lab
    itself.

    No schedule fires by itself: tests start what they look at.
    """
    directory = postgres.scratch("pgdrill-integration-")
    lab = Lab(directory / "lab")
    try:
        lab.up(Settings(auth=True, **of_the_lab))
        lab.door.hold_schedules()
        deploy(lab, settings(lab) if callable(settings) else settings)
        plan = Plan.load(lab.directory / PLAN)
        clock = Clock(now=datetime.now(UTC), remaining=lambda: 600.0, budget=600.0)
        for database in plan.databases:
            if database.master_secret:
                production.furnish(lab, database, clock, rows, load)
        with pytest.MonkeyPatch.context() as environment:
            environment.delenv("AWS_PROFILE", raising=False)
            for name, value in lab.environment.items():
                environment.setenv(name, value)
            yield lab
    finally:
        lab.down()
        kill_orphans(directory)
        shutil.rmtree(directory)
