"""Tags of everything that has an ARN: instances, snapshots, subnet groups, parameter groups."""

from typing import Any

from pgdrill.lab.rds import listing
from pgdrill.lab.rds.records import Record, Table
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result

_MISSING = {
    "db": "DBInstanceNotFound",
    "snapshot": "DBSnapshotNotFound",
    "subgrp": "DBSubnetGroupNotFoundFault",
    "pg": "DBParameterGroupNotFound",
}


def listed(state: State, region: str, request: Request) -> Result:
    """ListTagsForResource."""
    _, record = _resource(state, region, request["ResourceName"])
    return {"TagList": listing.shown_tags(record.tags)}


def add(state: State, region: str, request: Request) -> Result:
    """AddTagsToResource."""
    table, record = _resource(state, region, request["ResourceName"])
    table.put(record.model_copy(update={"tags": record.tags | listing.given_tags(request)}))
    return {}


def remove(state: State, region: str, request: Request) -> Result:
    """RemoveTagsFromResource."""
    table, record = _resource(state, region, request["ResourceName"])
    kept = {key: value for key, value in record.tags.items() if key not in request["TagKeys"]}
    table.put(record.model_copy(update={"tags": kept}))
    return {}


def _resource(state: State, region: str, arn: str) -> tuple[Table[Any], Record]:
    parts = arn.split(":", 6)
    tables: dict[str, Table[Any]] = {
        "db": state.instances,
        "snapshot": state.snapshots,
        "subgrp": state.subnet_groups,
        "pg": state.parameter_groups,
    }
    if len(parts) != 7 or parts[:3] != ["arn", "aws", "rds"] or parts[3] != region or parts[5] not in tables:
        raise RdsError("InvalidParameterValue", f"Invalid resource name: {arn}")
    record = tables[parts[5]].get(region, parts[6].lower())
    if record is None:
        raise RdsError(_MISSING[parts[5]], f"{arn} not found.")
    return tables[parts[5]], record
