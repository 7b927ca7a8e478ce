"""Whether RDS can use the key that something is encrypted with, or is to be. Asks KMS, through `neighbours` alone."""

from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError


def check(state: State, region: str, key: str | None) -> None:
    """See that RDS of a region can use a key, unless there is none.

    Raises:
        RdsError: it is not there, not enabled, or another region's.
    """
    if not usable(state, region, key):
        raise RdsError(
            "KMSKeyNotAccessibleFault",
            f"The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access"
            " it.",
        )


def usable(state: State, region: str, key: str | None) -> bool:
    """Tell whether RDS can use a key; what AWS manages is always there, and so is no key at all."""
    if key is None:
        return True
    if key.startswith("arn:") and key.split(":")[3] != region:
        return False
    return key.rpartition(":")[2].startswith("alias/aws/") or state.neighbours.key_usable(region, key)
