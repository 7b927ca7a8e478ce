"""Sabotage against checks: a small production, what its damaged backups show, and the table of the documents.

Restores onto real PostgreSQL and runs the very measures and judgements of a drill, without RDS around them.
`python -m tests.lab.detection` writes docs/detection.md, which the tests hold to be true.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from psycopg import sql

from pgdrill import examination, ledger, seal
from pgdrill.checks.check import Case
from pgdrill.checks.registry import ALL
from pgdrill.checks.sweep import SweepFact
from pgdrill.database import Server
from pgdrill.errors import Broken
from pgdrill.lab import sabotage, shop
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.sabotage import Target
from pgdrill.model import PointKind, RecoveryPoint, Verdict
from pgdrill.plan import Checks
from pgdrill.store import Store
from tests.lab.conftest import MakeCluster, ServerOf

DOCUMENT = Path(__file__).parents[2] / "docs" / "detection.md"
ROWS = 6_000
NO_START = "PostgreSQL does not start"

# For each kind of damage every check that does not pass: in the first drill of a recovery point, and what is
# added to these once there is another restore of the same point to compare with.
FOUND: dict[str, tuple[set[str], set[str]]] = {
    "heap-bit-flip": ({"constraints", "heap", "indexes", "rows"}, set()),
    "heap-bit-flip-unseen": (set(), {"rows"}),
    "index-bit-flip": ({"indexes"}, set()),
    "toast-bit-flip": ({"heap", "indexes", "rows"}, set()),
    "truncated-file": (set(), {"rows"}),
    "zeroed-page": (set(), {"rows"}),
    "zeroed-file": (set(), {"rows"}),
    "swapped-pages": ({"indexes"}, set()),
    "doubled-page": ({"indexes"}, {"rows"}),
    "lost-write": ({"constraints"}, {"rows"}),
    "missing-commit-log": ({NO_START}, set()),
    "zeroed-commit-log": ({"constraints"}, {"rows"}),
    "deleted-rows": (set(), {"rows"}),
    "dropped-table": ({"catalog"}, {"rows"}),
    "sequence-set-back": ({"sequences"}, set()),
    "changed-collation": ({"catalog", "collations", "indexes"}, set()),
    "revoked-privileges": ({"catalog"}, set()),
    "dropped-policy": ({"catalog"}, set()),
    "orphaned-row": ({"constraints"}, {"rows"}),
    "constraint-not-valid": ({"catalog"}, set()),
    "stale-snapshot": ({"ledger", "sequences"}, {"rows"}),
    "foreign-snapshot": ({"ledger", "sequences"}, {"rows"}),
}
PAGES = [*FOUND][: [*FOUND].index("zeroed-commit-log") + 1]
OBJECTS = [*FOUND][len(PAGES) :]
# Where the damage is put; otherwise the largest thing of its kind.
TABLE = {"lost-write": "shop.customers"}


class Shelf:
    """A store in memory, for the witness."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> None:
        self._objects[key] = body

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return (key for key in sorted(self._objects) if key.startswith(prefix) and key > after)


