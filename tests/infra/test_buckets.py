"""Buckets are private, encrypted, versioned and watched; each forgets in its time; evidence is in both regions."""

import json
import re
from typing import Any

import pytest

from buckets import CHAINS, RECORDS
from naming import Names
from pgdrill.aws import store
from replication import CARRIED, policy_of
from tests.infra.program import ACCOUNT, REGIONS, Run

CELLS = dict(zip(("primary", "dr"), REGIONS, strict=True))
THINGS = ("evidence", "archive", "logs")


def about(run: Run, kind: str, cell: str, thing: str) -> dict[str, Any]:
    typ = f"aws:s3/{kind}:{kind[0].upper()}{kind[1:]}"
    return run.one(typ, f"{cell}-{thing}").inputs


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("thing", THINGS)
def test_every_bucket_is_private_versioned_and_reached_over_tls_alone(
    ground: Run, cell: str, thing: str
) -> None:
    name = f"pgdrill-test-{thing}-{ACCOUNT}-{CELLS[cell]}"
    assert about(ground, "bucket", cell, thing)["bucket"] == name
    block = about(ground, "bucketPublicAccessBlock", cell, thing)
    assert all(
        block[key] is True
        for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    )
    versioning = about(ground, "bucketVersioning", cell, thing)["versioningConfiguration"]
    assert versioning == {"status": "Enabled"}
    policy = json.loads(about(ground, "bucketPolicy", cell, thing)["policy"])
    refused = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    assert refused == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
    assert all(one["Principal"] == {"Service": "logging.s3.amazonaws.com"} for one in allowed)
    assert len(allowed) == (thing == "logs")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("thing", ["evidence", "archive"])
def test_every_bucket_but_the_logs_is_under_the_cells_key(ground: Run, cell: str, thing: str) -> None:
    (rule,) = about(ground, "bucketServerSideEncryptionConfiguration", cell, thing)["rules"]
    assert rule == {
        "applyServerSideEncryptionByDefault": {
            "sseAlgorithm": "aws:kms",
            "kmsMasterKeyId": f"arn:aws:kms:{CELLS[cell]}:{ACCOUNT}:key/key-{cell}-storage",
        },
        "bucketKeyEnabled": True,
    }
    logging = about(ground, "bucketLogging", cell, thing)
    assert logging["targetBucket"] == f"pgdrill-test-logs-{ACCOUNT}-{CELLS[cell]}"
    assert logging["targetPrefix"] == f"{thing}/"


