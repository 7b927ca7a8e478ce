"""A VPC of private subnets in two zones, its security groups and its flow logs. Nothing in it reaches the internet.

Two of them in each region: `drill`, where temporary instances are restored, and `production`, where the database is
and a recovered one would be put. They know nothing of each other. A group names the group that it lets in, never an
address, but for S3's prefix list and a created database's own clients.
"""

import ipaddress
from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.errors import NotRunnable
from policies import denials
from settings import Settings
from tagging import tags

# Apart, so that they could be peered for a recovery; the same in every environment, since none is joined to another.
CIDRS = {
    ("primary", "production"): "10.64.0.0/16",
    ("primary", "drill"): "10.65.0.0/16",
    ("dr", "production"): "10.66.0.0/16",
    ("dr", "drill"): "10.67.0.0/16",
}
ZONES = 2
# By id, since which one of them an account calls `a` differs. Old zones that new things are kept out of: Lambda refuses
# subnets in some, and tells of none beforehand; EKS and VPC Lattice name these.
# Source: EKS User Guide, "Amazon EKS networking requirements"; VPC Lattice User Guide, "Quotas".
CONSTRAINED = ["apne1-az3", "cac1-az3", "use1-az3", "usw1-az2"]
POSTGRES, HTTPS = 5432, 443
FLOW_LOG_DAYS = 90
FLOW_LOG_ROLE = "flow-logs"


class Network(pulumi.ComponentResource):
    """A VPC with three groups: what functions join, what databases join, and what endpoints join."""

    vpc: pulumi.Output[str]
    subnets: list[pulumi.Output[str]]
    route_table: pulumi.Output[str]
    functions: pulumi.Output[str]
    databases: pulumi.Output[str]
    endpoints: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        cell: str,
        purpose: str,
        *,
        logs: "FlowLogRole",
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:ground:Network", name, None, opts)
        self._name, self._settings, self._names, self._purpose = name, settings, names, purpose
        self._inside = pulumi.ResourceOptions(parent=self)
        self._chosen = (settings.primary if cell == "primary" else settings.dr).zones
        cidr = ipaddress.ip_network(CIDRS[cell, purpose])
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=str(cidr),
            # Interface endpoints answer under the services' own names.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            **self._common(),
        )
        self.vpc = vpc.id
        self._empty_the_default_group()
        self.route_table = aws.ec2.RouteTable(name, vpc_id=self.vpc, **self._common()).id
        self.subnets = self._subnets(cidr)
        self.functions = self._group("functions", "functions of pgdrill")
        self.databases = self._group("databases", "database instances")
        self.endpoints = self._group("endpoints", "endpoints of AWS services")
        # A restored instance answers on the port of what it was restored from.
        self._ports = sorted({database.port for database in settings.databases})
        for port in self._ports:
            self._join("functions", self.functions, f"databases{_at(port)}", self.databases, port)
        self._join("functions", self.functions, "endpoints", self.endpoints, HTTPS)
        self._log_flows(logs, key)
        self.register_outputs({"vpc": self.vpc})

    def admit(self, cidr: str) -> None:
        """Let a private network of the owner's reach the databases here."""
        for port in self._ports:
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-databases{_at(port)}-from-{cidr}",
                security_group_id=self.databases,
                cidr_ipv4=cidr,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description="a client of the database",
                **self._common(f"{self._purpose}-databases"),
            )

    def reach(self, prefix_list: pulumi.Input[str]) -> None:
        """Let functions reach S3 through its gateway endpoint."""
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-functions-to-s3",
            security_group_id=self.functions,
            prefix_list_id=prefix_list,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="to S3",
            **self._common(f"{self._purpose}-functions"),
        )

    def _common(self, thing: str | None = None) -> Any:
        return {
            "region": self._names.region,
            "tags": tags(self._settings, self._names.thing(thing or self._purpose)),
            "opts": self._inside,
        }

    def _subnets(self, cidr: ipaddress.IPv4Network | ipaddress.IPv6Network) -> list[pulumi.Output[str]]:
        made = []
        for zone, block in zip(self._zones(), cidr.subnets(new_prefix=20), strict=False):
            letter = zone.removeprefix(self._names.region)
            subnet = aws.ec2.Subnet(
                f"{self._name}-{letter}",
                vpc_id=self.vpc,
                cidr_block=str(block),
                availability_zone=zone,
                map_public_ip_on_launch=False,
                **self._common(f"{self._purpose}-{letter}"),
            )
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{letter}",
                subnet_id=subnet.id,
                route_table_id=self.route_table,
                region=self._names.region,
                opts=self._inside,
            )
            made.append(subnet.id)
        return made

    def _zones(self) -> tuple[str, ...]:
        if self._chosen:
            return self._chosen
        found = aws.get_availability_zones(
            state="available",
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            exclude_zone_ids=CONSTRAINED,
            region=self._names.region,
        ).names
        if len(found) < ZONES:
            raise NotRunnable(
                f"{self._names.region} has {len(found)} zones that functions run in: {', '.join(found) or 'none'}",
                hint="name two in primary.zones or dr.zones",
            )
        return tuple(sorted(found)[:ZONES])

    def _empty_the_default_group(self) -> None:
        """Take every rule from the group that whatever names none would join."""
        aws.ec2.DefaultSecurityGroup(
            self._name, vpc_id=self.vpc, ingress=[], egress=[], **self._common(f"{self._purpose}-default")
        )

    def _group(self, thing: str, what: str) -> pulumi.Output[str]:
        made = aws.ec2.SecurityGroup(
            f"{self._name}-{thing}",
            name=self._names.thing(f"{self._purpose}-{thing}"),
            description=f"{what}, {self._purpose} network",
            vpc_id=self.vpc,
            **self._common(f"{self._purpose}-{thing}"),
        )
        return made.id

    def _join(
        self, one: str, source: pulumi.Output[str], other: str, target: pulumi.Output[str], port: int
    ) -> None:
        """Let one group reach another on one port: out of the one, and into the other."""
        rule: Any = {"ip_protocol": "tcp", "from_port": port, "to_port": port}
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-{one}-to-{other}",
            security_group_id=source,
            referenced_security_group_id=target,
            description=f"to {other}",
            **rule,
            **self._common(f"{self._purpose}-{one}"),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-{other}-from-{one}",
            security_group_id=target,
            referenced_security_group_id=source,
            description=f"from {one}",
            **rule,
            **self._common(f"{self._purpose}-{other}"),
        )

    def _log_flows(self, logs: "FlowLogRole", key: pulumi.Input[str]) -> None:
        group = aws.cloudwatch.LogGroup(
            f"{self._name}-flows",
            name=self._names.flow_logs(self._purpose),
            retention_in_days=FLOW_LOG_DAYS,
            kms_key_id=key,
            **self._common(self._purpose),
        )
        aws.ec2.FlowLog(
            self._name,
            vpc_id=self.vpc,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=logs.arn,
            max_aggregation_interval=60,
            region=self._names.region,
            tags=tags(self._settings, self._names.thing(self._purpose)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs]),
        )


