"""Cases to judge: a point, what the seals around it hold, and what the witness knows."""

from datetime import UTC, datetime

from pgdrill.checks.check import Case
from pgdrill.model import Beat, Fact, PointKind, RecoveryPoint, Seal
from pgdrill.plan import Checks

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def point(kind: PointKind = PointKind.SNAPSHOT, recovers_to: datetime = NOON) -> RecoveryPoint:
    return RecoveryPoint(
        id="p1",
        kind=kind,
        region="ap-southeast-1",
        source="shop-production",
        recovers_to=recovers_to,
        engine_version="15.18",
        storage_gb=20,
        encrypted=True,
    )


def seal(check: str, fact: Fact) -> Seal:
    return Seal(
        point="p1", database="shop", taken_at=NOON, done_at=NOON, facts={check: fact.model_dump(mode="json")}
    )


def case(
    check: str,
    before: Fact | None = None,
    after: Fact | None = None,
    *,
    at: RecoveryPoint | None = None,
    witness: tuple[Beat, ...] | None = None,
    checks: Checks | None = None,
) -> Case:
    """A snapshot unless `at` says otherwise, with the seals given."""
    return Case(
        checks=checks or Checks(),
        asked=frozenset({check}),
        point=at or point(),
        before=seal(check, before) if before else None,
        after=seal(check, after) if after else None,
        witness=witness,
    )


def by_itself(check: str, checks: Checks | None = None) -> Case:
    """What `pgdrill verify` judges: no point, no seal, no witness."""
    return Case(checks=checks or Checks(), asked=frozenset({check}))
