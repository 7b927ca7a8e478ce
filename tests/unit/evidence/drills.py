"""Evidence of drills that passed, failed, could not tell, and never started, for the tests beside."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pgdrill.evidence.record import (
    Evidence,
    Examined,
    Instance,
    Isolation,
    Summary,
    Teardown,
    Trigger,
    canonical,
    sha256,
)
from pgdrill.model import (
    Damage,
    Finding,
    PointKind,
    RecoveryPoint,
    Rpo,
    Rto,
    Stage,
    Verdict,
)

START = datetime(2026, 11, 22, 6, 5, tzinfo=UTC)
KEY = "arn:aws:kms:ap-southeast-1:000000000000:key/7a1c7d6e-0d0f-4b1c-9d53-0a4f0f3a1b2c"

FINDINGS = (
    Finding(check="reachable", verdict=Verdict.PASSED, reason="a query was answered in each of 3 databases", coverage="3 of 3 databases", seconds=0.04),
    Finding(check="settings", verdict=Verdict.PASSED, reason="version, checksums and settings are as sealed", coverage="41 settings", seconds=0.02),
    Finding(check="ledger", verdict=Verdict.PASSED, reason="412 beats form one chain, and the last is the one the witness names", coverage="412 of 412 beats", seconds=0.05),
    Finding(check="catalog", verdict=Verdict.PASSED, reason="all 1,204 objects are as sealed", coverage="1,204 objects in 3 databases", seconds=0.61),
    Finding(check="rows", verdict=Verdict.PASSED, reason="every table was read whole", coverage="read 34 of 34 tables, 1 204 331 rows; compared 0 of 34: first drill", seconds=4.12),
    Finding(check="heap", verdict=Verdict.PASSED, reason="no page contradicts itself", coverage="34 of 34 tables with TOAST, 2.1 GB", seconds=3.9),
    Finding(check="indexes", verdict=Verdict.PASSED, reason="every entry of every B-tree is in its table and the other way round", coverage="71 of 74 indexes; 3 of a kind amcheck cannot read", seconds=2.2),
    Finding(check="rto", verdict=Verdict.PASSED, reason="usable 15.3 s after the request, objective 14400 s"),
    Finding(check="rpo", verdict=Verdict.PASSED, reason="330.5 s would have been lost at the drill's start, objective 22500 s"),
    Finding(check="assertions", verdict=Verdict.NOT_ASKED, reason="the plan has none"),
)  # fmt: skip


def drilled(number: int = 7, /, **changes: object) -> Evidence:
    """Return a passed drill, with what a test wants different."""
    started = START + timedelta(days=7 * (number - 7))
    told: dict[str, object] = {
        "drill": f"{started:%Y%m%dt%H%M%Sz}-shop",
        "number": number,
        "previous_sha256": None if number == 1 else "b" * 64,
        "trigger": Trigger.SCHEDULE,
        "started_at": started,
        "finished_at": started + timedelta(seconds=31.9),
        "database": "shop",
        "source": "shop-production",
        "operator": "arn:aws:sts::000000000000:assumed-role/pgdrill-lab-drill/pgdrill",
        "pgdrill": "0.1.0",
        "plan_sha256": "c" * 64,
        "point": RecoveryPoint(
            id="pgdrill-lab-shop-20261122t06z",
            kind=PointKind.SNAPSHOT,
            region="ap-southeast-1",
            source="shop-production",
            arn="arn:aws:rds:ap-southeast-1:000000000000:snapshot:pgdrill-lab-shop-20261122t06z",
            slot="2026-11-22T06Z",
            recovers_to=started - timedelta(minutes=4, seconds=48),
            engine_version="15.18",
            storage_gb=100,
            encrypted=True,
            kms_key=KEY,
        ),
        "seals": ("seal before", "seal after"),
        "instance": Instance(
            identifier="pgdrill-lab-drill-shop",
            resource_id="db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            region="ap-southeast-1",
            instance_class="db.t3.medium",
            engine_version="15.18",
            storage_gb=100,
            storage_type="gp3",
            kms_key=KEY,
            security_groups=("sg-0123456789abcdef0",),
            subnet_group="pgdrill-lab-drill",
            parameter_group="pgdrill-lab-drill",
        ),
        "isolation": (
            Isolation(property="security groups", expected="sg-0123456789abcdef0", observed="sg-0123456789abcdef0", ok=True),
            Isolation(property="publicly accessible", expected="no", observed="no", ok=True),
            Isolation(property="backup retention", expected="0", observed="0", ok=True),
        ),
        "stages": {
            Stage.REQUESTED: started,
            Stage.ACCEPTED: started + timedelta(seconds=0.8),
            Stage.AVAILABLE: started + timedelta(seconds=12.4),
            Stage.FIRST_LOGIN: started + timedelta(seconds=15.1),
            Stage.FIRST_QUERY: started + timedelta(seconds=15.3),
            Stage.HYDRATED: started + timedelta(seconds=28.2),
            Stage.EXAMINED: started + timedelta(seconds=31.5),
        },
        "rto": Rto(usable=15.3, verified=31.5, objective=14400),
        "rpo": Rpo(lag_of_point=41.2, exposure_at_start=330.5, worst_case=21960, basis="the ledger's last beat in the copy, and the witness"),
        "rpo_objective": 21600 + 900,
        "findings": FINDINGS,
        "verdict": Verdict.PASSED,
        "verdict_reason": "the snapshot restores in 15.3 s, and what comes back is whole",
        "coverage": "34 of 34 tables read whole, 2.1 GB; content compared for 0 of 34: first drill of this point",
        "examined": Examined(tables=34, rows=1_204_331, bytes=2_100_000_000),
        "facts": {"drills/shop/20261122t060500z-shop/facts/sweep.json.gz": "d" * 64, "drills/shop/20261122t060500z-shop/facts/catalog.json.gz": "e" * 64},
        "warnings": ("the drill ran on db.t3.medium, production is db.r6g.xlarge: production's RTO may differ",),
    }  # fmt: skip
    return Evidence.model_validate(told | changes)


def damaged(count: int = 3, **changes: object) -> Evidence:
    damage = tuple(
        Damage(database="shop", object=f'shop."Order Lines {index}"', what=f"block {index}: item 3 points past the end of the page")
        for index in range(count)
    )  # fmt: skip
    heap = Finding(
        check="heap",
        verdict=Verdict.FAILED,
        reason=f"{count} pages of the table contradict themselves",
        hint="restore an older point and drill it: pgdrill drill run --point oldest",
        coverage="34 of 34 tables with TOAST, 2.1 GB",
        damage=damage[:50],
        damaged=count,
        seconds=3.8,
    )
    collations = Finding(
        check="collations",
        verdict=Verdict.INCONCLUSIVE,
        reason="the server does not say which collation version it has",
        hint="compare SELECT version() with the seal",
        seconds=0.1,
    )
    others = tuple(finding for finding in FINDINGS if finding.check != "heap")
    told: dict[str, object] = {
        "findings": (*others, heap, collations),
        "verdict": Verdict.FAILED,
        "verdict_reason": f"heap failed: {count} pages of the table contradict themselves",
    }
    return drilled(7, **(told | changes))


def never_started(**changes: object) -> Evidence:
    """Return a drill whose restore ended in a state that it does not leave."""
    told: dict[str, object] = {
        "instance": None,
        "isolation": (),
        "stages": {Stage.REQUESTED: START, Stage.ACCEPTED: START + timedelta(seconds=1)},
        "rto": Rto(usable=None, verified=None, objective=14400),
        "rpo": Rpo(lag_of_point=None, exposure_at_start=None, worst_case=None, basis="nothing: no copy was reached"),
        "findings": (),
        "verdict": Verdict.INCONCLUSIVE,
        "verdict_reason": "the temporary instance ended in incompatible-restore and was never available",
        "coverage": "",
        "examined": Examined(),
        "facts": {},
        "warnings": (),
        "seals": (),
        "operator": None,
    }  # fmt: skip
    return drilled(7, **(told | changes))


def torn_down(evidence: Evidence, **changes: object) -> Teardown:
    told: dict[str, object] = {
        "drill": evidence.drill,
        "database": evidence.database,
        "evidence_sha256": sha256(canonical(evidence)),
        "instance": "pgdrill-lab-drill-shop",
        "requested_at": evidence.finished_at,
        "gone_at": evidence.finished_at + timedelta(seconds=6),
        "proof": "DescribeDBInstances answered DBInstanceNotFound",
        "retained_backups": (),
    }
    return Teardown.model_validate(told | changes)


def summaries(count: int) -> list[Summary]:
    """Return past drills, with a slow one, a failed one and one that measured nothing among them."""
    past = []
    for number in range(1, count + 1):
        evidence = drilled(number)
        verdict, usable = evidence.verdict, 14 + (number * 37 % 11)
        if number % 9 == 4:
            verdict = Verdict.FAILED
        if number % 13 == 6:
            verdict = Verdict.INCONCLUSIVE
        changes = {"verdict": verdict, "rto_usable": None if verdict is Verdict.INCONCLUSIVE else usable}
        past.append(Summary.of(evidence).model_copy(update=changes))
    return past


class Shelf:
    """A store of one process; as S3 does, it lists keys in order and replaces what is written again."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.types: dict[str, str] = {}

    def put(self, key: str, body: bytes, *, content_type: str = "application/json") -> None:
        self.held[key] = body
        self.types[key] = content_type

    def get(self, key: str) -> bytes | None:
        return self.held.get(key)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.held if key.startswith(prefix) and key > after))
