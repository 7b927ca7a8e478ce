"""What a dashboard is made of: sections of rows of widgets, in plain data. CloudWatch and the page show the same.

A widget says which metrics it shows and what is to be held against them, never how it is drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pgdrill.watching.alarm_model import NAMESPACE

# CloudWatch's grid. Source: CloudWatch API reference, "Dashboard body structure and syntax".
COLUMNS = 24
# Of more series than that only the highest are shown: nobody reads two hundred lines.
WORST = 10
DAY = timedelta(days=1)


class Unit(StrEnum):
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    SECONDS = "seconds"
    COUNT = ""
    PERCENT = "%"
    GIGABYTES = "GB"
    DOLLARS = "US$ a month"


class Shape(StrEnum):
    """LINE connects what is measured all the time; HELD stays until the next value; AREA and BARS stand on each other."""

    LINE = "line"
    HELD = "held"
    AREA = "area"
    BARS = "bars"


class Tone(StrEnum):
    """What a series says by itself; most say nothing."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"


class Worst(StrEnum):
    """Which end of a number wants a person."""

    HIGHEST = "highest"
    LOWEST = "lowest"


class Together(StrEnum):
    """How one series is made of several metrics."""

    SUM = "SUM"
    MAX = "MAX"
    MIN = "MIN"


@dataclass(frozen=True)
class Span:
    """How far a chart looks back, and in which steps. `whole` is the dashboard's own, which a viewer may change."""

    back: timedelta
    step: timedelta
    whole: bool = False


RECENT = Span(timedelta(hours=48), timedelta(minutes=5), whole=True)
HOURLY = Span(timedelta(hours=48), timedelta(hours=1), whole=True)
# Twelve weeks: as many weekly drills, and three of a copy.
WEEKS = Span(84 * DAY, DAY)


@dataclass(frozen=True)
class Metric:
    name: str
    dimensions: tuple[tuple[str, str], ...]
    namespace: str = NAMESPACE
    statistic: str = "Maximum"


@dataclass(frozen=True)
class Series:
    """One line of a chart, or one number. Values are divided by `per` to be in the widget's unit."""

    label: str
    metrics: tuple[Metric, ...]
    together: Together = Together.MAX
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Limit:
    """A level that a chart's values are held against, in the widget's unit. `alarm` speaks beyond it, if there is one."""

    label: str
    value: float
    alarm: str = ""


@dataclass(frozen=True)
class Chart:
    """`says` is for who looks at it for the first time. `worst` says on which side of its limits a value is bad."""

    title: str
    series: tuple[Series, ...]
    unit: Unit
    per: float = 1.0
    limits: tuple[Limit, ...] = ()
    shape: Shape = Shape.LINE
    span: Span = RECENT
    worst: Worst = Worst.HIGHEST
    says: str = ""
    width: int = 8

    @property
    def caption(self) -> str:
        """What it says, and its unit unless that is said already."""
        told = self.says.startswith(self.unit.value)
        return self.says if told else "; ".join(part for part in (self.unit.value, self.says) if part)


@dataclass(frozen=True)
class Number:
    """One newest value; beyond `limit` it is bad."""

    label: str
    series: Series
    unit: Unit
    per: float = 1.0
    limit: float | None = None
    worst: Worst = Worst.HIGHEST


@dataclass(frozen=True)
class Numbers:
    title: str
    numbers: tuple[Number, ...]
    width: int = COLUMNS


@dataclass(frozen=True)
class Alarms:
    """States of alarms, by their names; `standing` shows those in ALARM alone."""

    title: str
    names: tuple[str, ...]
    standing: bool = False
    width: int = 8


@dataclass(frozen=True)
class Link:
    label: str
    url: str


@dataclass(frozen=True)
class Words:
    """Sentences, with code in backquotes, and links below them."""

    title: str
    sentences: tuple[str, ...]
    links: tuple[Link, ...] = ()
    width: int = 8


Widget = Chart | Numbers | Alarms | Words


@dataclass(frozen=True)
class Row:
    widgets: tuple[Widget, ...]
    height: int = 6

    def __post_init__(self) -> None:
        if sum(widget.width for widget in self.widgets) > COLUMNS:
            raise ValueError(f"{self.widgets[0].title}: a row is {COLUMNS} columns wide")


@dataclass(frozen=True)
class Section:
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Board:
    """`recoverable` names the alarm that says whether the cell could recover; in ALARM it could not."""

    name: str
    title: str
    region: str
    sections: tuple[Section, ...]
    recoverable: str

    def widgets(self) -> Iterator[Widget]:
        for section in self.sections:
            for row in section.rows:
                yield from row.widgets

    def charts(self) -> Iterator[Chart]:
        return (widget for widget in self.widgets() if isinstance(widget, Chart))

    def alarms(self) -> tuple[str, ...]:
        named = [name for one in self.widgets() if isinstance(one, Alarms) for name in one.names]
        return tuple(dict.fromkeys(named))
