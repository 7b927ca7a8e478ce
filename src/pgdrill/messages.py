"""What a step tells the outside, as plain data; whoever called the step publishes it. No I/O.

A function has no way to reach CloudWatch, EventBridge or SNS: its reply travels back to a state machine, which has.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from pgdrill.errors import DrillError
from pgdrill.model import Model

Unit = Literal["Seconds", "Count", "Percent"]


class Level(StrEnum):
    """ALARM wants a person, WARNING one in working hours, NOTE nobody."""

    ALARM = "alarm"
    WARNING = "warning"
    NOTE = "note"


class Kind(StrEnum):
    """What a message is about, which is the topic that it goes to."""

    BACKUPS = "backups"
    DRILLS = "drills"


class Metric(Model):
    """One datum. Dimensions name the thing it is about: `Suffix`, `Region`, `Database`."""

    name: str
    value: float
    unit: Unit
    dimensions: dict[str, str] = Field(default_factory=dict)


class Event(Model):
    """Something that happened to one thing. `detail` holds names, times and numbers, never a row or a secret."""

    kind: str
    subject: str
    detail: dict[str, str | int | float | None] = Field(default_factory=dict)


class Message(Model):
    """A sentence for a person, and what to look at next. `topic` is stable, for filters and runbooks."""

    level: Level
    kind: Kind = Kind.BACKUPS
    topic: str
    text: str
    hint: str = ""

    @classmethod
    def of(
        cls, topic: str, error: DrillError, level: Level = Level.ALARM, kind: Kind = Kind.BACKUPS
    ) -> "Message":
        return cls(level=level, kind=kind, topic=topic, text=error.message, hint=error.hint)


class Reply(Model):
    metrics: tuple[Metric, ...] = ()
    events: tuple[Event, ...] = ()
    messages: tuple[Message, ...] = ()

    def __add__(self, other: "Reply") -> "Reply":
        return Reply(
            metrics=self.metrics + other.metrics,
            events=self.events + other.events,
            messages=self.messages + other.messages,
        )
