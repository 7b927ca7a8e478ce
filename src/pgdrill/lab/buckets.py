"""The buckets of the lab's cells, and the roles under which AWS's services write to them. Through the AWS API alone."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Tags = dict[str, str]

EXPORTS_KEPT = 30  # days; what S3 removes is gone a day later at the latest
# What either cell needs of the other; evidence stays where it was made, since it is a chain of its own.
REPLICATED = ("seals", "witness", "references", "drills", "inventory")


def make(s3: "S3Client", name: str, region: str, key: str, tags: Tags) -> None:
    configuration: Any = {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    everything: Any = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=everything)
    rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": _listed(tags)})


def expire(s3: "S3Client", bucket: str) -> None:
    """Let exports go after 30 days, their older versions and what was never uploaded whole as well."""
    rule: Any = {
        "ID": "exports",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": EXPORTS_KEPT},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})


def export_role(iam: Any, name: str, bucket: str, key: str, tags: Tags) -> str:
    """Make the role that RDS writes exports under; return its ARN. IAM has no regions, so its name has one."""
    trust = policy({"Principal": {"Service": "export.rds.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=_listed(tags))[
        "Role"
    ]
    arn = f"arn:aws:s3:::{bucket}"
    files = {
        "Action": [
            "s3:PutObject*",
            "s3:GetObject*",
            "s3:ListBucket",
            "s3:DeleteObject*",
            "s3:GetBucketLocation",
        ],
        "Resource": [arn, f"{arn}/*"],
    }
    keys = {"Action": ["kms:GenerateDataKey*", "kms:Decrypt", "kms:DescribeKey"], "Resource": key}
    iam.put_role_policy(
        RoleName=name, PolicyName="write-exports", PolicyDocument=json.dumps(policy(files, keys))
    )
    return str(role["Arn"])


def replicate(
    s3: "S3Client", iam: Any, name: str, *, buckets: tuple[str, str], keys: tuple[str, str], tags: Tags
) -> None:
    """Let S3 carry from one evidence bucket to the other what that cell needs; not the evidence. Makes the role `name`.

    `buckets` and the `keys` that encrypt in them are source and target.
    """
    source, target = (f"arn:aws:s3:::{bucket}" for bucket in buckets)
    trust = policy({"Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=_listed(tags))[
        "Role"
    ]
    allowed = policy(
        {"Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": source},
        {
            "Action": [
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            "Resource": f"{source}/*",
        },
        {"Action": ["s3:ReplicateObject", "s3:ReplicateTags"], "Resource": f"{target}/*"},
        {"Action": "kms:Decrypt", "Resource": keys[0]},
        {"Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": keys[1]},
    )
    iam.put_role_policy(RoleName=name, PolicyName="replicate", PolicyDocument=json.dumps(allowed))
    rules: Any = [
        {
            "ID": prefix,
            "Priority": number,
            "Status": "Enabled",
            "Filter": {"Prefix": f"{prefix}/"},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": {
                "Bucket": target,
                "EncryptionConfiguration": {"ReplicaKmsKeyID": keys[1]},
            },
        }
        for number, prefix in enumerate(REPLICATED, start=1)
    ]
    s3.put_bucket_replication(
        Bucket=buckets[0], ReplicationConfiguration={"Role": role["Arn"], "Rules": rules}
    )


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy that allows what its statements say."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}


def _listed(tags: Tags) -> Any:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
