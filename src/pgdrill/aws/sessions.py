"""Makes the boto3 sessions that all clients of pgdrill come from. Calls nothing.

A region with two hundred databases tells a hundred thousand times in one look. Botocore takes thirty microseconds for
each, which is more than all else of reading an answer takes; Python's own parser takes less than one.
"""

from datetime import datetime
from typing import Any

import boto3
import botocore.session
from botocore.utils import parse_timestamp


def session() -> boto3.session.Session:
    """Return a session by the process's environment, as boto3 makes one."""
    core = botocore.session.Session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=timestamp)
    return boto3.session.Session(botocore_session=core)


def timestamp(value: Any) -> datetime:
    """Return what botocore returns: times by ISO 8601 with a zone are read here, all others by botocore."""
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if read.tzinfo is not None:
                return read
    return parse_timestamp(value)
