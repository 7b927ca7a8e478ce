"""The status asks RDS and KMS themselves: what a key locks, and what is left once production is gone."""

from collections.abc import Iterator

import pytest

from pgdrill.cell import Cell
from pgdrill.lab.lab import Lab
from pgdrill.watching import status
from pgdrill.watching.status import Kind, Way
from tests.lab.labs import until
from tests.lab.production import Production, environment


@pytest.fixture(name="production", scope="module")
def _production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab)


def ways(production: Production) -> dict[Kind, Way]:
    cells = [Cell.open(production.plan, place) for place in (production.plan.primary, production.plan.dr)]
    seen = status.look(cells, production.database)
    assert seen.unknown == ()
    return {way.kind: way for way in seen.ways}


def test_a_disabled_key_locks_what_is_encrypted_with_it_until_it_is_enabled(production: Production) -> None:
    until(lambda: production.cell.rds.window("shop-production") is not None)
    open_ = ways(production)
    assert {kind: way.locked for kind, way in open_.items()} == {Kind.MOMENT: "", Kind.SNAPSHOT: ""}
    kms, key = production.lab.client("kms"), open_[Kind.SNAPSHOT].key
    assert key is not None
    kms.disable_key(KeyId=key)
    locked = ways(production)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    doomed = ways(production)
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert {way.locked for way in locked.values()} == {f"key {key!r} is Disabled"}
    assert {way.locked for way in doomed.values()} == {f"key {key!r} is PendingDeletion"}
    assert {way.locked for way in ways(production).values()} == {""}


def test_the_moments_that_outlived_a_deleted_production_are_a_way_still(production: Production) -> None:
    """The last test of the file, since it deletes production as somebody did by mistake."""
    production.lab.client("rds").delete_db_instance(
        DBInstanceIdentifier="shop-production", SkipFinalSnapshot=True, DeleteAutomatedBackups=False
    )
    until(lambda: production.cell.rds.instance("shop-production") is None)
    left = ways(production)
    assert production.cell.rds.window("shop-production") is None
    assert set(left) == {Kind.MOMENT, Kind.SNAPSHOT}
    assert left[Kind.MOMENT].key == left[Kind.SNAPSHOT].key
