"""Clients of AWS that the lab's daemon has for itself, which share what botocore reads of AWS's services.

A session of boto3's own reads and parses some megabytes of JSON anew, and the daemon has a session for every role.
"""

import os
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.loaders import Loader


def client(name: str, region: str, key: str, secret: str, token: str, **config: Any) -> Any:
    """Return a client of the lab with these credentials; an empty token is none."""
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    return session.create_client(
        name,
        region_name=region,
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token or None,
        config=Config(proxies={}, **config),
    )


@cache
def _loader() -> Loader:
    return Loader()
