"""What RDS refuses, as errors for the person at 3 a.m.; pure translation, no call.

A code or a status that says "not now" becomes Unavailable, which is tried again; any other says that the request is wrong.
"""

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import DrillError, NotRunnable, Unavailable

_LATER = frozenset(
    {
        "InvalidDBInstanceState",
        "InvalidDBSnapshotState",
        "InsufficientDBInstanceCapacity",
        "ThrottlingException",
    }
    | {"Throttling", "RequestLimitExceeded", "InternalFailure", "ServiceUnavailable", "InternalError"}
)
SERVER_ERROR = 500
_HINTS = {
    "AccessDenied": "the role lacks a permission; docs/permissions.md lists what each step calls",
    "InstanceQuotaExceeded": "delete instances that are not needed or raise the quota of DB instances in this region",
    "StorageQuotaExceeded": "raise the quota of total storage for DB instances in this region",
    "SnapshotQuotaExceeded": "make room, or raise the quota L-272F1212 in this region: pgdrill point retain",
    "KMSKeyNotAccessibleFault": "enable the snapshot's key and allow this role DescribeKey and CreateGrant on it",
    "DBSubnetGroupNotFoundFault": "check place.subnet_group of this region in the plan",
    "DBParameterGroupNotFound": "check place.parameter_group of this region in the plan",
    "DBSnapshotNotFound": "list what there is with: pgdrill point list",
    "DBInstanceNotFound": "check the database's `instance` in the plan",
}


def code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def translated(verb: str, what: str, error: ClientError) -> DrillError:
    known = code(error)
    message = f"cannot {verb} {what!r}: {known}: {error.response['Error'].get('Message', '')}".rstrip(": ")
    if known in _LATER or down(error):
        return Unavailable(message, hint="RDS may accept the same call later; it is retried")
    return NotRunnable(message, hint=_HINTS.get(known, "see the RDS API reference for this error code"))


def not_told(what: str, where: str, error: ClientError | BotoCoreError) -> DrillError:
    """Return why something could not be published: it may be refused for good, or for the moment."""
    known = code(error) if isinstance(error, ClientError) else type(error).__name__
    message = f"cannot tell {what} to {where!r}: {known}"
    if isinstance(error, ClientError) and known not in _LATER and not down(error):
        return NotRunnable(
            message, hint="check bus and topics in the plan, and that this role may publish to them"
        )
    return Unavailable(message, hint="the same call may pass later")


def down(error: BaseException | None) -> bool:
    """Tell whether a service did not answer, or answered with an HTTP status alone that it is down."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status >= SERVER_ERROR
    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)


def unreachable(verb: str, what: str, error: BotoCoreError) -> Unavailable:
    return Unavailable(
        f"cannot {verb} {what!r}: {type(error).__name__}",
        hint="check that RDS is reachable from here: its endpoint, AWS_ENDPOINT_URL, credentials, region",
    )
