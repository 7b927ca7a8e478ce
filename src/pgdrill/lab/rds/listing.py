"""What all Describe actions share: pages, filters, names. Plain functions on requests."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pgdrill.lab.rds.wire import RdsError, Request, Result

T = TypeVar("T")

_IDENTIFIER = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")


def identifier(request: Request, name: str, *, longest: int = 63) -> str:
    """Return a new thing's identifier in lower case, as RDS stores it.

    Raises:
        RdsError: it breaks RDS's rules for identifiers.
    """
    value = str(request[name])
    if len(value) > longest or not _IDENTIFIER.fullmatch(value):
        raise RdsError(
            "InvalidParameterValue",
            f"The parameter {name} is not a valid identifier. Identifiers must begin with a letter; must contain"
            " only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive"
            f" hyphens. It must have at most {longest} characters.",
        )
    return value.lower()


def group_name(request: Request, name: str) -> str:
    value = str(request[name])
    if not re.fullmatch(r"[A-Za-z0-9 ._-]{1,255}", value):
        raise RdsError("InvalidParameterValue", f"The parameter {name} is not a valid name: {value!r}")
    return value.lower()


def name_of(value: str) -> str:
    """Return the identifier in an ARN or the identifier itself, in lower case."""
    return (value.split(":", 6)[6] if value.startswith("arn:") else value).lower()


def filtered(request: Request, items: Sequence[T], filters: dict[str, Callable[[T], str]]) -> list[T]:
    """Keep the items that match every filter of the request by any of its values.

    Raises:
        RdsError: RDS has no such filter.
    """
    chosen = list(items)
    for given in request.get("Filters", []):
        read = filters.get(given["Name"])
        if read is None:
            raise RdsError("InvalidParameterValue", f"Unrecognized filter name: {given['Name']}")
        values = {name_of(value) for value in given["Values"]}
        chosen = [item for item in chosen if read(item).lower() in values]
    return chosen


def page(request: Request, name: str, items: Sequence[T], show: Callable[[T], Any]) -> Result:
    """Return one page of `items` under `name`, with the marker of the next.

    Raises:
        RdsError: MaxRecords is not in 20..100, or the marker is none of ours.
    """
    size = request.get("MaxRecords", 100)
    if not 20 <= size <= 100:
        raise RdsError(
            "InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and 100"
        )
    start = _decoded(request["Marker"]) if request.get("Marker") else 0
    result: Result = {name: [show(item) for item in items[start : start + size]]}
    if start + size < len(items):
        result["Marker"] = base64.urlsafe_b64encode(f"from:{start + size}".encode()).decode()
    return result


def _decoded(marker: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(marker).removeprefix(b"from:"))
    except (ValueError, binascii.Error) as error:
        raise RdsError(
            "InvalidParameterValue", f"The request cannot be processed: Marker {marker!r} is invalid"
        ) from error


def shown_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def given_tags(request: Request) -> dict[str, str]:
    """Return the request's tags.

    Raises:
        RdsError: a key is AWS's own, too long, or given twice.
    """
    tags: dict[str, str] = {}
    for tag in request.get("Tags", []):
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if key.lower().startswith("aws:"):
            raise RdsError(
                "InvalidParameterValue", f"Tag keys cannot start with the reserved prefix 'aws:': {key}"
            )
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise RdsError(
                "InvalidParameterValue", f"Tag {key!r}: a key has 1 to 128 characters, a value up to 256"
            )
        if key in tags:
            raise RdsError("InvalidParameterValue", f"Duplicate tag keys found: {key}")
        tags[key] = value
    return tags
