"""A production for the lab to play with: an instance with the shop, the ledger's role, and its heart.

Calls what a stranger would: RDS and Secrets Manager through boto3, and the ledger as its commands do.
"""

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.database import Address, Server
from pgdrill.errors import Broken, DrillError
from pgdrill.lab import shop
from pgdrill.lab.background import Background
from pgdrill.lab.lab import Lab
from pgdrill.model import Clock
from pgdrill.plan import DatabasePlan, Plan

MASTER = "master"
DATABASE = "shop"
PATIENCE = 60.0
PAUSE = 0.05

Tick = Callable[[float], Clock]


def create(lab: Lab, cell: Cell, name: str, tick: Tick) -> Address:
    """Create an instance, wait until it is available, and return its master user's address.

    Raises:
        Broken: it is not available after a minute.
    """
    password = secrets.token_urlsafe(24)
    lab.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        DBName=DATABASE,
        MasterUsername=MASTER,
        MasterUserPassword=password,
        **lab.world().production_instance(),
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        instance = cell.rds.instance(name)
        if instance and instance.status == "available" and instance.host and instance.port:
            return Address(instance.host, instance.port, MASTER, password, DATABASE)
        if time.monotonic() > deadline:
            status = instance.status if instance else "not there"
            raise Broken(f"instance {name!r} is {status!r} after a minute", hint="read the lab's log")
        tick(PAUSE)


def install_ledger(lab: Lab, plan: Plan, database: DatabasePlan, master: Address, clock: Clock) -> None:
    """Make the secrets of the plan, the master user's in both regions, and the role that the first of them names."""
    password = secrets.token_urlsafe(24)
    _entry(lab, database.secret, ledger.ROLE, password)
    if database.master_secret:
        # As Secrets Manager replicates it: on the day the other region reads its own.
        for place in (plan.primary, plan.dr):
            _entry(lab, database.master_secret, master.user, master.password, place.region)
    ledger.install(Server(master, clock), password, role=ledger.ROLE)


def _entry(lab: Lab, name: str, user: str, password: str, region: str | None = None) -> None:
    text = json.dumps({"username": user, "password": password})
    lab.client("secretsmanager", region).create_secret(Name=name, SecretString=text)


def deployed(lab: Lab, database: DatabasePlan) -> Address:
    """Return the master user's address of an instance that the stack has created.

    Raises:
        Broken: the plan does not say where it is, or whose password it has.
    """
    if database.host is None or database.master_secret is None:
        raise Broken(
            f"database {database.name!r} was not created by the stack", hint="see: pgdrill lab deploy --help"
        )
    user, password = _credentials(lab, database.master_secret)
    return Address(database.host, database.port, user, password, "postgres", lab.environment["PGSSLROOTCERT"])


def furnish(
    lab: Lab,
    database: DatabasePlan,
    clock: Clock,
    rows: int = shop.ROWS,
    load: Callable[[Address, int], None] = shop.load,
) -> Address:
    """Put rows and the ledger into an instance that the stack has created; return its master user's address."""
    master = deployed(lab, database)
    load(master, rows)
    _, password = _credentials(lab, database.secret)
    ledger.install(Server(master, clock), password, role=ledger.ROLE)
    return master


def _credentials(lab: Lab, name: str) -> tuple[str, str]:
    found = json.loads(lab.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
    return str(found["username"]), str(found["password"])


def heart(plan: Plan, database: DatabasePlan, every: float, tick: Tick) -> Background:
    """Return what beats the ledger. Its cell is its own: one boto3 session must not make clients in two threads."""
    cell = Cell.open(plan)

    def beat() -> None:
        # As `pgdrill ledger run` does: a beat that fails is no reason to stop beating.
        with suppress(DrillError):
            ledger.beat(cell.production(database, tick(0)), cell.store, database.name)

    return Background(beat, every)
