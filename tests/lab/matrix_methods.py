"""Simpler methods than pgdrill's, run on the same damaged backups; writes docs/detection.md where they agree with the matrix.

`python -m tests.lab.matrix_methods` takes a minute or two. Touches a temporary folder and the document.
"""

import contextlib
import re
import shutil
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from pgdrill.errors import Broken
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Cluster, kill_orphans
from pgdrill.lab.configuration import ADMIN
from pgdrill.lab.sabotage.things import opened
from pgdrill.lab.tls import Authority

from .matrix import AMCHECK, CHECKSUMS, COUNT, DOCUMENT, EXPECTED, document
from .matrix_restores import Production

_TABLES = """
SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND relpersistence = 'p' AND nspname !~ '^(pg_.*|information_schema)$'
"""

Counts = dict[str, int]


def noticed(production: Production, kind: str, healthy: Counts) -> frozenset[str]:
    """Return the methods to which one kind of damage, or none, shows."""
    with production.damaged(kind) as (_, backup, archive):
        methods = {CHECKSUMS} if _bad_checksums(production, backup) else set()
        try:
            with production.restored(backup, archive) as cluster:
                methods |= {COUNT} if counts(cluster) != healthy else set()
                methods |= {AMCHECK} if _amcheck(cluster) else set()
        except Broken:
            methods |= {COUNT, AMCHECK}  # nobody can ask a server that does not start
    return frozenset(methods)


def counts(cluster: Cluster) -> Counts:
    """Count the rows of every table, over the socket; a table that cannot be read counts -1."""
    counted = {}
    for database in ("postgres", "shop"):
        for (table,) in cluster.sql(database, _TABLES):
            try:
                [[rows]] = cluster.sql(database, sql.SQL("SELECT count(*) FROM {}").format(sql.SQL(table)))
            except psycopg.Error:
                rows = -1
            counted[f"{database} {table}"] = rows
    return counted


def _amcheck(cluster: Cluster) -> bool:
    done = cluster.binaries.attempt(
        "pg_amcheck", "--host", cluster.sockets, "--port", str(cluster.port), "--username", ADMIN,
        "--all", "--heapallindexed", "--install-missing", "--no-password",
    )  # fmt: skip
    if done.returncode not in {0, 2}:
        raise Broken(f"pg_amcheck ended with status {done.returncode}: {done.stderr}", hint="run it by hand")
    return done.returncode == 2


def _bad_checksums(production: Production, backup: Path) -> bool:
    with contextlib.suppress(Broken), opened(backup, production.binaries):
        pass  # pg_checksums takes only what was stopped cleanly
    done = production.binaries.attempt("pg_checksums", "--check", "--pgdata", backup)
    found = re.search(r"^Bad checksums: +(\d+)$", done.stdout, re.MULTILINE)
    if found is None:
        raise Broken(f"pg_checksums says nothing: {done.stderr}", hint="run it by hand")
    return int(found[1]) > 0


def main() -> None:
    ground = postgres.scratch("pgdrill-matrix-")
    try:
        production = Production.prepare(ground, postgres.find(), Authority(ground / "tls"))
        with production.damaged("") as (_, backup, _archive), production.restored(backup) as cluster:
            healthy = counts(cluster)
        if noticed(production, "", healthy):
            sys.exit("a simpler method raises a false alarm on the healthy backup")
        wrong = 0
        for kind, expected in EXPECTED.items():
            found = noticed(production, kind, healthy)
            wrong += found != expected.simpler
            print(f"{kind}: {', '.join(sorted(found)) or 'nothing'}")  # noqa: T201  # its progress
        if wrong:
            sys.exit(f"{wrong} kinds differ from tests/lab/matrix.py; nothing is written")
        DOCUMENT.write_text(document(), encoding="utf-8")
    finally:
        kill_orphans(ground)
        shutil.rmtree(ground)


if __name__ == "__main__":
    main()
