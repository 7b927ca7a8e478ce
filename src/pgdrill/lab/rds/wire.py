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
from xml.etree import ElementTree as ET

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
    root = ET.Element(f"{action}Response", xmlns=NAMESPACE)
    if shape is not None:
        _write(
            shape, ET.SubElement(root, shape.serialization.get("resultWrapper", f"{action}Result")), result
        )
    return _document(200, root)


def failure(error: RdsError) -> Response:
    root = ET.Element("ErrorResponse", xmlns=NAMESPACE)
    inner = ET.SubElement(root, "Error")
    kind = "Sender" if error.status < 500 else "Receiver"
    for name, text in {"Type": kind, "Code": error.code, "Message": error.message}.items():
        ET.SubElement(inner, name).text = text
    return _document(error.status, root)


def _document(status: int, root: ET.Element) -> Response:
    request_id = str(uuid.uuid4())
    where = root if root.tag == "ErrorResponse" else ET.SubElement(root, "ResponseMetadata")
    ET.SubElement(where, "RequestId").text = request_id
    body = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return status, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}, body


def _write(shape: Shape, element: ET.Element, value: Any) -> None:
    if isinstance(shape, StructureShape):
        unknown = value.keys() - shape.members.keys()
        if unknown:
            raise ValueError(f"{shape.name} has no member {min(unknown)!r}")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                _write(member, ET.SubElement(element, member.serialization.get("name", name)), value[name])
    elif isinstance(shape, ListShape):
        for item in value:
            _write(
                shape.member, ET.SubElement(element, shape.member.serialization.get("name", "member")), item
            )
    elif isinstance(value, bool):
        element.text = str(value).lower()
    elif isinstance(value, datetime):
        element.text = timestamp(value)
    else:
        element.text = str(value)


def timestamp(moment: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds, as RDS writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
