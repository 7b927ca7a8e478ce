"""A small production in a lab: an instance with a shop, a ledger that has beaten, and a way to drill it."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from pgdrill import conduct, drill, ledger, points
from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.database import Address, Server
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence, Trigger
from pgdrill.lab import shop
from pgdrill.lab.lab import Lab
from pgdrill.model import Clock, RecoveryPoint
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.state import Drill

PASSWORD = "correct-horse-battery"
ROWS = 4000

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


def tick(wait: float) -> Clock:
    time.sleep(min(wait, 1.0))
    return clock()


class Production:
    """`master` is the address of production's master user, `point` a snapshot with its seals."""

    def __init__(self, lab: Lab, rows: int = ROWS) -> None:
        self.lab = lab
        self.plan = Plan.load(lab.plan_path)
        self.cell = Cell.open(self.plan)
        self.database: DatabasePlan = self.plan.database(None)
        self.master = self._create()
        shop.load(self.master, rows=rows)
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
        return points.take(self.cell, self.database, ALL, tick, lambda _: None)

    def execute(self, statement: str, database: str = "shop") -> None:
        with shop.connect(self.master, database) as session:
            session.execute(statement.encode())

    def sessions(self) -> int:
        """Return how many sessions production has ever had in the databases that a drill looks at."""
        with psycopg.connect(
            host=self.master.host,
            port=self.master.port,
            user=self.master.user,
            password=self.master.password,
            dbname="postgres",
        ) as session:
            row = session.execute("SELECT sum(sessions) FROM pg_stat_database WHERE datname <> 'postgres'")
            return int((row.fetchone() or (0,))[0] or 0)

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
