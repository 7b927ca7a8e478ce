"""Measures the fingerprint and the checks of content against what a server can do at best: a parallel count(*).

Makes a throw-away cluster with synthetic tables, runs every contestant in turn, several rounds, and prints the
median of each with its ratio to `count(*)` and to `pg_dump`. Run it with `make bench`; SIZE=1000 for more MB.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pgdrill.checks import indexes, sweep
from pgdrill.checks.check import Case
from pgdrill.content import fingerprint
from pgdrill.content.relations import relations
from pgdrill.database import Address, Server
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.tls import Authority
from pgdrill.model import Clock
from pgdrill.plan import Checks

ROUNDS = int(os.environ.get("ROUNDS", "5"))
MB = int(os.environ.get("SIZE", "400"))
DAY = 86_400.0

# Three shapes in equal parts: few columns, a wide mixed row with TOAST, and pgbench's accounts.
SCHEMA = """
CREATE TABLE public.accounts (aid bigint NOT NULL, bid int, abalance int, filler char(84));
INSERT INTO public.accounts SELECT g, g % 100, 0, '' FROM generate_series(1, {mb} * 2600) AS g;
CREATE TABLE public.small (a int, b int, c smallint, d float8);
INSERT INTO public.small SELECT g, g % 1000, g % 7, g / 3.0 FROM generate_series(1, {mb} * 6000) AS g;
CREATE TABLE public.wide (
    id uuid, body text, data jsonb, amount numeric, at timestamptz, raw bytea, tags text[], numbers int[],
    flag bool, a int, b bigint, note text, maybe int);
INSERT INTO public.wide
SELECT md5(g::text)::uuid, repeat(md5(g::text), 6 + g % 25), json_build_object('n', g, 'name', 'item ' || g), g / 7.0,
       '2024-01-01'::timestamptz + g * interval '1 s', decode(md5(g::text), 'hex'), ARRAY['a' || g, 'b', 'c'],
       ARRAY[g, g + 1, g + 2], g % 2 = 0, g, g, CASE WHEN g % 3 = 0 THEN 'note ' || g END, NULLIF(g % 10, 0)
FROM generate_series(1, {mb} * 320) AS g;
CREATE INDEX ON public.accounts (aid);
CREATE INDEX ON public.small (a);
CREATE INDEX ON public.wide (id);
"""
COUNT = """
SELECT (SELECT count(*) FROM public.accounts), (SELECT count(*) FROM public.small),
       (SELECT count(*) FROM public.wide)
"""
SIZE_OF = """
SELECT sum(pg_table_size(oid)) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""


class OneDatabase(Server):
    """The measured database alone; the others are measured apart."""

    def databases(self) -> list[str]:
        return ["bench"]


def main() -> None:
    ground = Path(tempfile.mkdtemp(prefix="pgdrill-bench-"))
    ground.chmod(0o755)
    cluster = Cluster(ground / "cluster", postgres.find())
    try:
        authority = Authority(ground / "tls")
        cluster.create()
        cluster.start(
            _free_port(), {"shared_buffers": "1GB", "autovacuum": "off"}, certificate=authority.server
        )
        cluster.create_master("master", "bench-password", "bench")
        with cluster.session("bench") as session:
            session.execute(SCHEMA.format(mb=MB))
            session.execute("VACUUM (FREEZE, ANALYZE)")
            session.execute("CREATE DATABASE tiny OWNER master")
        with cluster.session("tiny") as session:
            session.execute(
                "DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE public.t%s AS SELECT %s AS a', i, i);"
                " END LOOP; END $$"
            )
        _race(cluster, _contestants(cluster, authority))
    finally:
        cluster.destroy()
        shutil.rmtree(ground)


def _contestants(cluster: Cluster, authority: Authority) -> dict[str, Callable[[], object]]:
    address = Address(
        "127.0.0.1", cluster.port, "master", "bench-password", "bench", str(authority.root_cert)
    )
    end = time.monotonic() + DAY
    clock = Clock(datetime.now(UTC), lambda: end - time.monotonic(), DAY)
    server = OneDatabase(address, clock, may_change=True)

    def count() -> None:
        with cluster.session("bench") as session:
            fingerprint.prepare(session)
            session.execute(COUNT)

    def dump() -> None:
        subprocess.run(  # noqa: S603  # a fixed program, no shell
            [cluster.binaries.bin / "pg_dump", "-Fc", "-Z0", "-h", cluster.sockets, "-p", str(cluster.port),
             "-U", "rdsadmin", "bench"],
            stdout=subprocess.DEVNULL, check=True, env=cluster.binaries.environment, **postgres.runner(),
        )  # fmt: skip

    def take(*, exact: bool) -> None:
        with cluster.session("bench") as session:
            fingerprint.prepare(session)
            tables = relations(session)
            for table in tables:
                fingerprint.digest(session, table, exact=exact)

    def tiny() -> None:
        with cluster.session("tiny") as session:
            tables = relations(session)
            for at in range(0, len(tables), 100):
                fingerprint.digests(session, tables[at : at + 100])

    def examine(*names: str) -> Callable[[], object]:
        return lambda: sweep.sweep(server, Case(Checks(), frozenset(names)))

    return {
        "count(*), parallel": count,
        "pg_dump -Fc -Z0 > /dev/null": dump,
        "fingerprint": lambda: take(exact=False),
        "fingerprint --exact": lambda: take(exact=True),
        "rows (page ranges)": examine("rows"),
        "rows and heap": examine("rows", "heap"),
        "indexes": lambda: indexes.measure(
            server, Case(Checks(heapallindexed=False), frozenset({"indexes"}))
        ),
        "indexes, heapallindexed": lambda: indexes.measure(server, Case(Checks(), frozenset({"indexes"}))),
        "2000 tables of one row": tiny,
    }


def _race(cluster: Cluster, contestants: dict[str, Callable[[], object]]) -> None:
    """Run all in turn, round by round, so that a busy moment of the machine falls on all alike."""
    size = cluster.sql("bench", SIZE_OF)[0][0]
    print(f"{int(size) / 1e6:,.0f} MB of heap and TOAST, {os.cpu_count()} cores, {ROUNDS} rounds", flush=True)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(ROUNDS + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn:  # the first round warms the caches
                seconds[name].append(time.perf_counter() - start)
            print(f"\rround {turn}: {name:40}", end="", file=sys.stderr, flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    count, dump = list(medians.values())[:2]
    print(f"\r{'':60}\n{'':30} {'seconds':>8} {'x count(*)':>11} {'x pg_dump':>10}")
    for name, value in medians.items():
        print(f"{name:30} {value:8.3f} {value / count:11.2f} {value / dump:10.2f}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
