"""EC2: networks, subnets, routes, endpoints and flow logs."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag
from pgdrill.model import JSON


def specification(wanted: Wanted, kind: str) -> list[JSON]:
    """Take the tags, for the call that makes a thing of a kind."""
    tags = wanted.tags()
    return [{"ResourceType": kind, "Tags": tags}] if tags else []


def update_tags(wanted: Wanted, made: Made) -> None:
    added, gone = retag(wanted, made)
    if added:
        wanted.call("ec2", "create_tags", Resources=[made.id], Tags=as_tags(added))
    if gone:
        wanted.call("ec2", "delete_tags", Resources=[made.id], Tags=[{"Key": name} for name in gone])


def arn(wanted: Wanted, kind: str, identity: str) -> str:
    account = wanted.aws.client("sts").get_caller_identity()["Account"]
    return f"arn:aws:ec2:{wanted.aws.region}:{account}:{kind}/{identity}"


def _only_tags(*others: str) -> tuple[JSON, frozenset[str]]:
    """Return an update for what can be given other tags and nothing else, and what it cannot change."""

    def update(wanted: Wanted, made: Made) -> Outputs:
        update_tags(wanted, made)
        wanted.later(*others)
        return {}

    return update, frozenset(others)


# ------------------------------------------------------------------------------------------------- the network


def _create_vpc(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("cidrBlock", "instanceTenancy")
    vpc = wanted.call("ec2", "create_vpc", given, TagSpecifications=specification(wanted, "vpc"))["Vpc"]
    _set_names(wanted, vpc["VpcId"])
    return vpc["VpcId"], {
        "arn": arn(wanted, "vpc", vpc["VpcId"]),
        "ownerId": vpc.get("OwnerId"),
        "defaultSecurityGroupId": _default(wanted, "security_groups", vpc["VpcId"])["GroupId"],
        "defaultRouteTableId": _default(wanted, "route_tables", vpc["VpcId"])["RouteTableId"],
        "mainRouteTableId": _default(wanted, "route_tables", vpc["VpcId"])["RouteTableId"],
        "defaultNetworkAclId": _default(wanted, "network_acls", vpc["VpcId"])["NetworkAclId"],
    }


def _set_names(wanted: Wanted, vpc: str) -> None:
    for name in ("enableDnsSupport", "enableDnsHostnames"):
        value = wanted.take(name)
        if value is not None and wanted.changed(name):
            wanted.call("ec2", "modify_vpc_attribute", {name: {"Value": value}}, VpcId=vpc)


def _default(wanted: Wanted, what: str, vpc: str) -> JSON:
    """Return what EC2 makes with every VPC."""
    sign = {
        "security_groups": ("group-name", "default"),
        "route_tables": ("association.main", "true"),
        "network_acls": ("default", "true"),
    }[what]
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": sign[0], "Values": [sign[1]]}]
    found = wanted.call("ec2", f"describe_{what}", Filters=filters)
    (only,) = next(value for value in found.values() if isinstance(value, list))
    return only


def _update_vpc(wanted: Wanted, made: Made) -> Outputs:
    _set_names(wanted, made.id)
    update_tags(wanted, made)
    wanted.later("cidrBlock", "instanceTenancy")
    return {}


def _delete_vpc(aws: Aws, made: Made) -> None:
    aws.client("ec2").delete_vpc(VpcId=made.id)


def _create_subnet(wanted: Wanted) -> tuple[str, Outputs]:
    public = wanted.take("mapPublicIpOnLaunch")
    given = wanted.some("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId")
    subnet = wanted.call("ec2", "create_subnet", given, TagSpecifications=specification(wanted, "subnet"))[
        "Subnet"
    ]
    if public:
        value = {"Value": True}
        wanted.call("ec2", "modify_subnet_attribute", SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch=value)
    return subnet["SubnetId"], {
        "arn": arn(wanted, "subnet", subnet["SubnetId"]),
        "availabilityZone": subnet["AvailabilityZone"],
        "availabilityZoneId": subnet.get("AvailabilityZoneId"),
        "ownerId": subnet.get("OwnerId"),
    }


def _delete_subnet(aws: Aws, made: Made) -> None:
    aws.client("ec2").delete_subnet(SubnetId=made.id)


# ------------------------------------------------------------------------------------------------- routes


def _create_table(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("vpcId")
    specified = specification(wanted, "route-table")
    table = wanted.call("ec2", "create_route_table", given, TagSpecifications=specified)["RouteTable"]
    if wanted.inputs.get("routes") == []:
        wanted.later("routes")  # none but the local one, which is there
    return table["RouteTableId"], {
        "arn": arn(wanted, "route-table", table["RouteTableId"]),
        "ownerId": table.get("OwnerId"),
    }


def _delete_table(aws: Aws, made: Made) -> None:
    aws.client("ec2").delete_route_table(RouteTableId=made.id)


def _associate(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("routeTableId", "subnetId", "gatewayId")
    return str(wanted.call("ec2", "associate_route_table", given)["AssociationId"]), {}


def _disassociate(aws: Aws, made: Made) -> None:
    aws.client("ec2").disassociate_route_table(AssociationId=made.id)


# ------------------------------------------------------------------------------------------------- endpoints


def _create_endpoint(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(
        "vpcId",
        "serviceName",
        "vpcEndpointType",
        "subnetIds",
        "securityGroupIds",
        "routeTableIds",
        "privateDnsEnabled",
        "ipAddressType",
        "dnsOptions",
        policy="PolicyDocument",
    )
    specified = specification(wanted, "vpc-endpoint")
    made = wanted.call("ec2", "create_vpc_endpoint", given, TagSpecifications=specified)["VpcEndpoint"]
    return made["VpcEndpointId"], _endpoint(wanted, made["VpcEndpointId"])


def _endpoint(wanted: Wanted, identity: str) -> Outputs:
    found = wanted.call("ec2", "describe_vpc_endpoints", VpcEndpointIds=[identity])["VpcEndpoints"][0]
    outputs = {
        "arn": arn(wanted, "vpc-endpoint", identity),
        "state": found["State"],
        "ownerId": found.get("OwnerId"),
        "networkInterfaceIds": found.get("NetworkInterfaceIds", []),
        "dnsEntries": [
            {"dnsName": entry["DnsName"], "hostedZoneId": entry["HostedZoneId"]}
            for entry in found.get("DnsEntries", [])
        ],
    }
    if found["VpcEndpointType"] == "Gateway":
        filters = [{"Name": "prefix-list-name", "Values": [found["ServiceName"]]}]
        prefixes = wanted.call("ec2", "describe_prefix_lists", Filters=filters)["PrefixLists"]
        outputs |= {"prefixListId": prefixes[0]["PrefixListId"], "cidrBlocks": prefixes[0]["Cidrs"]}
    return outputs


def _update_endpoint(wanted: Wanted, made: Made) -> Outputs:
    given = wanted.some("privateDnsEnabled", "ipAddressType", "dnsOptions", policy="PolicyDocument")
    for name, member in (
        ("subnetIds", "SubnetIds"),
        ("securityGroupIds", "SecurityGroupIds"),
        ("routeTableIds", "RouteTableIds"),
    ):
        new, old = set(wanted.take(name) or ()), set(made.inputs.get(name) or ())
        given |= {f"Add{member}": sorted(new - old), f"Remove{member}": sorted(old - new)}
    wanted.call(
        "ec2", "modify_vpc_endpoint", {k: v for k, v in given.items() if v != []}, VpcEndpointId=made.id
    )
    update_tags(wanted, made)
    wanted.later("vpcId", "serviceName", "vpcEndpointType")
    return _endpoint(wanted, made.id)


def _delete_endpoint(aws: Aws, made: Made) -> None:
    aws.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[made.id])


# ------------------------------------------------------------------------------------------------- flow logs


def _create_flow_log(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(
        "logDestination",
        "logDestinationType",
        "trafficType",
        "maxAggregationInterval",
        "logFormat",
        iamRoleArn="DeliverLogsPermissionArn",
    )
    answer = wanted.call(
        "ec2",
        "create_flow_logs",
        given,
        ResourceIds=[wanted.take("vpcId")],
        ResourceType="VPC",
        TagSpecifications=specification(wanted, "vpc-flow-log"),
    )
    (identity,) = answer["FlowLogIds"]
    return identity, {"arn": arn(wanted, "vpc-flow-log", identity)}


def _delete_flow_log(aws: Aws, made: Made) -> None:
    aws.client("ec2").delete_flow_logs(FlowLogIds=[made.id])


_SUBNET = _only_tags("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId", "mapPublicIpOnLaunch")
_TABLE = _only_tags("vpcId", "routes")
_FLOW_LOG = _only_tags(
    "logDestination",
    "logDestinationType",
    "trafficType",
    "maxAggregationInterval",
    "logFormat",
    "iamRoleArn",
    "vpcId",
)
ENTRIES = (
    Entry(
        "aws:ec2/vpc:Vpc",
        _create_vpc,
        _delete_vpc,
        _update_vpc,
        frozenset({"cidrBlock", "instanceTenancy"}),
        named=False,
    ),
    Entry("aws:ec2/subnet:Subnet", _create_subnet, _delete_subnet, *_SUBNET),
    Entry("aws:ec2/routeTable:RouteTable", _create_table, _delete_table, *_TABLE, named=False),
    Entry("aws:ec2/routeTableAssociation:RouteTableAssociation", _associate, _disassociate),
    Entry(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        _create_endpoint,
        _delete_endpoint,
        _update_endpoint,
        frozenset({"vpcId", "serviceName", "vpcEndpointType"}),
    ),
    Entry("aws:ec2/flowLog:FlowLog", _create_flow_log, _delete_flow_log, *_FLOW_LOG, named=False),
)
