"""Lab tests talk to real PostgreSQL on loopback. Everything started here is destroyed at the end."""

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgdrill.database import Address, Server
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Cluster, Query, kill_orphans
from pgdrill.lab.lab import Lab
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Authority
from pgdrill.model import Clock

MASTER, PASSWORD, DATABASE = "master", "correct-horse-battery", "shop"

MakeCluster = Callable[..., Cluster]
ServerOf = Callable[..., Server]
Run = Callable[..., list[tuple[Any, ...]]]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    return postgres.find()


@pytest.fixture(scope="session")
def ground() -> Iterator[Path]:
    """A directory that the user who runs PostgreSQL can reach; pytest's own is closed to others."""
    directory = postgres.scratch("pgdrill-test-")
    yield directory
    kill_orphans(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def authority(ground: Path) -> Authority:
    return Authority(ground / "tls")


@pytest.fixture(scope="module")
def make_cluster(binaries: Binaries, ground: Path, authority: Authority) -> Iterator[MakeCluster]:
    """Make a cluster; started with a master user and a database unless `start=False`.

    `backup` makes it from a backup instead, `archive` and `target` recover it to a moment.
    """
    made: list[Cluster] = []

    def make(
        *,
        start: bool = True,
        amcheck: bool = True,
        backup: Path | None = None,
        archive: Path | None = None,
        target: datetime | None = None,
        settings: dict[str, str] | None = None,
    ) -> Cluster:
        cluster = Cluster(Path(tempfile.mkdtemp(prefix="cluster-", dir=ground)), binaries)
        made.append(cluster)
        if backup is None:
            cluster.create(amcheck=amcheck)
        else:
            cluster.restore(backup)
        if archive is not None:
            cluster.recover_to(archive, target)
        if start:
            cluster.start(free_port(), settings, certificate=authority.server)
            if backup is None:
                cluster.create_master(MASTER, PASSWORD, DATABASE)
        return cluster

    yield make
    for cluster in made:
        cluster.destroy()


@pytest.fixture(scope="module")
def cluster(make_cluster: MakeCluster) -> Cluster:
    """One running cluster a test file, with the master user `master` and its database `shop`."""
    return make_cluster()


@pytest.fixture(scope="session")
def server_of(authority: Authority) -> ServerOf:
    """Return the product's door to a cluster, as the master user over verified TLS."""

    def server(cluster: Cluster, dbname: str = DATABASE, *, may_change: bool = False) -> Server:
        address = Address(
            host="127.0.0.1",
            port=cluster.port,
            user=MASTER,
            password=PASSWORD,
            dbname=dbname,
            root_cert=str(authority.root_cert),
        )
        clock = Clock(now=datetime.now(UTC), remaining=lambda: 600.0, budget=600.0)
        return Server(address, clock, may_change=may_change)

    return server


@pytest.fixture(scope="session")
def run(authority: Authority) -> Run:
    """Run statements, one a string, as the master user over TLS; return the last one's rows."""

    def execute(cluster: Cluster, *statements: Query, dbname: str = DATABASE) -> list[tuple[Any, ...]]:
        with closing(
            psycopg.connect(
                host="127.0.0.1",
                port=cluster.port,
                user=MASTER,
                password=PASSWORD,
                dbname=dbname,
                sslmode="verify-full",
                sslrootcert=str(authority.root_cert),
                autocommit=True,
            )
        ) as session:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = session.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
            return rows

    return execute


@pytest.fixture(scope="module")
def make_lab(ground: Path) -> Iterator[Callable[[], Lab]]:
    """Make labs that are not up yet, each in a directory of its own; all are ended."""
    made: list[Lab] = []

    def make() -> Lab:
        made.append(Lab(Path(tempfile.mkdtemp(prefix="lab-", dir=ground))))
        return made[-1]

    yield make
    for lab in made:
        lab.down()


@pytest.fixture(scope="module")
def lab(make_lab: Callable[[], Lab]) -> Lab:
    """One running lab a test file, on a free port: `client`, `environment`, `plan_path`, `door`, `world`."""
    lab = make_lab()
    lab.up()
    return lab
