"""Calls to AWS in one region, their arguments shaped after botocore's own models.

A property of a Pulumi resource and a member of an API's structure differ in the case of letters, mostly; whatever
has no member of its name is refused, at any depth, so that nothing is dropped in silence.
"""

import threading
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from pgdrill.model import JSON

Clients = Callable[[str, str], Any]


class UnknownProperty(Exception):
    """A property that the API has no member for; the text is its path."""


def clients(endpoint: str) -> Clients:
    """Return `(service, region) -> client`, for use in any thread."""
    session = boto3.session.Session("test", "test")
    made: dict[tuple[str, str], Any] = {}
    lock = threading.Lock()  # a boto3 session is not thread-safe; its clients are

    def client(service: str, region: str) -> Any:
        with lock:
            if (service, region) not in made:
                made[service, region] = session.client(
                    service,  # type: ignore[call-overload] # the caller's choice
                    region_name=region,
                    endpoint_url=endpoint,
                    config=Config(
                        proxies={},
                        max_pool_connections=16,
                        read_timeout=120,
                        retries={"mode": "standard", "total_max_attempts": 1},
                        s3={"addressing_style": "path"},
                    ),
                )
            return made[service, region]

    return client


class Aws:
    """One region."""

    def __init__(self, clients: Clients, region: str) -> None:
        self._clients = clients
        self.region = region

    def client(self, service: str) -> Any:
        return self._clients(service, self.region)

    def call(self, service: str, operation: str, given: dict[str, Any]) -> Any:
        """Call an operation with properties that are named as in Pulumi.

        Raises:
            UnknownProperty: the operation has no such member.
        """
        client = self.client(service)
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
        shaped = _shaped(model.input_shape, given, "") if model.input_shape else {}
        return getattr(client, operation)(**shaped)


def _shaped(shape: Any, value: JSON, path: str) -> JSON:
    match shape.type_name:
        case "structure":
            members = {name.lower(): name for name in shape.members}
            made = {}
            for key, inner in value.items():
                where = f"{path}.{key}" if path else key
                name = members.get(key.lower())
                if name is None:
                    raise UnknownProperty(where)
                if inner is not None:
                    made[name] = _shaped(shape.members[name], inner, where)
            return made
        case "list":
            items = value if isinstance(value, list) else [value]  # Pulumi makes one of what is at most one
            return [_shaped(shape.member, item, f"{path}[{number}]") for number, item in enumerate(items)]
        case "map":
            return {key: _shaped(shape.value, inner, f"{path}.{key}") for key, inner in value.items()}
        case "integer" | "long":
            return int(value)  # every number of Pulumi's is a float
        case _:
            return value