def test_access_logs_are_under_s3s_own_key_and_come_from_the_cells_buckets_alone(ground: Run) -> None:
    (rule,) = about(ground, "bucketServerSideEncryptionConfiguration", "dr", "logs")["rules"]
    assert rule == {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    policy = json.loads(about(ground, "bucketPolicy", "dr", "logs")["policy"])
    (delivered,) = (one for one in policy["Statement"] if one["Effect"] == "Allow")
    logged = [f"arn:aws:s3:::pgdrill-test-{thing}-{ACCOUNT}-{REGIONS[1]}" for thing in THINGS[:2]]
    assert delivered["Condition"] == {
        "ArnLike": {"aws:SourceArn": logged},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }


@pytest.mark.parametrize(
    ("thing", "days", "noncurrent"),
    [("evidence", 396, 30), ("archive", 30, 1), ("logs", 396, 30)],
)
def test_what_lies_there_goes_in_its_time(ground: Run, thing: str, days: int, noncurrent: int) -> None:
    rules = about(ground, "bucketLifecycleConfiguration", "primary", thing)["rules"]
    assert all(rule["status"] == "Enabled" for rule in rules)
    *expiring, rest = rules
    assert {rule["expiration"]["days"] for rule in expiring} == {days}
    assert rest["filter"] == {"prefix": ""}
    assert rest["noncurrentVersionExpiration"] == {"noncurrentDays": noncurrent}
    assert rest["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}


def test_a_chain_is_never_cut_short_and_a_plan_stays_for_as_long_as_functions_run(ground: Run) -> None:
    rules = about(ground, "bucketLifecycleConfiguration", "primary", "evidence")["rules"]
    expiring = [rule["filter"]["prefix"] for rule in rules if "expiration" in rule]
    assert expiring == [f"{prefix}/" for prefix in RECORDS]
    assert not any(
        key.startswith(tuple(expiring))
        for key in ("plan/a.json", "code/a.zip", "evidence/shop/a", "seals/shop/a")
    )


def test_every_kind_of_record_that_the_store_holds_expires_but_for_chains_and_plans() -> None:
    held = set(re.findall(r"^    (\w+)/<", store.__doc__ or "", re.MULTILINE))
    assert set(RECORDS) == held - {"plan", *CHAINS}
    assert set(CHAINS) < held


def test_by_default_everything_can_be_destroyed_and_with_protect_evidence_cannot(
    ground: Run, protected: Run
) -> None:
    assert all(one.inputs["forceDestroy"] is True for one in ground.of("aws:s3/bucket:Bucket"))
    assert ground.of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration") == []
    assert all(one.inputs["forceDestroy"] is False for one in protected.of("aws:s3/bucket:Bucket"))
    locks = protected.of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    assert {one.name for one in locks} == {f"{cell}-evidence" for cell in CELLS}
    for lock in locks:
        assert lock.inputs["rule"] == {"defaultRetention": {"mode": "COMPLIANCE", "days": 396}}
        # A lock is a property that a bucket is made with.
        assert protected.one("aws:s3/bucket:Bucket", lock.name).inputs["objectLockEnabled"] is True
    assert "objectLockEnabled" not in about(protected, "bucket", "primary", "archive")


@pytest.mark.parametrize(("source", "target"), [("primary", "dr"), ("dr", "primary")])
def test_each_cell_has_what_it_needs_of_the_other_and_its_evidence(
    ground: Run, source: str, target: str
) -> None:
    configured = ground.one(
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig", f"{source}-replication"
    ).inputs
    assert configured["bucket"] == f"pgdrill-test-evidence-{ACCOUNT}-{CELLS[source]}"
    key = f"arn:aws:kms:{CELLS[target]}:{ACCOUNT}:key/key-{target}-storage"
    carried = {}
    for rule in configured["rules"]:
        assert rule["status"] == "Enabled"
        assert rule["deleteMarkerReplication"] == {"status": "Disabled"}
        assert rule["sourceSelectionCriteria"] == {"sseKmsEncryptedObjects": {"status": "Enabled"}}
        assert rule["destination"]["encryptionConfiguration"] == {"replicaKmsKeyId": key}
        carried[rule["filter"]["prefix"]] = rule["destination"]["bucket"]
    there = f"arn:aws:s3:::pgdrill-test-evidence-{ACCOUNT}-{CELLS[target]}"
    wanted = ("seals", "witness", "references", "drills", "inventory", "evidence")
    assert carried == {f"{prefix}/": there for prefix in wanted}
    assert len({rule["priority"] for rule in configured["rules"]}) == len(configured["rules"])


def test_s3_takes_the_role_on_no_condition_that_it_is_not_said_to_meet(ground: Run) -> None:
    for cell, region in CELLS.items():
        role = ground.one("aws:iam/role:Role", f"{cell}-replication")
        assert role.inputs["name"] == f"pgdrill-test-s3-replication-{region}"
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        service = {"Service": "s3.amazonaws.com"}
        assert statement == {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize("locked", [False, True])
def test_s3_may_carry_those_prefixes_and_no_others(locked: bool) -> None:
    here, there = (Names("test", region, ACCOUNT) for region in REGIONS)
    policy = policy_of(here, there, "key-here", "key-there", locked=locked)
    statements = {one["Sid"]: one for one in policy["Statement"]}
    for sid, region in (("Read", REGIONS[0]), ("Write", REGIONS[1])):
        bucket = f"arn:aws:s3:::pgdrill-test-evidence-{ACCOUNT}-{region}"
        assert statements[sid]["Resource"] == [f"{bucket}/{prefix}/*" for prefix in CARRIED]
    assert not any("Delete" in action for action in statements["Write"]["Action"])
    # A lock goes along with what it locks.
    assert ("s3:GetObjectRetention" in statements["Read"]["Action"]) is locked
    # Replicas lie under a bucket key: it is made, tried, and encrypted with.
    replicas = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
    for sid, actions, key, region in (
        ("Decrypt", "kms:Decrypt", "key-here", REGIONS[0]),
        ("Encrypt", replicas, "key-there", REGIONS[1]),
    ):
        assert statements[sid] == {
            "Sid": sid,
            "Effect": "Allow",
            "Action": actions,
            "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
        }
