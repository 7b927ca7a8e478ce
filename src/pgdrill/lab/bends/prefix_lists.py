"""The emulator forgets the prefix lists of a group's rule, and keeps a rule that leads nowhere; AWS keeps them.

The way from a function to S3 is such a rule, so what is reachable could not be read without it.

Source: EC2 API, IpPermission.
"""

from typing import Any

from ministack.services import ec2

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

Params = dict[str, list[str]]


def apply(_: Rds) -> None:
    graft(ec2, "_parse_ip_permissions(params, prefix)", _with_prefix_lists)


def _with_prefix_lists(original: Function) -> Function:
    def parse_ip_permissions(params: Params, prefix: str) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = original(params, prefix)
        for number, rule in enumerate(rules, start=1):
            rule["PrefixListIds"] = _listed(params, f"{prefix}.{number}.PrefixListIds")
        return rules

    return parse_ip_permissions


def _listed(params: Params, prefix: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while given := params.get(f"{prefix}.{len(found) + 1}.PrefixListId"):
        described = params.get(f"{prefix}.{len(found) + 1}.Description")
        found.append({"PrefixListId": given[-1], **({"Description": described[-1]} if described else {})})
    return found
