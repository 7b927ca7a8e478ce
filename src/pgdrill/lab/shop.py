"""The demo's production: a believable shop with every kind of object, and a writer that keeps it alive.

The rows are made inside the server by shop.sql and analytics.sql; none stands in this repository. Lab code: it
opens sessions of its own, as the shop's application would, since pgdrill itself never writes to production.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from itertools import count

import psycopg

from pgdrill.database import Address, Connection, quoted
from pgdrill.lab.background import Background

DATABASES = ("shop", "analytics", "Year-End 2025")
"""The last one is empty, and needs quoting."""

ROWS = 300_000


def load(address: Address, rows: int = ROWS) -> None:
    """Fill the instance as its master user; `address` names any database of it to begin from.

    `rows` is about the sum over all tables: a fifth are orders, each with three lines on average.
    """
    sizes = {"shop.customers": max(20, rows // 15), "shop.orders": max(60, rows // 5)}
    with connect(address, address.dbname) as session:
        present = {name for (name,) in session.execute("SELECT datname FROM pg_catalog.pg_database")}
        for database in DATABASES:
            if database not in present:
                session.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(quoted(database)))
    for database in ("shop", "analytics"):
        with connect(address, database) as session, session.transaction():
            for name, size in sizes.items():
                session.execute("SELECT set_config(%s, %s, true)", (name, str(size)))
            session.execute(files("pgdrill.lab").joinpath(f"{database}.sql").read_bytes())
        # As autovacuum has done in every production; what others own is skipped.
        with connect(address, database) as session:
            session.execute("VACUUM (ANALYZE)")


@contextmanager
def writer(address: Address, pause: float = 0.1) -> Iterator[Background]:
    """Place small orders, several a second, on a connection of its own while the context lasts."""
    numbers = count()

    def place() -> None:
        number = next(numbers)
        session.execute("CALL shop.place_order(%s, %s)", (1 + number % 20, 1 + number % 5))

    with connect(address, "shop") as session, Background(place, pause) as background:
        yield background


def connect(address: Address, database: str) -> Connection:
    """Open an autocommit session of the shop's own."""
    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        dbname=database,
        sslmode=address.sslmode,
        sslrootcert=address.root_cert,
        application_name="shop",
        autocommit=True,
    )
