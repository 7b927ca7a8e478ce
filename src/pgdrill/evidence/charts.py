"""The geometry of the report's pictures: from drills to coordinates; the templates turn those into SVG. Pure.

Drawn by hand, because a plotting library would weigh more in the Lambda's zip than all of pgdrill. Each picture
is laid out twice, for a wide page and for a phone, since letters must not shrink with the drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from pgdrill.evidence.record import Evidence, Summary, Teardown
from pgdrill.evidence.wording import PHASE, duration
from pgdrill.model import Kept, Stage, Verdict

SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
STEPS = (*SECONDS, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True)
class Layout:
    """Where things lie: in SVG units, which are CSS pixels at the width the picture is meant for, or in cells.

    A phase too short to see is drawn `least` wide; of more drills than `most` the newest are drawn.
    """

    name: str
    width: float
    left: float
    right: float
    ticks: int
    least: float = 2
    most: int = 50

    def x(self, fraction: float) -> float:
        return round(self.left + fraction * (self.width - self.left - self.right), 1)


TIMELINE = (Layout("wide", 880, 190, 90, 6), Layout("narrow", 340, 0, 0, 3))
TREND = (Layout("wide", 880, 70, 20, 4), Layout("narrow", 340, 52, 10, 4, most=16))
RETENTION = (Layout("wide", 880, 190, 20, 4), Layout("narrow", 340, 0, 0, 3))
TERMINAL = Layout("terminal", 36, 0, 0, 3, least=1)


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Phase:
    """What went on between two stages; `x` and `width` are its bar."""

    stage: Stage
    label: str
    began: datetime
    ended: datetime
    seconds: float
    since_request: float
    x: float
    width: float


@dataclass(frozen=True)
class Timeline:
    layout: Layout
    phases: tuple[Phase, ...]
    ticks: tuple[Tick, ...]
    usable: Tick | None
    objective: Tick | None
    total: float


@dataclass(frozen=True)
class Dot:
    """One drill of the trend; `y` is None where its RTO was not measured."""

    x: float
    y: float | None
    drill: Summary


@dataclass(frozen=True)
class Trend:
    layout: Layout
    dots: tuple[Dot, ...]
    lines: tuple[str, ...]
    ticks: tuple[Tick, ...]
    objective: float | None
    objective_label: str
    bottom: float


def ticks(end: float, most: int) -> list[float]:
    """Return at most `most` + 1 round values from 0 that do not pass `end`."""
    step = next((step for step in STEPS if end / step <= most), None)
    if step is None:
        step = STEPS[-1] * max(1, -(-end // (STEPS[-1] * most)))
    return [step * index for index in range(int(end / step + 1e-9) + 1)]


def timeline(evidence: Evidence, teardown: Teardown | None, layout: Layout) -> Timeline | None:
    """Lay out the phases between the stages; None where the restore was never asked for.

    The RTO objective is drawn only where it lies near the drill: four hours beside twenty seconds would leave
    nothing to see of the drill.
    """
    stages = dict(evidence.stages)
    if teardown and teardown.gone_at:
        stages[Stage.GONE] = teardown.gone_at
    start = stages.get(Stage.REQUESTED)
    if start is None:
        return None
    objective = evidence.rto.objective
    reached = sorted((at, list(Stage).index(stage), stage) for stage, at in stages.items())
    total = max((reached[-1][0] - start).total_seconds(), 0.001)
    end = objective if total < objective <= 2 * total else total
    phases = []
    for (began, _, _), (ended, _, stage) in pairwise(reached):
        first, last = ((at - start).total_seconds() for at in (began, ended))
        x = layout.x(max(first, 0) / end)
        width = max(layout.x(last / end) - x, layout.least)
        phases.append(Phase(stage, PHASE[stage], began, ended, last - first, last, x, round(width, 1)))
    usable = stages.get(Stage.FIRST_QUERY)
    seconds = (usable - start).total_seconds() if usable else None
    return Timeline(
        layout,
        tuple(phases),
        tuple(Tick(layout.x(at / end), duration(at)) for at in ticks(end, layout.ticks)),
        Tick(layout.x(seconds / end), duration(seconds)) if seconds is not None else None,
        Tick(layout.x(objective / end), duration(objective)) if objective <= end else None,
        total,
    )


def trend(drills: Sequence[Summary], layout: Layout, height: float = 150) -> Trend | None:
    """Lay out one dot a drill, oldest first, evenly: drills are compared with each other, not with the calendar."""
    if not drills:
        return None
    drills = drills[-layout.most :]
    measured = [drill.rto_usable for drill in drills if drill.rto_usable is not None]
    objective = drills[-1].rto_objective
    highest = max(measured, default=1.0) or 1.0
    near = objective <= 2 * highest
    end = 1.1 * max(highest, objective if near else 0.0)

    def y(seconds: float) -> float:
        return round(height * (1 - seconds / end), 1)

    def x(index: int) -> float:
        return layout.x((index + 0.5) / len(drills))

    dots = tuple(
        Dot(x(index), None if drill.rto_usable is None else y(drill.rto_usable), drill)
        for index, drill in enumerate(drills)
    )
    return Trend(
        layout,
        dots,
        tuple(_lines(dots)),
        tuple(Tick(y(at), duration(at)) for at in ticks(end, layout.ticks)),
        y(objective) if near else None,
        duration(objective),
        height,
    )


def _lines(dots: Sequence[Dot]) -> list[str]:
    """Return the points of each unbroken run of measured drills, for `polyline`."""
    runs: list[list[str]] = [[]]
    for dot in dots:
        if dot.y is None:
            runs.append([])
        else:
            runs[-1].append(f"{dot.x},{dot.y}")
    return [" ".join(run) for run in runs if len(run) > 1]


@dataclass(frozen=True)
class Column:
    """How many are kept of one age: as high as all are that are taken in a day, or lower."""

    x: float
    width: float
    height: float


@dataclass(frozen=True)
class Lane:
    """One kind that is kept: `columns` by age, or one `line` over every moment. `base` is its lower edge."""

    kept: Kept
    base: float
    columns: tuple[Column, ...]
    line: float | None


@dataclass(frozen=True)
class Retention:
    layout: Layout
    lanes: tuple[Lane, ...]
    span: int
    bottom: float


def retention(kept: Sequence[Kept], layout: Layout, height: float = 28) -> Retention | None:
    """Lay out what is kept by age, today at the left; the busiest day is `height` high."""
    if not kept:
        return None
    # Without room at the left the names stand above.
    row = 50 if layout.left else 62
    span = max(len(kind.days) for kind in kept)
    most = max((day for kind in kept for day in kind.days), default=1) or 1
    step = layout.x(1 / span) - layout.left
    lanes = []
    for index, kind in enumerate(kept):
        columns = tuple(
            Column(layout.x(age / span), round(step * 0.8, 1), round(height * count / most, 1))
            for age, count in enumerate(kind.days)
            if count
        )
        line = round(layout.x(len(kind.days) / span) - layout.left, 1) if kind.every_moment else None
        lanes.append(Lane(kind, row * (index + 1), () if kind.every_moment else columns, line))
    return Retention(layout, tuple(lanes), span, row * len(kept))


@dataclass(frozen=True)
class Bar:
    """A figure against its objective, in percent of the bar's whole length."""

    filled: float
    objective: float
    over: bool


def bar(value: float, objective: float) -> Bar:
    whole = max(value, objective) or 1.0
    return Bar(round(100 * max(value, 0) / whole, 2), round(100 * objective / whole, 2), value > objective)


def passed(drills: Sequence[Summary]) -> int:
    return sum(drill.verdict is Verdict.PASSED for drill in drills)
