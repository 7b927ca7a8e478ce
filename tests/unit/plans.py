"""A plan as small as can be, for tests."""

from typing import Any

from pgdrill.plan import Plan


def _cell(region: str) -> dict[str, Any]:
    place = {
        "subnet_group": "drill-subnets",
        "security_groups": ["sg-1"],
        "parameter_group": "drill-parameters",
    }
    keys = {"mac_key": "alias/mac", "storage_key": "alias/storage"}
    return {"region": region, "evidence_bucket": f"evidence-{region}", **keys, "place": place}


SMALL: dict[str, Any] = {
    "stack": {"suffix": "lab"},
    "tags": {"Environment": "test", "Owner": "dba", "CostCenter": "42"},
    "database": [{"name": "shop", "instance": "shop-production", "secret": "pgdrill/shop"}],
    "primary": _cell("ap-southeast-1"),
    "dr": _cell("ap-northeast-1"),
}


def plan(**changes: Any) -> Plan:
    """Return the small plan with some of its sections replaced."""
    return Plan.model_validate(SMALL | changes)
