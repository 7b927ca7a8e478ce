"""Snapshots as RDS would describe them, for tests of what is made of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill import slots
from pgdrill.aws.snapshots import Mark, Snapshot

HOME, AWAY = "ap-southeast-1", "ap-northeast-1"
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


def snapshot(
    slot: datetime,
    *,
    database: str = "shop",
    resource: str = "db-1",
    suffix: str = "lab",
    region: str = HOME,
    **changes: Any,
) -> Snapshot:
    """Return pgdrill's own snapshot of a slot, usable a minute after it."""
    mark = Mark(suffix=suffix, database=database, resource=resource, slot=slots.name(slot))
    identifier = slots.point_id(f"pgdrill-{suffix}-{database}-", slot)
    return Snapshot(
        id=identifier,
        arn=f"arn:aws:rds:{region}:000000000000:snapshot:{identifier}",
        region=region,
        source=f"{database}-production",
        resource=resource,
        status="available",
        progress=100,
        recovers_to=slot,
        created_at=slot + timedelta(minutes=1),
        engine_version="15.18",
        storage_gb=20,
        encrypted=True,
        kms_key="k",
        tags=mark.tags(),
    ).model_copy(update=changes)


def copied(source: Snapshot, now: datetime, **changes: Any) -> Snapshot:
    """Return a usable copy of it in the other region, made at `now`."""
    return source.model_copy(
        update={
            "arn": source.arn.replace(source.region, AWAY),
            "region": AWAY,
            "copied_from": source.arn,
            "created_at": now,
            **changes,
        }
    )