@dataclass(frozen=True)
class Bench:
    """Backups of one production, an older and a newer one, a foreign one, and all that is known of the newer."""

    older: Path
    newer: Path
    foreign: Path
    case: Case
    binaries: Binaries
    make_cluster: MakeCluster
    server_of: ServerOf

    @classmethod
    def prepare(cls, ground: Path, make_cluster: MakeCluster, server_of: ServerOf) -> "Bench":
        home = Path(tempfile.mkdtemp(prefix="detection-", dir=ground))
        home.chmod(0o755)
        shelf = cast(Store, Shelf())
        production = make_cluster()
        role = _furnish(production, server_of)
        _live(production, server_of, role, shelf)
        production.back_up(home / "older")
        _live(production, server_of, role, shelf)
        before = seal.take(role, ALL, "shop", "newer", role.clock)
        moment = production.back_up(home / "newer")
        after = seal.take(role, ALL, "shop", "newer", role.clock)
        ledger.beat(role, shelf, "shop")
        elsewhere = make_cluster()
        _live(elsewhere, server_of, _furnish(elsewhere, server_of), cast(Store, Shelf()))
        elsewhere.back_up(home / "foreign")
        point = RecoveryPoint(
            id="newer",
            kind=PointKind.SNAPSHOT,
            region="ap-southeast-1",
            source="production",
            recovers_to=moment,
            engine_version=production.binaries.version,
            storage_gb=20,
            encrypted=False,
        )
        case = Case(
            checks=Checks(),
            asked=frozenset(check.name for check in ALL),
            point=point,
            before=before,
            after=after,
            witness=ledger.witness(shelf, "shop"),
        )
        for cluster in (production, elsewhere):
            cluster.destroy()
        return cls(
            home / "older",
            home / "newer",
            home / "foreign",
            case,
            production.binaries,
            make_cluster,
            server_of,
        )

    def compared(self) -> "Bench":
        """Return the bench with a healthy restore of the newer backup as the reference of the next."""
        sweep = self._measured(self.newer)["sweep"].fact
        assert isinstance(sweep, SweepFact)
        return replace(self, case=replace(self.case, references={"sweep": sweep.model_dump(mode="json")}))

    def failed(self, backup: Path) -> tuple[set[str], set[str]]:
        """Restore a backup, and return the checks that do not pass: in a first drill, and added by comparing."""
        try:
            measured = self._measured(backup)
        except Broken:
            return {NO_START}, set()
        first, again = (
            {
                found.check
                for found in examination.judge(ALL, case, measured)
                if found.verdict not in {Verdict.PASSED, Verdict.NOT_ASKED}
            }
            for case in (replace(self.case, references={}), self.case)
        )
        assert first <= again, "knowing more made a check pass"
        return first, again - first

    def damaged(self, kind: str) -> tuple[set[str], set[str]]:
        """Do the same with a damaged copy of the newer backup."""
        copy = self.newer.with_name(kind)
        subprocess.run(["cp", "-a", self.newer, copy], check=True)
        other = self.foreign if kind == "foreign-snapshot" else self.older
        target = Target(database="shop", table=TABLE.get(kind, ""), other=other)
        sabotage.by_name(kind).apply(copy, self.binaries, target)
        try:
            return self.failed(copy)
        finally:
            shutil.rmtree(copy)

    def _measured(self, backup: Path) -> dict[str, examination.Measured]:
        cluster = self.make_cluster(backup=backup)
        try:
            server = self.server_of(cluster, "postgres", may_change=True)
            return {one.measure: one for one in examination.measure(server, ALL, self.case, lambda _: None)}
        finally:
            cluster.destroy()


def _furnish(cluster: Cluster, server_of: ServerOf) -> Server:
    """Load a shop, install the ledger, and return the door of the role that seals and beats."""
    master = server_of(cluster)
    shop.load(master.address, ROWS)
    for database in shop.DATABASES[1:]:  # one database is examined as several are, and sooner
        cluster.sql("postgres", sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
    ledger.install(server_of(cluster, "postgres"), "correct-horse")
    return Server(
        replace(master.address, user=ledger.ROLE, password="correct-horse", dbname="postgres"), master.clock
    )


def _live(cluster: Cluster, server_of: ServerOf, role: Server, shelf: Store) -> None:
    """Let some time pass: orders come in and the ledger beats."""
    for number in range(1, 40):
        cluster.sql("shop", "CALL shop.place_order(%s, %s)", (number, 1 + number % 5))
        cluster.sql("shop", "UPDATE shop.customers SET credit = credit + 1 WHERE id = %s", (number,))
        if number % 20 == 0:
            ledger.beat(role, shelf, "shop")


def document() -> str:
    """Return docs/detection.md."""
    lines = [
        "# What is found, and by which check",
        "",
        "Every kind of damage that the lab can do was done to a healthy backup of a small shop, restored onto real PostgreSQL, and examined as a drill does it.",
        "`tests/lab/test_detection_pages.py` and `test_detection_objects.py` make this table anew with every run, and fail where it is not so.",
        "All checks that do not pass are named: one that is not named was silent, as all of them were for the undamaged backup.",
        "Some damage shows only beside another restore of the same recovery point: what is gone without a trace has to be missed by somebody who knew it.",
        "",
        "| damage | what was done | found by the first drill of a point | and once it can be compared, also by |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{kind.name}` | {kind.what} | {_named(first)} | {_named(more)} |"
        for kind in sabotage.ALL
        if kind.of == "snapshot"
        for first, more in [FOUND[kind.name]]
    ]
    return "\n".join(lines) + "\n"


def _named(checks: set[str]) -> str:
    if NO_START in checks:
        return NO_START
    return ", ".join(f"`{check.name}`" for check in ALL if check.name in checks) or "-"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
