"""What each function can reach, from what is deployed: groups, routes, endpoints and their policies. Pure.

The lab opens any socket, so what a network would refuse has to be known without one. What is not known here (an
unknown condition, a network of others) counts as unreachable, so that the answer errs on the safe side.

Source: VPC User Guide, "Control traffic to your AWS resources using security groups"; PrivateLink Guide, "Access AWS
services", "Control access to VPC endpoints using endpoint policies".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

JSON = Any
HTTPS = 443
# Types that would join a network to another one, or to everybody. There is none, and a test holds that.
WAYS_OUT = (
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway",
    "aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
    "aws:ec2transitgateway/vpcAttachment:VpcAttachment",
    "aws:ec2/vpnGateway:VpnGateway",
    "aws:ec2/eip:Eip",
    "aws:ec2/route:Route",
)


class Registered(Protocol):
    """A resource as Pulumi registers it, with what came back; keys in camel case."""

    @property
    def typ(self) -> str: ...

    @property
    def inputs(self) -> Mapping[str, JSON]: ...

    @property
    def outputs(self) -> Mapping[str, JSON]: ...


@dataclass(frozen=True)
class Call:
    """One request to AWS; `action` is `rds:DescribeDBInstances`. `role` is the caller's ARN."""

    action: str
    resource: str
    region: str
    role: str


@dataclass(frozen=True)
class Rule:
    """One opening of a group, to or from a peer: another group, a prefix list, or a block of addresses.

    `ports` are the first and the last of TCP; a rule of every protocol has them all.
    """

    group: str
    egress: bool
    peer: str
    ports: tuple[int, int]

    def opens(self, group: str, peer: str, port: int, *, egress: bool) -> bool:
        first, last = self.ports
        return (self.group, self.peer, self.egress) == (group, peer, egress) and first <= port <= last


@dataclass(frozen=True)
class Endpoint:
    """`service` as actions name it; a gateway has route tables, an interface groups."""

    vpc: str
    service: str
    region: str
    groups: tuple[str, ...]
    tables: tuple[str, ...]
    prefix_list: str | None
    policy: JSON


@dataclass(frozen=True)
class Function:
    role: str
    region: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Reach:
    """All of a deployment that a packet or a request would meet."""

    functions: Mapping[str, Function]
    rules: frozenset[Rule]
    endpoints: tuple[Endpoint, ...]
    vpc_of: Mapping[str, str]
    """a subnet's"""
    table_of: Mapping[str, str]
    """a subnet's"""

    def refuses(self, function: str, call: Call) -> str | None:
        """Return what keeps a function from a call; None when it gets through.

        A call that AWS makes for a function, such as RDS using a key, is not the function's.
        """
        of = self.functions[function]
        service = call.action.split(":")[0]
        if call.region != of.region:
            return f"no endpoint leads to {call.region}"
        vpcs = {self.vpc_of.get(subnet) for subnet in of.subnets}
        for endpoint in self.endpoints:
            if endpoint.service == service and {endpoint.vpc} == vpcs:
                return self._closed(of, endpoint) or _denied(endpoint.policy, call)
        return f"there is no endpoint of {service}"

    def connects(self, function: str, group: str, port: int) -> bool:
        """Tell whether a function can open a connection to whatever is in a group."""
        return self._open(self.functions[function].groups, (group,), port)

    def exposed(self, group: str) -> frozenset[str]:
        """Return every peer that a group lets in."""
        return frozenset(rule.peer for rule in self.rules if rule.group == group and not rule.egress)

    def _closed(self, of: Function, endpoint: Endpoint) -> str | None:
        if endpoint.tables:
            if any(self.table_of.get(subnet) not in endpoint.tables for subnet in of.subnets):
                return f"a subnet has no route to the gateway of {endpoint.service}"
            if not self._rule(of.groups, (endpoint.prefix_list or "",), HTTPS, egress=True):
                return f"its groups do not let it out to {endpoint.service}"
            return None
        if not self._open(of.groups, endpoint.groups, HTTPS):
            return f"its groups do not reach the endpoint of {endpoint.service}"
        return None

    def _open(self, sources: tuple[str, ...], targets: tuple[str, ...], port: int) -> bool:
        """Out of a group that the one has, and into a group that the other has."""
        return any(
            self._rule((source,), (target,), port, egress=True)
            and self._rule((target,), (source,), port, egress=False)
            for source in sources
            for target in targets
        )

    def _rule(self, groups: Iterable[str], peers: tuple[str, ...], port: int, *, egress: bool) -> bool:
        return any(
            rule.opens(group, peer, port, egress=egress)
            for rule in self.rules
            for group in groups
            for peer in peers
        )


