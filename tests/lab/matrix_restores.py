"""Restores of one small production, healthy and damaged, examined by every check as a drill would do it.

Real PostgreSQL without RDS around it. `Production.prepare` makes what a drill knows of a recovery point: the
backup, seals on either side, the beats of the ledger, and what a healthy restore of it holds.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg import sql

from pgdrill import ledger, seal
from pgdrill.aws.store import Store
from pgdrill.checks.check import Case
from pgdrill.checks.registry import ALL
from pgdrill.database import Address, Server
from pgdrill.drills import examination
from pgdrill.drills.examination import Measured
from pgdrill.drills.outcome import COMPARED
from pgdrill.errors import Broken
from pgdrill.lab import sabotage, shop
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.sabotage import Target
from pgdrill.lab.tls import Authority
from pgdrill.model import Beat, Clock, Finding, PointKind, RecoveryPoint, Verdict
from pgdrill.plan import Assertion, Checks

from .conftest import MASTER, PASSWORD, free_port

ROWS = 3_000
# What only the owner of the data can know: here, that an order's total is the sum of its lines.
TOTALS = Assertion(
    name="totals-are-sums",
    database="shop",
    sql="""SELECT count(*) FROM shop.orders o LEFT JOIN
        (SELECT "order", sum("line total") AS total FROM shop."Order Lines" GROUP BY "order") l ON l."order" = o.id
        WHERE o.total IS DISTINCT FROM l.total""",
    expect=0,
)
# Where damage is put if not into the largest thing of its kind.
ORDER_LINES, CUSTOMERS = 'shop."Order Lines"', "shop.customers"
TABLES = dict.fromkeys(
    (
        "heap-bit-flip",
        "heap-bit-flip-unseen",
        "truncated-file",
        "zeroed-page",
        "zeroed-file",
        "swapped-pages",
        "doubled-page",
        "deleted-rows",
        "dropped-table",
    ),
    ORDER_LINES,
) | {"lost-write": CUSTOMERS}


class Nowhere(Store):
    """Takes what is put; the beats are kept by their maker."""

    def __init__(self) -> None:
        """Need no S3."""

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:
        """Drop it."""


@dataclass(frozen=True)
class Examination:
    """What came of a restore. `start` says why PostgreSQL did not start; then nothing was examined.

    `first` are the findings of the first drill of a recovery point, `again` those of one that another restore of
    the same point can be compared with; `damage` is the sabotage's own sentence.
    """

    damage: str
    start: str = ""
    first: tuple[Finding, ...] = ()
    again: tuple[Finding, ...] = ()

    def verdicts(self, *, compared: bool) -> dict[str, str]:
        """Return the verdict of every check that does not pass."""
        findings = self.again if compared else self.first
        return {one.check: str(one.verdict) for one in findings if one.verdict is not Verdict.PASSED}

    def unnamed(self, blamed: Mapping[str, str]) -> dict[str, str]:
        """Return what checks should have named as damaged and did not."""
        named = {one.check: [damage.object for damage in one.damage] for one in self.again}
        return {
            check: damaged
            for check, damaged in blamed.items()
            if not any(damaged in one for one in named[check])
        }

    def coverage(self, check: str) -> str:
        return next(one.coverage for one in self.first if one.check == check)


@dataclass(frozen=True)
class Production:
    """Backups of one production, an older and a newer one, and all that a drill knows of the newer one.

    `archive` is the WAL since the newer backup, `target` a moment that it reaches.
    """

    home: Path
    binaries: Binaries
    authority: Authority
    case: Case
    target: datetime

    @property
    def healthy(self) -> Path:
        return self.home / "newer"

    @property
    def archive(self) -> Path:
        return self.home / "archive"

    @classmethod
    def prepare(cls, ground: Path, binaries: Binaries, authority: Authority) -> "Production":
        home = Path(tempfile.mkdtemp(prefix="matrix-", dir=ground))
        home.chmod(0o755)
        with _new(home / "production", binaries, authority) as production:
            role = _furnish(production, authority)
            beats = _live(production, role)
            production.back_up(home / "older")
            beats += _live(production, role)
            before = seal.take(role, ALL, "shop", "newer", role.clock)
            moment = production.back_up(home / "newer")
            after = seal.take(role, ALL, "shop", "newer", role.clock)
            beats += _live(production, role)
            target = [production.archive_now() for _ in range(4)][-1]
            _copy(production.archive, home / "archive")
        case = Case(
            checks=Checks(assertions=(TOTALS,)),
            asked=frozenset(check.name for check in ALL),
            point=_point(moment, binaries),
            before=before,
            after=after,
            witness=tuple(beats),
        )
        made = cls(home, binaries, authority, case, target)
        facts = {one.measure: one.fact for one in made.measured(made.healthy).values() if one.fact}
        references = {measure: facts[measure].model_dump(mode="json") for measure in COMPARED}
        return replace(made, case=replace(case, references=references))

    def examined(self, kind: str, *, amcheck: bool = True) -> Examination:
        """Do one kind of damage to a copy, and restore and examine that; without a kind, the healthy copy."""
        with self.damaged(kind, amcheck=amcheck) as (damage, backup, archive):
            try:
                measured = self.measured(backup, archive)
            except Broken as error:
                return Examination(damage, start=error.message)
        alone = replace(self.case, references={})
        first, again = (examination.judge(ALL, case, measured) for case in (alone, self.case))
        return Examination(damage, first=first, again=again)

    @contextmanager
    def damaged(self, kind: str, *, amcheck: bool = True) -> Iterator[tuple[str, Path, Path | None]]:
        """Yield what was done, the copy of the newer backup that it was done to, and the archive if it was that."""
        with tempfile.TemporaryDirectory(prefix=f"{kind or 'healthy'}-", dir=self.home) as folder:
            Path(folder).chmod(0o755)
            copy = Path(folder) / "newer"
            _copy(self.healthy, copy)
            if not amcheck:
                (copy / "rds.conf").write_text("rds.amcheck = 'refused'\n", encoding="utf-8")
            if not kind:
                yield "", copy, None
                return
            chosen = sabotage.by_name(kind)
            if chosen.of == "archive":
                archive = Path(folder) / "archive"
                _copy(self.archive, archive)
                yield chosen.apply(archive, self.binaries, Target()), copy, archive
                return
            other = self._foreign() if kind == "foreign-snapshot" else self.home / "older"
            target = Target(database="shop", table=TABLES.get(kind, ""), other=other)
            yield chosen.apply(copy, self.binaries, target), copy, None

    def _foreign(self) -> Path:
        """Return the backup of another production that is as like as can be."""
        backup = self.home / "foreign"
        if not backup.exists():
            with _new(self.home / "elsewhere", self.binaries, self.authority) as elsewhere:
                _live(elsewhere, _furnish(elsewhere, self.authority))
                elsewhere.back_up(backup)
        return backup

    def measured(self, backup: Path, archive: Path | None = None) -> dict[str, Measured]:
        """Restore a backup, and with an archive recover it to the target; measure all that is asked.

        Raises:
            Broken: PostgreSQL did not start.
        """
        with self.restored(backup, archive) as cluster:
            server = _server(cluster, self.authority, MASTER, may_change=True)
            return {one.measure: one for one in examination.measure(server, ALL, self.case, lambda _: None)}

    @contextmanager
    def restored(self, backup: Path, archive: Path | None = None) -> Iterator[Cluster]:
        cluster = Cluster(Path(tempfile.mkdtemp(prefix="restored-", dir=self.home)), self.binaries)
        try:
            cluster.restore(backup)
            if archive:
                cluster.recover_to(archive, self.target)
            cluster.start(free_port(), certificate=self.authority.server)
            yield cluster
        finally:
            cluster.destroy()


@contextmanager
def _new(directory: Path, binaries: Binaries, authority: Authority) -> Iterator[Cluster]:
    cluster = Cluster(directory, binaries)
    try:
        cluster.create()
        cluster.start(free_port(), {"autovacuum": "off"}, certificate=authority.server)
        cluster.create_master(MASTER, PASSWORD, "shop")
        yield cluster
    finally:
        cluster.destroy()


def _furnish(cluster: Cluster, authority: Authority) -> Server:
    """Load a shop, install the ledger, and return the door of the role that seals and beats."""
    master = _server(cluster, authority, MASTER)
    shop.load(master.address, ROWS)
    # One database is examined as several are, and a drill of all of them stands in test_drill.
    for database in shop.DATABASES[1:]:
        cluster.sql("postgres", sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
    # As a production is that has lived; with autovacuum off, what survives a lost commit log is always the same.
    for chore in ("ANALYZE", "VACUUM"):
        cluster.sql("shop", chore)
    ledger.install(master, PASSWORD)
    return _server(cluster, authority, ledger.ROLE)


def _live(cluster: Cluster, role: Server) -> list[Beat]:
    """Let orders and the customers' credit change, and the ledger beat."""
    beats = []
    for customer in range(1, 21):
        cluster.sql("shop", "CALL shop.place_order(%s, 3)", [customer])
        cluster.sql("shop", "UPDATE shop.customers SET credit = credit + 1 WHERE id = %s", [customer])
        if customer % 10 == 0:
            beats.append(ledger.beat(role, Nowhere(), "shop"))
    return beats


def _server(cluster: Cluster, authority: Authority, user: str, *, may_change: bool = False) -> Server:
    address = Address(
        host="127.0.0.1",
        port=cluster.port,
        user=user,
        password=PASSWORD,
        dbname="postgres",
        root_cert=str(authority.root_cert),
    )
    now = datetime.now(UTC)
    remaining = lambda: 600 - (datetime.now(UTC) - now) / timedelta(seconds=1)  # noqa: E731
    return Server(address, Clock(now=now, remaining=remaining, budget=600.0), may_change=may_change)


def _point(moment: datetime, binaries: Binaries) -> RecoveryPoint:
    return RecoveryPoint(
        id="newer",
        kind=PointKind.SNAPSHOT,
        region="ap-southeast-1",
        source="shop-production",
        recovers_to=moment,
        engine_version=binaries.version,
        storage_gb=20,
        encrypted=False,
    )


def _copy(source: Path, target: Path) -> None:
    """Copy a folder, sharing blocks where the file system can; never a link, since the copy is damaged."""
    subprocess.run(["cp", "-a", source, target], check=True)
