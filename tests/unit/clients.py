"""Clients of botocore that answer from a script and open no socket."""

from typing import Any

import boto3
from botocore.stub import Stubber

REGION = "ap-southeast-1"


# One session, since it is the reading of a service's model that takes long.
_SESSION = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


def scripted(service: str) -> tuple[Any, Stubber]:
    """Return a client and the script it answers from; botocore validates both against the service's model."""
    made: Any = _SESSION.client(service)  # type: ignore[call-overload]
    stubber = Stubber(made)
    stubber.activate()
    return made, stubber
