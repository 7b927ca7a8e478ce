"""The demo's production: a believable shop with every kind of object, and a writer that keeps it alive.

The rows are made inside the server by shop.sql and analytics.sql; none stands in this repository. Lab code: it
opens sessions of its own, as the shop's application would, since pgdrill itself never writes to production.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from threading import Event
from types import TracebackType
from typing import Self

import psycopg

from pgdrill.database import Address, Connection, quoted

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


class Writer:
    """Places small orders on a connection of its own, from entering until leaving the context.

    What goes wrong in its thread is raised where the context is left.
    """

    def __init__(self, address: Address, pause: float = 0.1) -> None:
        self.placed = 0
        self._address = address
        self._pause = pause
        self._stop = Event()
        self._thread = ThreadPoolExecutor(1, "writer")
        self._work: Future[None] | None = None

    def __enter__(self) -> Self:
        self._work = self._thread.submit(self._write)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.shutdown()
        if self._work and error is None:
            self._work.result()

    def _write(self) -> None:
        with connect(self._address, "shop") as session:
            while not self._stop.wait(self._pause):
                session.execute("CALL shop.place_order(%s, %s)", (1 + self.placed % 20, 1 + self.placed % 5))
                self.placed += 1


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
