"""What drills have shown to be bad, by kind of point: one rule for the watch's alarm and for what `status` says. Pure."""

from collections.abc import Mapping
from datetime import datetime


def after(
    failed: Mapping[str, datetime], kind: str, recovers_to: datetime, *, passed: bool
) -> dict[str, datetime]:
    """Return the newest bad data of each kind once a point passed or failed; an older one that passes mends nothing."""
    bad = max(failed.get(kind, recovers_to), recovers_to)
    if not passed:
        return {**failed, kind: bad}
    mended = {kind} if bad == recovers_to else set[str]()
    return {each: moment for each, moment in failed.items() if each not in mended}
