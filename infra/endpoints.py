"""The ways out of a network: one endpoint for each AWS service that functions there call, each with a policy.

What no endpoint is there for cannot be reached, and what an endpoint's policy does not allow goes through none.

Source: PrivateLink Guide, "Control access to VPC endpoints using endpoint policies".
"""

from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from network import Network
from settings import Settings
from tagging import tags

Policy = dict[str, Any]

# What functions in the drill VPC ask of RDS; docs/permissions.md says which step asks what.
RDS_ACTIONS = (
    "rds:AddTagsToResource", "rds:DeleteDBInstance", "rds:DeleteDBSnapshot", "rds:ModifyDBInstance",
    "rds:RestoreDBInstanceFromDBSnapshot",
)  # fmt: skip
RDS_ACTIONS_PRIMARY = ("rds:CreateDBSnapshot", "rds:RestoreDBInstanceToPointInTime", "rds:StartExportTask")
RDS_ACTIONS_DR = ("rds:CopyDBSnapshot",)
RDS_LISTS = (
    "rds:DescribeAccountAttributes", "rds:DescribeDBInstanceAutomatedBackups", "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshots", "rds:DescribeExportTasks",
)  # fmt: skip
S3_ACTIONS = ("s3:GetObject", "s3:ListBucket", "s3:PutObject")


class Endpoints(pulumi.ComponentResource):
    """The gateway to S3, and interface endpoints by the services' names."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        network: Network,
        *,
        buckets: tuple[str, ...],
        services: dict[str, pulumi.Input[Policy]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:ground:Endpoints", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        gateway = aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=network.vpc,
            service_name=f"com.amazonaws.{names.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[network.route_table],
            policy=pulumi.Output.json_dumps(s3_policy(names, buckets)),
            region=names.region,
            tags=tags(settings, names.thing(f"{name}-s3")),
            opts=inside,
        )
        network.reach(gateway.prefix_list_id)
        for service, policy in services.items():
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=network.vpc,
                service_name=f"com.amazonaws.{names.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=network.subnets,
                security_group_ids=[network.endpoints],
                private_dns_enabled=True,
                policy=pulumi.Output.json_dumps(policy),
                region=names.region,
                tags=tags(settings, names.thing(f"{name}-{service}")),
                opts=inside,
            )
        self.register_outputs({})


def s3_policy(names: Names, buckets: tuple[str, ...]) -> Policy:
    """Our roles, our buckets. A gateway endpoint takes no principal but `*`: an account would mean its root user
    alone, so who is meant stands in the condition.
    """
    arns = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
    return _policy(
        names,
        "*",
        {
            "Sid": "OwnBuckets",
            "Action": list(S3_ACTIONS),
            "Resource": [*arns, *(f"{arn}/*" for arn in arns)],
        },
    )


def rds_policy(names: Names, primary: Names) -> Policy:
    """The calls that are made: on this region's things, and in the DR region to copy the primary's snapshots."""
    here = names.arn("rds", "*")
    statements: list[Policy] = [
        {"Sid": "Change", "Action": list(RDS_ACTIONS), "Resource": here},
        # Some of these have no resource.
        {"Sid": "Look", "Action": list(RDS_LISTS), "Resource": "*"},
    ]
    if names == primary:
        statements.append({"Sid": "Take", "Action": list(RDS_ACTIONS_PRIMARY), "Resource": here})
    else:
        source = primary.arn("rds", f"snapshot:{primary.stem}-*")
        statements.append({"Sid": "Copy", "Action": list(RDS_ACTIONS_DR), "Resource": [here, source]})
    return _policy(names, {"AWS": names.root}, *statements)


def kms_policy(names: Names, mac: str, signing: str) -> Policy:
    """Derive with the one key, sign with the other, and look at those that anything rests on."""
    statements: list[Policy] = [
        {"Sid": "Derive", "Action": "kms:GenerateMac", "Resource": mac},
        {"Sid": "Sign", "Action": ["kms:GetPublicKey", "kms:Sign"], "Resource": signing},
        {"Sid": "Look", "Action": "kms:DescribeKey", "Resource": names.arn("kms", "key/*")},
    ]
    return _policy(names, {"AWS": names.root}, *statements)


def secrets_policy(names: Names, secrets: tuple[str, ...]) -> Policy:
    """Read the entries of the plan. `secrets` are names or ARNs."""
    return _policy(
        names,
        {"AWS": names.root},
        {
            "Sid": "Read",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": [names.secret(secret) for secret in secrets],
        },
    )


def _policy(names: Names, principal: str | dict[str, str], *statements: Policy) -> Policy:
    """Allow the account's roles of this suffix and region what the statements say."""
    ours = {
        "StringEquals": {"aws:PrincipalAccount": names.account},
        "ArnLike": {"aws:PrincipalArn": names.roles()},
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": principal, **statement, "Condition": ours}
            for statement in statements
        ],
    }
