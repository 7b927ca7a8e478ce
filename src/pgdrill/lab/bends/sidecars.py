"""The emulator writes all versions of an object anew with each; here it does so once, when the lab is kept.

No difference to AWS that a client could see, and none to a lab that is kept: what an object's versions are is written
down beside it when the daemon ends in order. Otherwise an object that is overwritten every few minutes costs the more,
the longer a lab lives.
"""

from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import s3

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

# Account, bucket and key of what was written, in the order of the last writing.
_unwritten: dict[tuple[str, str, str], None] = {}
_writing = False


def apply(_: Rds) -> None:
    graft(s3, "_key_history_meta(bucket_name, key)", _later)


def write() -> None:
    """Write what was left until now."""
    global _writing  # noqa: PLW0603 # the daemon is one, and ends once
    _writing = True
    region = get_region()
    for account, bucket_name, key in _unwritten:
        with request_scope(account, region):
            bucket = s3._buckets.get(bucket_name)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own functions do
            if bucket is not None:
                s3._persist_version_state(bucket_name, key, bucket)  # noqa: SLF001 # as above
    _unwritten.clear()


def _later(original: Function) -> Function:
    def key_history_meta(bucket_name: str, key: str) -> dict[str, Any]:
        if _writing:
            written: dict[str, Any] = original(bucket_name, key)
            return written
        _unwritten[get_account_id(), bucket_name, key] = None
        return {}

    return key_history_meta
