"""What `lab up` makes for a stranger to start with, through the AWS API alone: networks, keys, buckets, a plan.

The same calls would make it in AWS. Nothing here knows that it talks to a lab; the endpoint comes from outside.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pgdrill.model import Model

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client

SUFFIX = "lab"
TAGS = {"Environment": "lab", "Owner": "you", "CostCenter": "none", "ManagedBy": "pgdrill"}
MAC_KEY = f"alias/pgdrill-{SUFFIX}-mac"
STORAGE_KEY = f"alias/pgdrill-{SUFFIX}-storage"
EXPORTS_KEPT = 30  # days; what S3 removes is gone a day later at the latest
# What either cell needs of the other; evidence stays where it was made, since it is a chain of its own.
REPLICATED = ("seals", "witness", "references", "drills", "inventory")
NETWORKS = {"production": "10.10.0.0/16", "drill": "10.20.0.0/16"}

Clients = Callable[[str, str], Any]


class Network(Model):
    """A VPC with two private subnets; `name` is that of its DB subnet group and DB parameter group as well."""

    name: str
    vpc: str
    subnets: tuple[str, ...]
    security_group: str


class World(Model):
    """What was made in one region."""

    region: str
    evidence_bucket: str
    archive_bucket: str
    export_role: str
    mac_key: str
    storage_key: str
    production: Network
    drill: Network

    def production_instance(self) -> dict[str, Any]:
        """Return the CreateDBInstance arguments that a production database has here, without name and password."""
        return {
            "Engine": "postgres",
            "DBInstanceClass": "db.t3.medium",
            "AllocatedStorage": 20,
            "StorageType": "gp3",
            "StorageEncrypted": True,
            "KmsKeyId": self.storage_key,
            "DBSubnetGroupName": self.production.name,
            "VpcSecurityGroupIds": [self.production.security_group],
            "DBParameterGroupName": self.production.name,
            "BackupRetentionPeriod": 7,
            "PubliclyAccessible": False,
            "MultiAZ": True,
            "Tags": _tags(),
        }


def make(clients: Clients, region: str, dr_region: str, *, family: str) -> tuple[World, World]:
    """Make both regions, primary first. `family` is the parameter groups' (`postgres15`)."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        primary, dr = pool.map(lambda name: _world(clients, name, family), (region, dr_region))
    for here, there in ((primary, dr), (dr, primary)):
        _replicate(clients("s3", here.region), clients("iam", here.region), here, there)
    return primary, dr


def _world(clients: Clients, region: str, family: str) -> World:
    kms, s3, ec2, rds, iam = (clients(service, region) for service in ("kms", "s3", "ec2", "rds", "iam"))
    mac_key = _key(
        kms, MAC_KEY, "derives drill passwords", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"
    )
    storage_key = _key(kms, STORAGE_KEY, "encrypts databases, snapshots and evidence")
    bucket, archive = (f"pgdrill-{SUFFIX}-{purpose}-{region}" for purpose in ("evidence", "archive"))
    for name in (bucket, archive):
        _bucket(s3, name, region, storage_key)
    _expire(s3, archive)
    networks = {purpose: _network(ec2, rds, region, purpose, family) for purpose in NETWORKS}
    return World(
        region=region,
        evidence_bucket=bucket,
        archive_bucket=archive,
        export_role=_export_role(iam, region, archive, storage_key),
        mac_key=mac_key,
        storage_key=storage_key,
        **networks,
    )


def _key(kms: "KMSClient", alias: str, purpose: str, **kind: Any) -> str:
    """Make a key with an alias; return its ARN."""
    tags: Any = [{"TagKey": key, "TagValue": value} for key, value in TAGS.items()]
    key = kms.create_key(Description=purpose, Tags=tags, **kind)["KeyMetadata"]
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    return key["Arn"]


def _bucket(s3: "S3Client", name: str, region: str, key: str) -> None:
    configuration: Any = {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    everything: Any = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=everything)
    rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": _tags()})


def _expire(s3: "S3Client", bucket: str) -> None:
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


