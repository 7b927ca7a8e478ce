"""Measures what the ledger costs production: what one beat is made of, and pgbench with a beat and without.

Makes a throw-away cluster and lets one pgbench run; every second second has a beat in it, sixty times as often as the
ledger beats, and is compared with the seconds beside it, so that whatever else the machine does falls on both alike.
Run it with `make bench`, or alone for SECONDS=600.
"""

import math
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
from psycopg import sql

from pgdrill import ledger
from pgdrill.aws.store import Store
from pgdrill.database import Address, Server
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.tls import Authority
from pgdrill.model import Clock

SECONDS = int(os.environ.get("SECONDS", "120"))
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
        subprocess.run(  # noqa: S603  # a fixed program, no shell
            _command(cluster, "-i", "-s", "10", "-q"), capture_output=True, check=True,
            env=cluster.binaries.environment, **postgres.runner(),
        )  # fmt: skip
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
    before, spent, seconds = int(cluster.sql("postgres", WAL)[0][0]), _spent(cluster), []
    for _ in range(BEATS):
        start = time.perf_counter()
        ledger.beat(role, Nowhere(), "bench")
        seconds.append(time.perf_counter() - start)
    written = (int(cluster.sql("postgres", WAL)[0][0]) - before) / BEATS
    size = int(cluster.sql("postgres", "SELECT pg_total_relation_size('pgdrill.ledger')")[0][0])
    print(
        f"one beat: {1000 * statistics.median(seconds):.1f} ms with its connection over TLS, of which the server computes"
        f" {1000 * (_spent(cluster) - spent) / BEATS:.1f} ms; {written:,.0f} bytes of WAL;"
        f" the table with its index: {size / 1e6:.1f} MB",
        flush=True,
    )


def _race(cluster: Cluster, role: Server) -> None:
    """Print the median difference between a second with a beat and those beside it, and how sure that is."""
    rates: list[float] = []
    command = _command(cluster, "-c", "4", "-j", "2", "-n", "-P", "1", "-T", str(SECONDS))
    with (
        ThreadPoolExecutor(1) as pool,
        subprocess.Popen(  # noqa: S603  # a fixed program, no shell
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=cluster.binaries.environment, **postgres.runner(),
        ) as running,
    ):  # fmt: skip
        if running.stderr is None:
            raise TypeError("stderr is a pipe")
        for line in running.stderr:
            if found := re.search(r"progress: .* s, ([\d.]+) tps", line):
                rates.append(float(found[1]))
                if len(rates) % 2:
                    pool.submit(ledger.beat, role, Nowhere(), "bench").result()
    with_beat = rates[1:-1:2]
    beside = [(before + after) / 2 for before, after in zip(rates[::2], rates[2::2], strict=False)]
    changes = [beaten / alone - 1 for beaten, alone in zip(with_beat, beside, strict=False)]
    low, middle, high = statistics.quantiles(changes, n=4)
    # McGill, Tukey and Larsen, Variations of Box Plots: an interval of about 95 % of a median.
    unsure = 1.57 * (high - low) / math.sqrt(len(changes))
    print(
        f"pgbench -s 10 -c 4 on {os.cpu_count()} cores, {SECONDS} s: {statistics.median(beside):,.0f} tps;"
        f" a second with a beat: {middle:+.1%} ± {unsure:.1%}, so a minute with one: {middle / 60:+.3%}"
    )


def _command(cluster: Cluster, *arguments: str) -> list[str]:
    program = [str(cluster.binaries.bin / "pgbench"), "-h", str(cluster.sockets), "-p", str(cluster.port)]
    return [*program, "-U", "rdsadmin", *arguments, "bench"]


def _spent(cluster: Cluster) -> float:
    """Return the processor seconds of the server, those of sessions that have ended included."""
    postmaster = psutil.Process(cluster.pid)
    children = postmaster.children()
    times = []
    for process in children:
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile, and its parent has its times
            times.append(process.cpu_times())
    times.insert(0, postmaster.cpu_times())
    return sum(one.user + one.system for one in times) + times[0].children_user + times[0].children_system


def _clock() -> Clock:
    return Clock(datetime.now(UTC), lambda: 86_400.0, 86_400.0)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
