"""A plan as small as can be, for tests."""

from typing import Any

from pgdrill.plan import Plan

SMALL: dict[str, Any] = {
    "stack": {"suffix": "lab", "evidence_bucket": "evidence", "mac_key": "alias/mac"},
    "tags": {"Environment": "test", "Owner": "dba", "CostCenter": "42"},
    "database": [{"name": "shop", "instance": "shop-production", "secret": "pgdrill/shop"}],
    "drill": {
        "subnet_group": "drill-subnets",
        "security_groups": ["sg-1"],
        "parameter_group": "drill-parameters",
    },
}


def plan(**changes: Any) -> Plan:
    """Return the small plan with some of its sections replaced."""
    return Plan.model_validate(SMALL | changes)