def _export_role(iam: Any, region: str, bucket: str, key: str) -> str:
    """Make the role that RDS writes exports under; return its ARN. IAM has no regions, so its name has one."""
    name = f"pgdrill-{SUFFIX}-export-{region}"
    trust = _policy({"Principal": {"Service": "export.rds.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=_tags())["Role"]
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
        RoleName=name, PolicyName="write-exports", PolicyDocument=json.dumps(_policy(files, keys))
    )
    return str(role["Arn"])


def _replicate(s3: "S3Client", iam: Any, here: World, there: World) -> None:
    """Let S3 carry to the other cell what it needs to drill copies and to know of this one; not the evidence."""
    source, target = (f"arn:aws:s3:::{world.evidence_bucket}" for world in (here, there))
    name = f"pgdrill-{SUFFIX}-replication-{here.region}"
    trust = _policy({"Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=_tags())["Role"]
    allowed = _policy(
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
        {"Action": "kms:Decrypt", "Resource": here.storage_key},
        {"Action": "kms:Encrypt", "Resource": there.storage_key},
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
                "EncryptionConfiguration": {"ReplicaKmsKeyID": there.storage_key},
            },
        }
        for number, prefix in enumerate(REPLICATED, start=1)
    ]
    s3.put_bucket_replication(
        Bucket=here.evidence_bucket, ReplicationConfiguration={"Role": role["Arn"], "Rules": rules}
    )


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy that allows what its statements say."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}


def _network(ec2: Any, rds: "RDSClient", region: str, purpose: str, family: str) -> Network:
    name = f"pgdrill-{SUFFIX}-{purpose}"
    vpc = ec2.create_vpc(CidrBlock=NETWORKS[purpose], TagSpecifications=_specification("vpc", name))["Vpc"][
        "VpcId"
    ]
    prefix = NETWORKS[purpose].removesuffix(".0.0/16")
    subnets = tuple(
        ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"{prefix}.{number}.0/24",
            AvailabilityZone=f"{region}{zone}",
            TagSpecifications=_specification("subnet", f"{name}-{zone}"),
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("ac")
    )
    group = ec2.create_security_group(
        GroupName=name,
        Description=f"PostgreSQL from within the {purpose} network",
        VpcId=vpc,
        TagSpecifications=_specification("security-group", name),
    )["GroupId"]
    inside = {
        "IpProtocol": "tcp",
        "FromPort": 5432,
        "ToPort": 5432,
        "IpRanges": [{"CidrIp": NETWORKS[purpose]}],
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[inside])
    _database_groups(rds, name, subnets, family)
    return Network(name=name, vpc=vpc, subnets=subnets, security_group=group)


def _database_groups(rds: "RDSClient", name: str, subnets: tuple[str, ...], family: str) -> None:
    rds.create_db_subnet_group(
        DBSubnetGroupName=name,
        DBSubnetGroupDescription="private subnets of two zones",
        SubnetIds=list(subnets),
        Tags=_tags(),
    )
    rds.create_db_parameter_group(
        DBParameterGroupName=name,
        DBParameterGroupFamily=family,
        Description="as in production",
        Tags=_tags(),
    )


def _tags() -> Any:
    return [{"Key": key, "Value": value} for key, value in TAGS.items()]


def _specification(kind: str, name: str) -> Any:
    return [{"ResourceType": kind, "Tags": [*_tags(), {"Key": "Name", "Value": name}]}]


def plan(primary: World, dr: World) -> str:
    """Return the lab's plan, as TOML with the reasons in comments."""
    return f"""\
# The lab's plan, written by `pgdrill lab up`. docs/plan.md lists every key.

[stack]
suffix = "{SUFFIX}"                # part of every name that pgdrill gives

[tags]                       # required on everything that pgdrill makes
Environment = "{TAGS["Environment"]}"
Owner = "{TAGS["Owner"]}"
CostCenter = "{TAGS["CostCenter"]}"

[objectives]
rto = "4h"                   # from the restore request to the first successful query
rpo = "7h"                   # what may be lost: a slot, and an hour for its snapshot to become usable

[points]
every = "6h"                 # how often a recovery point is taken
keep = "30d"
pitr = "7d"

[[database]]
name = "shop"
instance = "shop-production" # production's RDS identifier; never modified, never connected to by a drill
secret = "shop/pgdrill"      # Secrets Manager entry of the role that beats and seals
master_secret = "shop/master" # the entry whose password a recovered instance gets; it must exist by then
ledger = "on"

{_cell("primary", primary)}
{_cell("dr", dr)}
[drill]
instance_class = "db.t3.medium"
lease = "6h"                 # afterwards `pgdrill drill reap` deletes it, whatever happened

[checks]
skip = []                    # what is left out is `not_asked` in the evidence, never passed
"""


def _cell(name: str, world: World) -> str:
    return f"""\
[{name}]
region = "{world.region}"
evidence_bucket = "{world.evidence_bucket}"
mac_key = "{MAC_KEY}"  # an HMAC key: every drill's password is derived with it, none is stored
storage_key = "{STORAGE_KEY}"
archive_bucket = "{world.archive_bucket}"  # exports, for 30 days
export_role = "{world.export_role}"

[{name}.place]{" " * (18 - len(name))}# where a temporary instance is put; nothing is left to RDS's defaults
subnet_group = "{world.drill.name}"
security_groups = ["{world.drill.security_group}"]
parameter_group = "{world.drill.name}"

[{name}.recovery]{" " * (15 - len(name))}# where an instance that is recovered for good is put
subnet_group = "{world.production.name}"
security_groups = ["{world.production.security_group}"]
parameter_group = "{world.production.name}"
"""
