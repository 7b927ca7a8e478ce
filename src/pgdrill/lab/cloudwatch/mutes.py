"""When an alarm mute rule holds alarms' actions back. Pure: no clock, no storage.

What a muted alarm would have told is told when the time is over, if it still stands as it did not before.

Source: CloudWatch User Guide, "Alarm mute rules"; CloudWatch API reference, PutAlarmMuteRule.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill.lab.cloudwatch.metrics import Unknown

MOST_ALARMS = 100
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=15)
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2})\)")
_DURATION = re.compile(r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?)?")


@dataclass(frozen=True)
class Mute:
    """The alarms of these names do not act from `begins` until `ends`, seconds since 1970."""

    names: frozenset[str]
    begins: float
    ends: float

    def holds(self, name: str, at: float) -> bool:
        return name in self.names and self.begins <= at < self.ends


def mute(rule: Mapping[str, Any]) -> Mute:
    """Return what a request of PutAlarmMuteRule asks for; its times are seconds since 1970.

    Raises:
        Unknown: AWS refuses it, or the lab mutes nothing of that kind.
    """
    schedule, names = rule["Rule"]["Schedule"], (rule.get("MuteTargets") or {}).get("AlarmNames") or []
    begins = _AT.fullmatch(schedule["Expression"])
    if begins is None or schedule.get("Timezone", "UTC") != "UTC" or rule.get("StartDate"):
        raise Unknown(f"the lab mutes once, at(...) in UTC, not {schedule['Expression']}")
    lasts = _DURATION.fullmatch(schedule["Duration"])
    if lasts is None:
        raise Unknown(f"{schedule['Duration']!r} is no duration, such as PT2H")
    days, hours, minutes = (int(part or 0) for part in lasts.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes)
    if not SHORTEST <= length <= LONGEST:
        raise Unknown(f"alarms are muted for a minute to 15 days, not {length}")
    if len(names) > MOST_ALARMS:
        raise Unknown(f"a rule mutes {MOST_ALARMS} alarms at most, not {len(names)}")
    first = datetime.fromisoformat(begins[1]).replace(tzinfo=UTC).timestamp()
    last = first + length.total_seconds()
    return Mute(frozenset(names), first, min(last, float(rule.get("ExpireDate") or last)))
