"""What `lab up` makes for a stranger to start with, through the AWS API alone: networks, keys, buckets, a plan.

The same calls would make it in AWS. Nothing here knows that it talks to a lab; the endpoint comes from outside.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pgdrill.lab import buckets
from pgdrill.model import Model

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_rds import RDSClient

SUFFIX = "lab"
TAGS = {"Environment": "lab", "Owner": "you", "CostCenter": "none", "ManagedBy": "pgdrill"}
MAC_KEY = f"alias/pgdrill-{SUFFIX}-mac"
STORAGE_KEY = f"alias/pgdrill-{SUFFIX}-storage"
SIGNING_KEY = f"alias/pgdrill-{SUFFIX}-signing"
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
        buckets.replicate(
            clients("s3", here.region),
            clients("iam", here.region),
            f"pgdrill-{SUFFIX}-replication-{here.region}",
            buckets=(here.evidence_bucket, there.evidence_bucket),
            keys=(here.storage_key, there.storage_key),
            tags=TAGS,
        )
    return primary, dr


def _world(clients: Clients, region: str, family: str) -> World:
    kms, s3, ec2, rds, iam = (clients(service, region) for service in ("kms", "s3", "ec2", "rds", "iam"))
    mac_key = _key(
        kms, MAC_KEY, "derives drill passwords", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"
    )
    storage_key = _key(kms, STORAGE_KEY, "encrypts databases, snapshots and evidence")
    _key(kms, SIGNING_KEY, "signs evidence", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    bucket, archive = (f"pgdrill-{SUFFIX}-{purpose}-{region}" for purpose in ("evidence", "archive"))
    for name in (bucket, archive):
        buckets.make(s3, name, region, storage_key, TAGS)
    buckets.expire(s3, archive)
    networks = {purpose: _network(ec2, rds, region, purpose, family) for purpose in NETWORKS}
    return World(
        region=region,
        evidence_bucket=bucket,
        archive_bucket=archive,
        export_role=buckets.export_role(iam, f"pgdrill-{SUFFIX}-export-{region}", archive, storage_key, TAGS),
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
signing_key = "{SIGNING_KEY}"  # signs the evidence; `pgdrill evidence verify` checks it
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
