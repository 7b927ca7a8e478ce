"""A production in a lab: an instance with data, a ledger that has beaten, and a way to drill it."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.database import Address, Server
from pgdrill.drills import conduct, drill
from pgdrill.drills.state import Drill
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence, Trigger
from pgdrill.lab import shop
from pgdrill.lab.lab import Lab
from pgdrill.model import Clock, RecoveryPoint
from pgdrill.plan import Checks, DatabasePlan, Plan
from pgdrill.points import taking

PASSWORD = "correct-horse-battery"
ROWS = 4000
FEW = Checks(skip=("catalog", "heap", "indexes", "constraints", "collations", "extensions", "side_effects"))

Report = Callable[[Drill, str], None]


@contextmanager
def environment(lab: Lab) -> Iterator[None]:
    """Do what `. lab.env` does."""
    before = dict(os.environ)
    os.environ.update(lab.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def clock(budget: float = 840.0, ahead: timedelta = timedelta(0)) -> Clock:
    end = time.monotonic() + budget
    return Clock(
        now=datetime.now(UTC) + ahead, remaining=lambda: max(0.0, end - time.monotonic()), budget=budget
    )


def looks(count: int) -> Clock:
    """Return a clock whose time is up after so many looks at it, however fast the machine is."""
    left = iter([60.0] * count)
    return Clock(now=datetime.now(UTC), remaining=lambda: next(left, 0.0), budget=60.0)


def tick(wait: float) -> Clock:
    time.sleep(min(wait, 1.0))
    return clock()


class Production:
    """`master` is the address of production's master user, `point` a snapshot with its seals.

    With `rows` it holds the shop with one of every kind of object; without, one table, for the many drills that
    are about RDS and not about content.
    """

    def __init__(self, lab: Lab, rows: int | None = None, checks: Checks | None = None) -> None:
        self.lab = lab
        self.plan = Plan.load(lab.plan_path).model_copy(update={"checks": checks or Checks()})
        self.cell = Cell.open(self.plan)
        self.database: DatabasePlan = self.plan.database(None)
        self.master = self._create()
        if rows:
            shop.load(self.master, rows=rows)
        else:
            self.execute(
                "CREATE TABLE orders AS SELECT i AS id, i % 7 AS total FROM generate_series(1, 1000) i"
            )
        role = {"username": ledger.ROLE, "password": secrets.token_urlsafe(24)}
        lab.client("secretsmanager").create_secret(Name=self.database.secret, SecretString=json.dumps(role))
        ledger.install(Server(self.master, clock()), role["password"], role=role["username"])
        self.beat()
        self.point = self.take()

    def _create(self) -> Address:
        self.lab.client("rds").create_db_instance(
            DBInstanceIdentifier=self.database.instance,
            DBName="shop",
            MasterUsername="master",
            MasterUserPassword=PASSWORD,
            **self.lab.world().production_instance(),
        )
        end = time.monotonic() + 60
        while True:
            instance = self.cell.rds.instance(self.database.instance)
            if instance and instance.status == "available" and instance.host and instance.port:
                break
            assert time.monotonic() < end, "production is not available after a minute"
            time.sleep(0.05)
        return Address(
            host=instance.host, port=instance.port, user="master", password=PASSWORD, dbname="shop"
        )

    def beat(self) -> None:
        ledger.beat(self.cell.production(self.database, clock()), self.cell.store, self.database.name)

    def take(self) -> RecoveryPoint:
        self.beat()
        return taking.take(self.cell, self.database, ALL, tick, lambda _: None)

    def execute(self, statement: str, database: str = "shop") -> None:
        with shop.connect(self.master, database) as session:
            session.execute(statement.encode())

    def sessions(self) -> int:
        """Return how many sessions production's own database has ever had; asked over another one."""
        with shop.connect(self.master, "postgres") as session:
            row = session.execute("SELECT sessions FROM pg_stat_database WHERE datname = 'shop'").fetchone()
            assert row is not None
            return int(row[0])

    def begin(self, wanted: str | None = None, plan: Plan | None = None) -> Drill:
        return drill.begin(
            plan or self.plan,
            self.database,
            wanted or self.point.id,
            now=datetime.now(UTC),
            nonce=secrets.token_hex(16),
            trigger=Trigger.COMMAND,
        )

    def drill(self, wanted: str | None = None, report: Report = lambda *_: None) -> Evidence:
        done = conduct.run(self.begin(wanted), self.cell, tick, report)
        return archive.load(self.cell.store, done.id, done.database)

    def leased(self) -> list[str]:
        return [lease.instance for _, lease in self.cell.rds.leased(self.plan.stack.suffix)]
