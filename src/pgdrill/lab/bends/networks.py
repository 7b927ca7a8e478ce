"""The emulator forgets an endpoint's policy, groups and private DNS, and a flow log's role and tags; AWS tells them.

What a function can reach follows from them, so what was deployed has to be there to be read. Nothing is enforced.

Source: EC2 API, VpcEndpoint and FlowLog.
"""

import re
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

Params = dict[str, list[str]]
Answer = tuple[int, dict[str, str], bytes]


def apply(_: Rds) -> None:
    graft(ec2, "_vpce_fields_xml(ep, tag)", _telling)
    for action, signature, wrapper in (
        ("CreateVpcEndpoint", "_create_vpc_endpoint(p)", _created),
        ("ModifyVpcEndpoint", "_modify_vpc_endpoint(p)", _modified),
        ("CreateFlowLogs", "_create_flow_logs(params)", _logged),
        ("DescribeFlowLogs", "_describe_flow_logs(params)", _described),
    ):
        graft(ec2, signature, wrapper)
        ec2._ACTION_MAP[action] = getattr(ec2, signature.partition("(")[0])  # noqa: SLF001 # where it finds its actions


# ------------------------------------------------------------------------------------------------- endpoints


def _created(original: Function) -> Function:
    def create_vpc_endpoint(p: Params) -> Answer:
        status, headers, body = original(p)
        found = re.search(rb"<vpcEndpointId>([^<]+)<", body)
        if found:
            endpoint = ec2._vpc_endpoints[found[1].decode()]  # noqa: SLF001
            endpoint["Groups"] = _members(p, "SecurityGroupId")
            _set(endpoint, p)
        return status, headers, body

    return create_vpc_endpoint


def _modified(original: Function) -> Function:
    def modify_vpc_endpoint(p: Params) -> Answer:
        answer: Answer = original(p)
        endpoint = ec2._vpc_endpoints.get(_one(p, "VpcEndpointId"))  # type: ignore[no-untyped-call] # noqa: SLF001
        if endpoint is not None:
            gone = _members(p, "RemoveSecurityGroupId")
            kept = [group for group in endpoint.get("Groups", []) if group not in gone]
            endpoint["Groups"] = kept + _members(p, "AddSecurityGroupId")
            _set(endpoint, p)
        return answer

    return modify_vpc_endpoint


def _set(endpoint: dict[str, Any], p: Params) -> None:
    for name in ("PolicyDocument", "PrivateDnsEnabled"):
        if (value := _one(p, name)) is not None:
            endpoint[name] = value


def _telling(original: Function) -> Function:
    def vpce_fields_xml(ep: dict[str, Any], tag: str = "item") -> str:
        groups = "".join(f"<item><groupId>{group}</groupId></item>" for group in ep.get("Groups", []))
        more = f"<groupSet>{groups}</groupSet>"
        more += f"<privateDnsEnabled>{ep.get('PrivateDnsEnabled', 'false')}</privateDnsEnabled>"
        if "PolicyDocument" in ep:
            more += f"<policyDocument>{escape(ep['PolicyDocument'])}</policyDocument>"
        head, end, tail = original(ep, tag).rpartition(f"</{tag}>")
        return f"{head}{more}{end}{tail}"

    return vpce_fields_xml


# ------------------------------------------------------------------------------------------------- flow logs

_KEPT = {
    "DeliverLogsPermissionArn": "deliverLogsPermissionArn",
    "MaxAggregationInterval": "maxAggregationInterval",
    "LogFormat": "logFormat",
}


def _logged(original: Function) -> Function:
    def create_flow_logs(params: Params) -> Answer:
        given = {name: ["flow-log"] if value == ["vpc-flow-log"] else value for name, value in params.items()}
        status, headers, body = original(given)
        for identity in re.findall(rb"<item>(fl-[^<]+)<", body):
            log = ec2._flow_logs[identity.decode()]  # noqa: SLF001
            log |= {name: value for name in _KEPT if (value := _one(params, name)) is not None}
        return status, headers, body

    return create_flow_logs


def _described(original: Function) -> Function:
    def more(found: re.Match[bytes]) -> bytes:
        log = ec2._flow_logs[found[1].decode()]  # noqa: SLF001
        told = "".join(
            f"<{element}>{escape(log[name])}</{element}>" for name, element in _KEPT.items() if name in log
        )
        return found[0] + told.encode()

    def describe_flow_logs(params: Params) -> Answer:
        status, headers, body = original(params)
        return status, headers, re.sub(rb"<flowLogId>([^<]+)</flowLogId>", more, body)

    return describe_flow_logs


def _one(p: Params, name: str) -> str | None:
    return p[name][-1] if p.get(name) else None


def _members(p: Params, name: str) -> list[str]:
    found: list[str] = ec2._parse_member_list(p, name)  # type: ignore[no-untyped-call] # noqa: SLF001
    return found
