"""What S3 carries from a cell's evidence bucket to the other cell's, in either direction.

What a drill over there needs, and the evidence, which has to outlive its region. Each region's evidence is a chain
of its own, and has the region in its keys. S3 carries nothing on that it has carried.
"""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from policies import denials
from settings import Settings
from tagging import tags

Policy = dict[str, Any]

CARRIED = ("seals", "witness", "references", "drills", "inventory", "evidence")
ROLE = "s3-replication"
# With the other bucket's key: S3 encrypts, and under a bucket key, which both buckets have, it also makes one, and
# tries one that is there before it uses it. S3 takes a configuration that lacks any of them, and then carries nothing.
REPLICA = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")


class Replication(pulumi.ComponentResource):
    """One direction: from `source`'s evidence bucket to `target`'s."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        source: Names,
        target: Names,
        buckets: tuple[pulumi.Input[str], pulumi.Input[str]],
        keys: tuple[pulumi.Input[str], pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make role and rules. `buckets` are of source and target, once they are versioned; `keys` encrypt in them."""
        super().__init__("pgdrill:ground:Replication", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=source.role(ROLE),
            description="S3 carries seals, witness and evidence to the other region",
            assume_role_policy=pulumi.Output.json_dumps(trust()),
            tags=tags(settings),
            opts=inside,
        )
        policy = aws.iam.RolePolicy(
            name,
            name="replicate",
            role=role.name,
            policy=pulumi.Output.all(*keys).apply(
                lambda known: json.dumps(policy_of(source, target, *known, locked=settings.protect))
            ),
            opts=inside,
        )
        aws.s3.BucketReplicationConfig(
            name,
            bucket=buckets[0],
            role=role.arn,
            rules=[
                _rule(number, prefix, buckets[1], keys[1]) for number, prefix in enumerate(CARRIED, start=1)
            ],
            region=source.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({})


def trust() -> Policy:
    """Let S3 take the role. No document says that S3 tells for which bucket when it replicates, and a condition that
    does not hold would be told by nobody; which bucket has the role is decided by iam:PassRole.
    """
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy_of(source: Names, target: Names, source_key: str, target_key: str, *, locked: bool) -> Policy:
    """Read what is to be carried, write it over there, and use either key through S3 alone.

    Source: S3 User Guide, "Setting up permissions for live replication", "Replicating encrypted objects", "Using an
    S3 Bucket Key with replication", "Using Object Lock with replication".
    """
    here, there = (f"arn:aws:s3:::{names.bucket('evidence')}" for names in (source, target))
    read = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
    if locked:
        read += ["s3:GetObjectRetention", "s3:GetObjectLegalHold"]
    write = ["s3:ReplicateObject", "s3:ReplicateTags"]
    carried, written = ([f"{bucket}/{prefix}/*" for prefix in CARRIED] for bucket in (here, there))
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("Look", ["s3:GetReplicationConfiguration", "s3:ListBucket"], here),
            _allow("Read", read, carried),
            _allow("Write", write, written),
            _allow("Decrypt", "kms:Decrypt", source_key, _via(source)),
            _allow("Encrypt", list(REPLICA), target_key, _via(target)),
            # What S3 does over there, it does with these.
            *denials(source, elsewhere=("s3:*", *REPLICA)),
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