def reach(resources: Iterable[Registered]) -> Reach:
    """Read a deployment from its registrations."""
    made = _Made()
    for resource in resources:
        if read := _READERS.get(resource.typ):
            read(made, resource.inputs, str(resource.outputs["id"]), resource.outputs)
    return Reach(made.functions, frozenset(made.rules), tuple(made.endpoints), made.vpc_of, made.table_of)


@dataclass
class _Made:
    functions: dict[str, Function] = field(default_factory=dict)
    rules: set[Rule] = field(default_factory=set)
    endpoints: list[Endpoint] = field(default_factory=list)
    vpc_of: dict[str, str] = field(default_factory=dict)
    table_of: dict[str, str] = field(default_factory=dict)


def _function(made: _Made, inputs: Mapping[str, JSON], _: str, __: Mapping[str, JSON]) -> None:
    network = inputs.get("vpcConfig") or {"subnetIds": [], "securityGroupIds": []}
    made.functions[f"{inputs['region']}/{inputs['name']}"] = Function(
        inputs["role"], inputs["region"], tuple(network["subnetIds"]), tuple(network["securityGroupIds"])
    )


def _subnet(made: _Made, inputs: Mapping[str, JSON], identifier: str, _: Mapping[str, JSON]) -> None:
    made.vpc_of[identifier] = inputs["vpcId"]


def _association(made: _Made, inputs: Mapping[str, JSON], _: str, __: Mapping[str, JSON]) -> None:
    made.table_of[inputs["subnetId"]] = inputs["routeTableId"]


def _opening(egress: bool) -> Any:
    def read(made: _Made, inputs: Mapping[str, JSON], _: str, __: Mapping[str, JSON]) -> None:
        peer = (
            inputs.get("referencedSecurityGroupId")
            or inputs.get("prefixListId")
            or inputs.get("cidrIpv4")
            or inputs["cidrIpv6"]
        )
        every = inputs["ipProtocol"] != "tcp"
        ports = (0, 65535) if every else (int(inputs["fromPort"]), int(inputs["toPort"]))
        made.rules.add(Rule(inputs["securityGroupId"], egress, peer, ports))

    return read


def _endpoint(made: _Made, inputs: Mapping[str, JSON], _: str, outputs: Mapping[str, JSON]) -> None:
    made.endpoints.append(
        Endpoint(
            vpc=inputs["vpcId"],
            service=inputs["serviceName"].rsplit(".", 1)[1],
            region=inputs["region"],
            groups=tuple(inputs.get("securityGroupIds", ())),
            tables=tuple(inputs.get("routeTableIds", ())),
            prefix_list=outputs.get("prefixListId"),
            policy=json.loads(inputs["policy"]),
        )
    )


_READERS: dict[str, Any] = {
    "aws:lambda/function:Function": _function,
    "aws:ec2/subnet:Subnet": _subnet,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _opening(egress=True),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _opening(egress=False),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
}


def _denied(policy: JSON, call: Call) -> str | None:
    """Return None if a policy allows the call: some statement does, and none denies it, on whatever condition."""
    about = [one for one in policy["Statement"] if _about(one, call)]
    if any(one["Effect"] == "Allow" and _met(one, call) for one in about) and not any(
        one["Effect"] == "Deny" for one in about
    ):
        return None
    return f"the endpoint's policy does not allow {call.action} on {call.resource}"


def _about(statement: Mapping[str, JSON], call: Call) -> bool:
    return (
        any(_like(call.action.lower(), action.lower()) for action in _listed(statement["Action"]))
        and any(_like(call.resource, resource) for resource in _listed(statement["Resource"]))
        and _meant(statement["Principal"], call.role)
    )


def _met(statement: Mapping[str, JSON], call: Call) -> bool:
    return all(
        _holds(operator, key, _listed(wanted), call.role)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _meant(principal: JSON, role: str) -> bool:
    account = role.split(":")[4]
    return principal == "*" or f"arn:aws:iam::{account}:root" in _listed(principal.get("AWS", ()))


def _holds(operator: str, key: str, wanted: Iterable[str], role: str) -> bool:
    """Decide the conditions that our endpoints' policies have; any other holds for nobody."""
    if (operator, key) == ("StringEquals", "aws:PrincipalAccount"):
        return role.split(":")[4] in wanted
    if (operator, key) == ("ArnLike", "aws:PrincipalArn"):
        return any(_like(role, pattern) for pattern in wanted)
    return False


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _listed(value: JSON) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
