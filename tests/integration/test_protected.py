"""With `protect` it deploys and drills as ever, and neither its database nor what it wrote can be deleted."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from pgdrill.lab.deploy.deploy import settings
from pgdrill.lab.deploy.deployment import OUTPUTS
from tests.integration import labs
from tests.integration.deployed import Cell, Deployment, execute


@pytest.fixture(scope="module")
def protected() -> Iterator[Deployment]:
    with labs.deployed(settings() | {"protect": True}, rows=200, waits=0.01) as lab:
        yield Deployment(json.loads((lab.directory / OUTPUTS).read_bytes()))


@pytest.fixture(scope="module")
def drilled(protected: Deployment) -> Cell:
    """The primary cell, after a point and a drill of it."""
    cell = protected.cell("primary")
    due_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
    of_shop = {"due_at": due_at, "database": "shop"}
    for machine, given in (
        ("Beat", {"due_at": due_at}),
        ("Take", of_shop),
        ("Beat", {"due_at": due_at}),
        ("Drill", of_shop | {"wanted": "latest"}),
        ("Watch", {"due_at": due_at}),
        ("Watch", {"due_at": due_at}),
    ):
        ended = execute(cell, machine, given)
        assert ended["status"] == "SUCCEEDED", (machine, ended.get("error"), ended.get("cause"))
    return cell


def test_a_database_that_was_made_is_protected_from_deletion(protected: Deployment) -> None:
    cell = protected.cell("primary")
    (instance,) = cell.each("DatabaseInstances")
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        cell.client("rds").delete_db_instance(DBInstanceIdentifier=instance, SkipFinalSnapshot=True)


def test_every_version_of_what_a_cell_wrote_is_locked_for_thirteen_months(drilled: Cell) -> None:
    """Of replicas the lab locks none; in AWS they come with the lock of what they are replicas of."""
    s3, bucket = drilled.client("s3"), drilled["EvidenceBucket"]
    kinds = set()
    for version in drilled.pages("s3", "list_object_versions", "Versions", Bucket=bucket):
        which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        kind = version["Key"].partition("/")[0]
        if kind in {"plan", "code"} or s3.head_object(**which).get("ReplicationStatus") == "REPLICA":
            continue
        kinds.add(kind)
        retention = s3.get_object_retention(**which)["Retention"]
        assert retention["Mode"] == "COMPLIANCE"
        assert (retention["RetainUntilDate"] - version["LastModified"]).days in {395, 396}
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(**which)
    assert {"drills", "evidence", "inventory", "seals", "watch", "witness"} <= kinds


@pytest.mark.parametrize("name", ["primary", "dr"])
def test_evidence_is_locked_in_both_regions_and_exports_are_not(protected: Deployment, name: str) -> None:
    cell = protected.cell(name)
    s3 = cell.client("s3")
    lock = s3.get_object_lock_configuration(Bucket=cell["EvidenceBucket"])["ObjectLockConfiguration"]
    assert lock["Rule"] == {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 396}}
    with pytest.raises(ClientError, match="ObjectLockConfigurationNotFoundError"):
        s3.get_object_lock_configuration(Bucket=cell["ArchiveBucket"])


def test_what_is_overwritten_is_kept_as_long_as_the_rest(drilled: Cell) -> None:
    """docs/deploy.md reckons with it."""
    pages = drilled.pages(
        "s3",
        "list_object_versions",
        "Versions",
        Bucket=drilled["EvidenceBucket"],
        Prefix=f"inventory/{drilled.region}.json",
    )
    assert len(list(pages)) >= 2
