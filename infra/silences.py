"""Maintenance: times in which CloudWatch mutes all alarms of a cell, told to both topics when they begin and end.

The end is part of the mute rule: nothing has to happen for alarms to speak again, and what still stands is told then.
Source: CloudWatch User Guide, "Alarm mute rules".
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.messages import Kind, Level, Message, Reply
from pgdrill.sections import Silence
from schedules import Starter
from settings import Settings
from tagging import tags

# Source: CloudWatch API reference, PutAlarmMuteRule.
MOST = 100
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Silences(pulumi.ComponentResource):
    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        *,
        silences: Sequence[Silence],
        now: datetime,
        alarms: Sequence[str],
        starter: Starter,
        publish: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Mute `alarms`, by name, which are there; `publish` is the machine that tells, and `starter` starts it."""
        super().__init__("pgdrill:cell:Silences", name, None, opts)
        self._name, self._settings, self._names = name, settings, names
        self._inside = pulumi.ResourceOptions(parent=self)
        for silence in silences:
            self._mute(silence, alarms)
            for what, moment, reply in told(silence, names.region):
                if moment > now:
                    thing = f"{_thing(silence)}-{what}"
                    starter.schedule(
                        f"{name}-{thing}",
                        names.thing(thing),
                        f"at({_utc(moment):%Y-%m-%dT%H:%M:%S})",
                        publish,
                        {"reply": reply.model_dump(mode="json")},
                        late=HOUR,
                        tries=10,
                        opts=self._inside,
                    )
        self.register_outputs({})

    def _mute(self, silence: Silence, alarms: Sequence[str]) -> None:
        rule: Any = {"schedule": schedule(silence)}
        for number, first in enumerate(range(0, len(alarms), MOST), start=1):
            thing = f"{_thing(silence)}-{number}"
            aws.cloudwatch.AlarmMuteRule(
                f"{self._name}-{thing}",
                name=self._names.thing(thing),
                description=silence.reason[:1024],
                rule=rule,
                mute_targets={"alarm_names": list(alarms[first : first + MOST])},
                expire_date=_utc(silence.ends).strftime("%Y-%m-%dT%H:%M:%SZ"),
                region=self._names.region,
                tags=tags(self._settings, self._names.thing(thing)),
                opts=self._inside,
            )


def ahead(settings: Settings, now: datetime) -> list[Silence]:
    """Return the silences that are not over."""
    return [silence for silence in settings.notify.silences if silence.ends > now]


def schedule(silence: Silence) -> dict[str, str]:
    minutes = (silence.ends - silence.begins) // MINUTE
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    time = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count)
    return {
        "expression": f"at({_utc(silence.begins):%Y-%m-%dT%H:%M})",
        "duration": "P" + (f"{days}D" if days else "") + (f"T{time}" if time else ""),
        "timezone": "UTC",
    }


def told(silence: Silence, region: str) -> Iterator[tuple[str, datetime, Reply]]:
    """Yield what is told when: that the alarms fall silent, and that they speak again."""
    until = f"{_utc(silence.ends):%Y-%m-%d %H:%M} UTC"
    begun = f"no alarm of {region} is told until {until}: {silence.reason}"
    over = f"the alarms of {region} are told again; what still stands is told now. They were silent for: {silence.reason}"
    yield "begins", silence.begins, _to_both(Level.WARNING, "silence begins", begun)
    yield "ends", silence.ends, _to_both(Level.REPORT, "silence ends", over)


def _to_both(level: Level, topic: str, text: str) -> Reply:
    return Reply(messages=tuple(Message(level=level, kind=kind, topic=topic, text=text) for kind in Kind))


def _thing(silence: Silence) -> str:
    return f"silence-{digest(silence)}"


def digest(silence: Silence) -> str:
    return hashlib.sha256(silence.model_dump_json().encode()).hexdigest()[:8]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