def _at(port: int) -> str:
    return "" if port == POSTGRES else f"-{port}"


class FlowLogRole(pulumi.ComponentResource):
    """The role under which VPC writes the flow logs of a cell's networks."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, settings: Settings, names: Names, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("pgdrill:ground:FlowLogRole", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=names.role(FLOW_LOG_ROLE),
            description="VPC writes flow logs",
            assume_role_policy=pulumi.Output.json_dumps(flow_log_trust(names)),
            tags=tags(settings),
            opts=inside,
        )
        aws.iam.RolePolicy(
            name,
            name="write-flow-logs",
            role=role.name,
            policy=pulumi.Output.json_dumps(flow_log_policy(names)),
            opts=inside,
        )
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})


def flow_log_trust(names: Names) -> dict[str, Any]:
    """Let VPC take the role for flow logs of this account and region.

    Source: VPC User Guide, "IAM role for publishing flow logs to CloudWatch Logs".
    """
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": names.account},
            "ArnLike": {"aws:SourceArn": names.arn("ec2", "vpc-flow-log/*")},
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def flow_log_policy(names: Names) -> dict[str, Any]:
    """Write into the groups that are there; make none, so that none is left over."""
    group = names.arn("logs", f"log-group:{names.flow_logs('*')}")
    write = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Write", "Effect": "Allow", "Action": write, "Resource": [group, f"{group}:*"]},
            # DescribeLogGroups lists, and is granted on all groups or none.
            {
                "Sid": "List",
                "Effect": "Allow",
                "Action": "logs:DescribeLogGroups",
                "Resource": names.arn("logs", "log-group:*"),
            },
            *denials(names),
        ],
    }
