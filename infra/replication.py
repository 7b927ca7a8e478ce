"""What S3 carries from a cell's evidence bucket to the other cell, in either direction.

Seals, witness and the rest that a drill over there needs go to the same place in its evidence bucket. The evidence
itself goes to the replica bucket, since it is a chain of its own in each cell, and two in one place would be none.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from settings import Settings
from tagging import tags

Policy = dict[str, Any]

SHARED = ("seals", "witness", "references", "drills", "inventory")
EVIDENCE = "evidence"
ROLE = "s3-replication"


class Replication(pulumi.ComponentResource):
    """One direction: from `source`'s evidence bucket to `target`'s two."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        source: Names,
        target: Names,
        buckets: Mapping[str, pulumi.Input[str]],
        keys: tuple[pulumi.Input[str], pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make role and rules. `buckets` has the names of `source`, `evidence` and `replica`, once they are versioned."""
        super().__init__("pgdrill:ground:Replication", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=source.role(ROLE),
            description="S3 carries seals, witness and evidence to the other region",
            assume_role_policy=pulumi.Output.json_dumps(trust(source)),
            tags=tags(settings),
            opts=inside,
        )
        policy = aws.iam.RolePolicy(
            name,
            name="replicate",
            role=role.name,
            policy=pulumi.Output.all(*keys).apply(
                lambda known: json.dumps(policy_of(source, target, *known))
            ),
            opts=inside,
        )
        destinations = [*((prefix, "evidence") for prefix in SHARED), (EVIDENCE, "replica")]
        aws.s3.BucketReplicationConfig(
            name,
            bucket=buckets["source"],
            role=role.arn,
            rules=[
                _rule(number, prefix, buckets[destination], keys[1])
                for number, (prefix, destination) in enumerate(destinations, start=1)
            ],
            region=source.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({})


def trust(names: Names) -> Policy:
    """Let S3 take the role for this cell's evidence bucket alone."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{names.bucket('evidence')}"},
            "StringEquals": {"aws:SourceAccount": names.account},
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy_of(source: Names, target: Names, source_key: str, target_key: str) -> Policy:
    """Read what is to be carried, write it over there, and use either key through S3 alone.

    Source: S3 User Guide, "Setting up permissions for live replication", "Replicating encrypted objects".
    """
    here = f"arn:aws:s3:::{source.bucket('evidence')}"
    there = [f"arn:aws:s3:::{target.bucket(thing)}" for thing in ("evidence", "replica")]
    read = [
        "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
        "s3:GetObjectRetention", "s3:GetObjectLegalHold",
    ]  # fmt: skip
    write = ["s3:ReplicateObject", "s3:ReplicateTags"]
    carried = [f"{here}/{prefix}/*" for prefix in (*SHARED, EVIDENCE)]
    written = [
        *(f"{there[0]}/{prefix}/*" for prefix in SHARED),
        f"{there[1]}/{EVIDENCE}/*",
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("Look", ["s3:GetReplicationConfiguration", "s3:ListBucket"], here),
            _allow("Read", read, carried),
            _allow("Write", write, written),
            _allow("Decrypt", "kms:Decrypt", source_key, _via(source)),
            _allow("Encrypt", "kms:Encrypt", target_key, _via(target)),
        ],
    }


def _via(names: Names) -> Policy:
    return {"StringEquals": {"kms:ViaService": f"s3.{names.region}.amazonaws.com"}}


def _allow(
    sid: str, action: str | list[str], resource: str | list[str], condition: Policy | None = None
) -> Policy:
    statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def _rule(number: int, prefix: str, bucket: pulumi.Input[str], key: pulumi.Input[str]) -> Any:
    return {
        "id": prefix,
        "priority": number,
        "status": "Enabled",
        "filter": {"prefix": f"{prefix}/"},
        # What somebody deletes here stays there.
        "delete_marker_replication": {"status": "Disabled"},
        "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
        "destination": {
            "bucket": pulumi.Output.concat("arn:aws:s3:::", bucket),
            "encryption_configuration": {"replica_kms_key_id": key},
        },
    }
