"""What a step tells the outside, as plain data; whoever called the step publishes it. No I/O.

A function has no way to reach CloudWatch, EventBridge or SNS: its reply travels back to a state machine, which has.
"""

from enum import StrEnum
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field

from pgdrill.errors import DrillError
from pgdrill.model import Model

Unit = Literal["Seconds", "Count", "Percent", "Bytes", "Gigabytes", "None"]

# Source: SNS API reference, MessageAttributeValue, and "Amazon SNS message attributes".
AttributeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]

# Room for the message that a reply was cut, and for the names around its three lists.
_CUT_BYTES = 512


class Level(StrEnum):
    """ALARM wants a person, WARNING one in working hours; REPORT tells of what went well, NOTE is for the log alone."""

    ALARM = "alarm"
    WARNING = "warning"
    REPORT = "report"
    NOTE = "note"


URGENT = frozenset({Level.ALARM, Level.WARNING})

# What a round says again for as long as it lasts, and the alarm that stands behind it: that one is told once, is muted
# by rules, and says when it is over. So a function leaves these to it, by their topics; a command says them. What is not
# deleted fills the quota.
ALARMED = {
    "copies late": "copy-waiting",
    "other cell silent": "other-cell-silent",
    "inventory not told": "other-cell-silent",
    "inventory not replicated": "other-cell-silent",
    "retention shortened": "retention-shortened",
    "quota exhausted": "quota-near",
    "point not deleted": "quota-near",
    "exports not tended": "export-late",
    "export not started": "export-late",
    "export late": "export-late",
    "instance reaped": "reaper-acted",
    "instance not reaped": "reaper-failed",
}


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


# SQS takes ten attributes of a message that is delivered as it is; `level` and `topic` are two of them.
MOST_ATTRIBUTES = 8


class Message(Model):
    """A sentence for a person, and what to look at next. `topic` is stable, for filters and runbooks.

    `attributes` are what a subscription can filter on besides level and topic: texts, and whole numbers to compare with.
    """

    level: Level
    kind: Kind = Kind.BACKUPS
    topic: str
    text: str
    hint: str = ""
    attributes: dict[AttributeName, Annotated[str, Field(min_length=1)] | int] = Field(
        default_factory=dict, max_length=MOST_ATTRIBUTES
    )

    @classmethod
    def of(
        cls, topic: str, error: DrillError, level: Level = Level.ALARM, kind: Kind = Kind.BACKUPS
    ) -> "Message":
        return cls(level=level, kind=kind, topic=topic, text=error.message, hint=error.hint)

    def noted(self) -> "Message":
        return self.model_copy(update={"level": Level.NOTE})


class Reply(Model):
    metrics: tuple[Metric, ...] = ()
    events: tuple[Event, ...] = ()
    messages: tuple[Message, ...] = ()

    def beside_alarms(self) -> "Reply":
        """Return it as a function tells it: what an alarm stands behind is a note."""
        messages = tuple(one.noted() if one.topic in ALARMED else one for one in self.messages)
        return self.model_copy(update={"messages": messages})

    def within(self, most: int) -> "Reply":
        """Return what of it fits into that many bytes of JSON, the most urgent first, and say how much does not.

        Notes go first, and without a word: they are for the log, which has them.
        Metrics come before all: an alarm whose metric is missing speaks of something else.
        """
        parts: list[Metric | Event | Message] = [
            *self.metrics,
            *(message for message in self.messages if message.level in URGENT),
            *self.events,
            *(message for message in self.messages if message.level is Level.REPORT),
            *(message for message in self.messages if message.level is Level.NOTE),
        ]
        room = most - _CUT_BYTES
        sizes = accumulate(len(part.model_dump_json().encode()) + 1 for part in parts)
        fits = [part for part, size in zip(parts, sizes, strict=True) if size <= room]
        if len(fits) == len(parts):
            return self
        passed_on = Reply(
            metrics=tuple(part for part in fits if isinstance(part, Metric)),
            events=tuple(part for part in fits if isinstance(part, Event)),
            messages=tuple(part for part in fits if isinstance(part, Message)),
        )
        cut = Message(
            level=Level.WARNING,
            topic="reply cut",
            text=f"{len(parts) - len(fits)} of {len(parts)} metrics, messages and events were too many to be passed on",
            hint="all of them stand in the log of the function",
        )
        notes = sum(message.level is Level.NOTE for message in self.messages)
        return passed_on if len(fits) >= len(parts) - notes else passed_on + Reply(messages=(cut,))

    def __add__(self, other: "Reply") -> "Reply":
        return Reply(
            metrics=self.metrics + other.metrics,
            events=self.events + other.events,
            messages=self.messages + other.messages,
        )
