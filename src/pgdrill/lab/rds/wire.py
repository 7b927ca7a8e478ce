"""The Query protocol of RDS, derived both ways from botocore's own service model.

Requests become typed dicts in boto3's input shape, dicts in boto3's output shape become XML, and an error
gets the code and status that the model gives it. Touches nothing but bytes.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from botocore.utils import parse_timestamp

NAMESPACE = "http://rds.amazonaws.com/doc/2014-10-31/"
Params = Mapping[str, list[str]]
Request = dict[str, Any]
Result = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

# The protocol's own parameters; a presigned request carries X-Amz-* too.
_ENVELOPE = re.compile(r"Action|Version|X-Amz-.*")


class RdsError(Exception):
    """What AWS would answer. `code` is the code on the wire, mostly without the model's "Fault"."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status or _statuses().get(code, 400)


@cache
def model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("rds")


@cache
def _statuses() -> dict[str, int]:
    """Return the HTTP status of every error code that the model knows."""
    errors = (model().shape_for(name).metadata.get("error", {}) for name in model().shape_names)
    return {error["code"]: error["httpStatusCode"] for error in errors if "code" in error}


def parse(action: str, params: Params) -> Request:
    """Return the request in boto3's input shape.

    Raises:
        RdsError: a parameter is unknown, missing or not of its type. RDS's own code for an unknown parameter
            is not documented, and boto3 refuses it before it is sent.
    """
    shape = model().operation_model(action).input_shape
    given = {name: values[-1] for name, values in params.items() if not _ENVELOPE.fullmatch(name)}
    if shape is None:
        return {}
    request: Request = _structure(shape, "", given)
    if given:
        raise RdsError("MalformedInput", f"Unknown parameter: {min(given)}")
    return request


def _value(shape: Shape, name: str, given: dict[str, str]) -> Any:
    """Take what belongs to `name` out of `given`; None when there is nothing."""
    if isinstance(shape, StructureShape):
        return _structure(shape, f"{name}.", given) if _has(name, given) else None
    if isinstance(shape, ListShape):
        return _list(shape, name, given)
    text = given.pop(name, None)
    return None if text is None else _scalar(shape.type_name, name, text)


def _structure(shape: StructureShape, prefix: str, given: dict[str, str]) -> Request:
    values = {name: _value(member, prefix + name, given) for name, member in shape.members.items()}
    for name in shape.required_members:
        if values.get(name) is None:
            raise RdsError("MissingParameter", f"The request must contain the parameter {prefix}{name}")
    return {name: value for name, value in values.items() if value is not None}


def _list(shape: ListShape, name: str, given: dict[str, str]) -> list[Any] | None:
    """Read `Name.<anything>.1`, `.2` ...: SDKs write the member's own name, others `member`.

    boto3 writes an empty list as the bare name with an empty value.
    """
    if given.pop(name, None) is not None:
        return []
    match = next((m for key in given if (m := re.match(rf"({re.escape(name)}\.\w+)\.\d+(\.|$)", key))), None)
    if match is None:
        return None
    values: list[Any] = []
    while _has(element := f"{match[1]}.{len(values) + 1}", given):
        values.append(_value(shape.member, element, given))
    return values


def _has(name: str, given: dict[str, str]) -> bool:
    return name in given or any(key.startswith(f"{name}.") for key in given)


def _scalar(kind: str, name: str, text: str) -> Any:
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "timestamp":
            return parse_timestamp(text).astimezone(UTC)
    except (ValueError, KeyError) as error:
        raise RdsError(
            "InvalidParameterValue", f"Invalid value {text!r} for {name}: not of type {kind}"
        ) from error
    return text


def success(action: str, result: Result) -> Response:
    """Return 200 and the result as XML. A key that the model does not know is a programmer's mistake."""
    shape = model().operation_model(action).output_shape
    wrapper = shape.serialization.get("resultWrapper", f"{action}Result") if shape else ""
    answer = _element(shape, wrapper, result) if shape else ""
    request_id = str(uuid.uuid4())
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return _document(200, request_id, f"{action}Response", answer + metadata)


def failure(error: RdsError) -> Response:
    kind = "Sender" if error.status < 500 else "Receiver"
    told = {"Type": kind, "Code": error.code, "Message": error.message}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in told.items())
    request_id = str(uuid.uuid4())
    body = f"<Error>{inner}</Error><RequestId>{request_id}</RequestId>"
    return _document(error.status, request_id, "ErrorResponse", body)


def _document(status: int, request_id: str, root: str, body: str) -> Response:
    text = f'<?xml version="1.0" encoding="utf-8"?><{root} xmlns="{NAMESPACE}">{body}</{root}>'
    return status, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}, text.encode()


def _element(shape: Shape, name: str, value: Any) -> str:
    """Return a value as an element. Text, not a tree: a region with a month's snapshots is a megabyte of it."""
    if isinstance(shape, StructureShape):
        unknown = value.keys() - shape.members.keys()
        if unknown:
            raise ValueError(f"{shape.name} has no member {min(unknown)!r}")
        inner = "".join(
            _element(member, tag, value[key])
            for key, tag, member in _members(shape)
            if value.get(key) is not None
        )
    elif isinstance(shape, ListShape):
        tag = shape.member.serialization.get("name", "member")
        inner = "".join(_element(shape.member, tag, item) for item in value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    elif isinstance(value, datetime):
        inner = timestamp(value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


@cache
def _members(shape: StructureShape) -> list[tuple[str, str, Shape]]:
    """Return of each member its name in boto3, its name on the wire, and its shape."""
    return [(key, member.serialization.get("name", key), member) for key, member in shape.members.items()]


def timestamp(moment: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds, as RDS writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
