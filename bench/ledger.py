"""Measures what the ledger costs production: pgbench without it and with it, and what one beat is made of.

Makes a throw-away cluster, runs pgbench in turn without a beat and with a beat a second, sixty times as often as the
ledger beats, several rounds, and prints the medians. Run it with `.venv/bin/python bench/ledger.py`.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from pgdrill import ledger
from pgdrill.database import Address, Server
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.tls import Authority
from pgdrill.model import Clock
from pgdrill.store import Store

ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = int(os.environ.get("SECONDS", "15"))
BEATS = 200
PASSWORD = "bench-password"  # noqa: S105  # of a throw-away cluster on loopback
FULL = """
INSERT INTO pgdrill.ledger
SELECT i, now(), repeat('0', 64), repeat('0', 64) FROM generate_series(1, {}) i
"""
WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


class Nowhere(Store):
    """A witness that forgets: S3 costs production nothing."""

    def __init__(self) -> None:
        pass

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:
        pass


def main() -> None:
    ground = Path(tempfile.mkdtemp(prefix="pgdrill-bench-"))
    ground.chmod(0o755)
    cluster = Cluster(ground / "cluster", postgres.find())
    try:
        authority = Authority(ground / "tls")
        cluster.create()
        settings = {
            "shared_buffers": "512MB",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
        }
        cluster.start(_free_port(), settings, certificate=authority.server)
        cluster.create_master("master", PASSWORD, "bench")
        master = Server(
            Address("127.0.0.1", cluster.port, "master", PASSWORD, "postgres", str(authority.root_cert)),
            _clock(),
        )
        ledger.install(master, PASSWORD)
        role = Server(replace(master.address, user=ledger.ROLE), _clock())
        _one_beat(cluster, role)
        _pgbench(cluster, "-i", "-s", "10", "-q")
        _race(cluster, role)
    finally:
        cluster.destroy()
        shutil.rmtree(ground)


def _one_beat(cluster: Cluster, role: Server) -> None:
    """Print what a beat takes and writes, once the table is as long as it ever gets."""
    cluster.sql(
        "postgres",
        sql.SQL(FULL).format(sql.Literal(ledger.RETAINED)),
    )
    cluster.sql("postgres", "VACUUM FREEZE ANALYZE pgdrill.ledger")
    cluster.sql("postgres", "CHECKPOINT")
    before, seconds = int(cluster.sql("postgres", WAL)[0][0]), []
    for _ in range(BEATS):
        start = time.perf_counter()
        ledger.beat(role, Nowhere(), "bench")
        seconds.append(time.perf_counter() - start)
    written = (int(cluster.sql("postgres", WAL)[0][0]) - before) / BEATS
    size = int(cluster.sql("postgres", "SELECT pg_total_relation_size('pgdrill.ledger')")[0][0])
    print(
        f"one beat: {1000 * statistics.median(seconds):.1f} ms with its connection over TLS, {written:,.0f} bytes of WAL;"
        f" the table with its index: {size / 1e6:.1f} MB",
        flush=True,
    )


def _race(cluster: Cluster, role: Server) -> None:
    """Run both in turn, each round in the other order, so that what drifts falls on both alike."""
    rates: dict[str, list[float]] = {"without": [], "a beat a second": []}
    for turn in range(ROUNDS + 1):
        for name in sorted(rates, reverse=bool(turn % 2)):
            with nullcontext() if name == "without" else _beating(role):
                answer = _pgbench(cluster, "-c", "4", "-j", "2", "-T", str(SECONDS), "-n", "-r")
            found = re.search(r"tps = ([\d.]+)", answer)
            if found is None:
                raise ValueError(f"pgbench printed no tps: {answer}")
            if turn:  # the first round warms the caches
                rates[name].append(float(found[1]))
            print(f"\rround {turn}: {name:20}", end="", file=sys.stderr, flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    pairs = [beaten / alone - 1 for alone, beaten in zip(*rates.values(), strict=True)]
    print(f"\r{'':40}\n{os.cpu_count()} cores, {ROUNDS} rounds of {SECONDS} s, pgbench -s 10 -c 4, tps:")
    for name, value in medians.items():
        spread = (max(rates[name]) - min(rates[name])) / value
        print(f"{name:20} {value:10,.1f}  spread {spread:.1%}")
    print(f"median of the paired differences: {statistics.median(pairs):+.2%}")


@contextmanager
def _beating(role: Server) -> Iterator[None]:
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(1.0):
            ledger.beat(role, Nowhere(), "bench")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _pgbench(cluster: Cluster, *arguments: str) -> str:
    program = [str(cluster.binaries.bin / "pgbench"), "-h", str(cluster.sockets), "-p", str(cluster.port)]
    done = subprocess.run(  # noqa: S603  # a fixed program, no shell
        [*program, "-U", "rdsadmin", *arguments, "bench"],
        capture_output=True, text=True, check=True, env=cluster.binaries.environment, **postgres.runner(),
    )  # fmt: skip
    return done.stdout


def _clock() -> Clock:
    return Clock(datetime.now(UTC), lambda: 86_400.0, 86_400.0)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
