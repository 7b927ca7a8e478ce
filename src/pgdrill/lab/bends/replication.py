"""The emulator's S3 replicates whatever the replication role may do; AWS's asks the role, and fails the replica.

The role reads the version at the source and writes the replica at the destination, with the key of either bucket
through S3. What it may not replicate has the replication status FAILED.

Source: S3 User Guide, "Setting up permissions for live replication", "Replicating encrypted objects" and "Using an S3
Bucket Key with replication".
"""

from typing import Any

from ministack.services import s3

from pgdrill.lab.bends import roles
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.bends.key_use import bucket_key, has_bucket_key
from pgdrill.lab.rds.service import Rds

SERVICE = "s3.amazonaws.com"
OF_BUCKET = ("s3:GetReplicationConfiguration", "s3:ListBucket")
OF_SOURCE = ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging")
OF_REPLICA = ("s3:ReplicateObject", "s3:ReplicateTags")


def apply(_: Rds) -> None:
    graft(s3, "_replication_destination(bucket_name, key, rule, role)", _as_the_role)


def _as_the_role(original: Function) -> Function:
    def replication_destination(bucket_name: str, key: str, rule: dict[str, Any], role: str) -> Any:
        target = original(bucket_name, key, rule, role)
        if target is None:
            return None
        try:
            _ask(bucket_name, target[0], key, rule, role)
        except roles.NotAllowed:
            return None
        return target

    return replication_destination


def _ask(bucket: str, destination: str, key: str, rule: dict[str, Any], role: str) -> None:
    source = f"arn:aws:s3:::{bucket}"
    here, there = (s3.bucket_region(name) for name in (bucket, destination))

    def ask(action: str, resource: str, region: str | None, **context: str) -> None:
        roles.check(role, SERVICE, action, resource, source=source, region=region or "", context=context)

    for action in OF_BUCKET:
        ask(action, source, here)
    for action in OF_SOURCE:
        ask(action, f"{source}/{key}", here)
    for action in OF_REPLICA:
        ask(action, f"arn:aws:s3:::{destination}/{key}", there)
    if found := bucket_key(bucket, here or ""):
        ask("kms:Decrypt", found, here, **{"kms:ViaService": f"s3.{here}.amazonaws.com"})
    encryption = (rule.get("Destination") or {}).get("EncryptionConfiguration") or {}
    if replica_key := encryption.get("ReplicaKmsKeyID"):
        # A bucket key that is there is tried before it is used.
        for action in ("kms:Encrypt", *(["kms:Decrypt"] if has_bucket_key(destination) else [])):
            ask(action, replica_key, there, **{"kms:ViaService": f"s3.{there}.amazonaws.com"})
