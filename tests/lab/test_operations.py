"""What docs/operations.md tells of: a key disabled, a bucket gone, a ledger that nobody may write."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import boto3
import pytest

from pgdrill import ledger, seal
from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.database import Server
from pgdrill.drills import conduct
from pgdrill.errors import DrillError
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence
from pgdrill.lab.lab import Lab
from pgdrill.model import Verdict
from pgdrill.points import taking
from tests.lab.production import FEW, Production, clock, environment, tick


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab, checks=FEW)


@pytest.fixture(autouse=True)
def _nothing_is_left(production: Production) -> Iterator[None]:
    yield
    assert production.leased() == []


def told(raised: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(DrillError) as refused:
        raised()
    return type(refused.value).__name__, refused.value.message, refused.value.hint


def reachable(evidence: Evidence) -> tuple[Verdict, str, str]:
    finding = next(finding for finding in evidence.findings if finding.check == "reachable")
    return finding.verdict, finding.reason, finding.hint


@contextmanager
def disabled(production: Production, key: str) -> Iterator[None]:
    kms = production.lab.client("kms")
    identifier = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=identifier)
    try:
        yield
    finally:
        kms.enable_key(KeyId=identifier)


def test_a_disabled_key_of_passwords_leaves_the_backup_unproved_and_nothing_behind(
    production: Production,
) -> None:
    with disabled(production, production.cell.place.mac_key):
        evidence = production.drill()
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert reachable(evidence) == (
        Verdict.INCONCLUSIVE,
        "cannot derive the drill's password with key 'alias/pgdrill-lab-mac': DisabledException",
        "check mac_key in the plan: an enabled HMAC_256 key that this role may call GenerateMac on",
    )
    assert production.drill().verdict is Verdict.PASSED


def test_a_disabled_key_of_the_snapshot_leaves_the_backup_unproved(production: Production) -> None:
    key = production.lab.world().storage_key
    with disabled(production, key):
        evidence = production.drill()
    assert reachable(evidence) == (
        Verdict.INCONCLUSIVE,
        (
            f"cannot restore {production.point.id!r} as 'pgdrill-lab-drill-shop': KMSKeyNotAccessibleFault: The specified"
            f" KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it."
        ),
        "enable the snapshot's key and allow this role DescribeKey and CreateGrant on it",
    )
    assert production.drill().verdict is Verdict.PASSED


def test_a_database_that_nobody_may_write_to_is_drilled_and_what_is_unknown_is_said(
    production: Production,
) -> None:
    """The administrator takes the ledger away and gives sealing a role of its own."""
    master = Server(replace(production.master, dbname="postgres"), clock())
    ledger.uninstall(master)
    role = json.loads(
        production.lab.client("secretsmanager").get_secret_value(SecretId=production.database.secret)[
            "SecretString"
        ]
    )
    production.execute(f"CREATE ROLE {role['username']} LOGIN PASSWORD '{role['password']}'", "postgres")
    production.execute(f"GRANT pg_read_all_data TO {role['username']}", "postgres")
    try:
        off = production.database.model_copy(update={"ledger": "off"})
        plan = production.plan.model_copy(update={"databases": (off,)})
        cell = Cell.open(plan)
        point = taking.take(cell, off, ALL, tick, lambda _: None)
        done = conduct.run(production.begin(point.id, plan), cell, tick, lambda *_: None)
        evidence = archive.load(cell.store, done.id, "shop")
    finally:
        production.execute(f"DROP ROLE {role['username']}", "postgres")
        ledger.install(master, role["password"], role=role["username"])
    verdicts = {finding.check: finding.verdict for finding in evidence.findings}
    assert evidence.verdict is Verdict.PASSED, evidence.verdict_reason
    assert (verdicts["ledger"], verdicts["rpo"], verdicts["sequences"]) == (
        Verdict.NOT_ASKED,
        Verdict.NOT_ASKED,
        Verdict.PASSED,
    )
    assert evidence.rpo.lag_of_point is None
    assert evidence.rpo.basis.endswith(" UTC: the ledger is off in the plan")
    assert evidence.warnings == (
        "the ledger is off in the plan: what the copy misses before its point is unknown",
    )
    assert "the ledger is off in the plan" in archive.render(cell.store, evidence)


def test_a_bucket_that_is_gone_is_named_by_whatever_needs_it(production: Production) -> None:
    """Last in this file: what was in the bucket does not come back."""
    bucket = boto3.session.Session().resource("s3").Bucket(production.cell.store.bucket)
    bucket.object_versions.delete()
    bucket.delete()
    gone = f"in bucket {bucket.name!r}: NoSuchBucket"
    hint = "check evidence_bucket in the plan, and that this role may use the bucket and its key"
    kind, message, said = told(production.beat)
    assert (kind, said) == ("NotRunnable", hint)
    assert message.startswith("cannot write 'witness/shop/")
    assert message.endswith(gone)
    assert told(lambda: seal.broken(production.cell.store, "shop")) == (
        "NotRunnable",
        f"cannot list 'seals/shop/' {gone}",
        hint,
    )
    seen: list[str] = []
    done = conduct.run(production.begin(), production.cell, tick, lambda _, text: seen.append(text))
    assert done.verdict is Verdict.INCONCLUSIVE
    assert done.reason.startswith("not judged: cannot ")
    assert done.reason.endswith(gone)
    taken = taking.take(production.cell, production.database, ALL, tick, lambda _: None)
    assert taken.id.startswith("pgdrill-lab-shop-")
