"""What a dashboard's widgets show: its metrics and alarms, as CloudWatch answers for them, in AWS or in a lab."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pgdrill.aws import metrics
from pgdrill.aws.metrics import Points, Query, State
from pgdrill.dashboard.board import (
    RECENT,
    WORST,
    Alarms,
    Board,
    Chart,
    Metric,
    Number,
    Numbers,
    Series,
    Span,
    Together,
    Worst,
)


@dataclass(frozen=True)
class Line:
    """What was measured of one series, in the widget's unit, oldest first."""

    series: Series
    points: Points

    @property
    def newest(self) -> float:
        return self.points[-1][1]


@dataclass(frozen=True)
class Readings:
    """All that a board shows at `now`."""

    now: datetime
    values: dict[tuple[Metric, timedelta], Points]
    states: dict[str, State]

    def lines(self, chart: Chart) -> list[Line]:
        """Return the series of a chart that have data; of too many those with the highest values, as CloudWatch does."""
        lines = [
            Line(series, _together(series, [self._of(one, chart.span) for one in series.metrics], chart.per))
            for series in chart.series
        ]
        measured = [line for line in lines if line.points]
        if len(measured) <= WORST:
            return measured
        return sorted(measured, key=lambda line: -max(value for _, value in line.points))[:WORST]

    def number(self, number: Number) -> Line:
        of = [self._of(metric, RECENT) for metric in number.series.metrics]
        return Line(number.series, _together(number.series, of, number.per))

    def state(self, name: str) -> State | None:
        return self.states.get(name)

    def standing(self, widget: Alarms) -> list[State]:
        """Return those of a widget's alarms that stand, the newest first."""
        found = (self.states.get(name) for name in widget.names)
        return sorted(
            (one for one in found if one and one.value == "ALARM"), key=lambda one: one.since, reverse=True
        )

    def _of(self, metric: Metric, span: Span) -> Points:
        return self.values.get((metric, span.step), ())


def read(client: Any, board: Board, prefix: str, now: datetime) -> Readings:
    """Ask CloudWatch of a region for everything on a board. `prefix` begins the names of its alarms.

    Raises:
        NotRunnable: it refused, or did not answer.
    """
    values: dict[tuple[Metric, timedelta], Points] = {}
    by_span: dict[Span, dict[Metric, None]] = {}
    for metric, span in _asked(board):
        by_span.setdefault(span, {})[metric] = None
    for span, wanted in by_span.items():
        queries = {metric: _query(metric, span) for metric in wanted}
        found = metrics.read(client, queries.values(), now - span.back, now)
        values |= {(metric, span.step): found[query] for metric, query in queries.items()}
    states = {state.name: state for state in metrics.alarms(client, prefix)}
    return Readings(now, values, states)


def _asked(board: Board) -> Iterator[tuple[Metric, Span]]:
    for widget in board.widgets():
        if isinstance(widget, Chart):
            yield from ((metric, widget.span) for series in widget.series for metric in series.metrics)
        elif isinstance(widget, Numbers):
            yield from ((metric, RECENT) for number in widget.numbers for metric in number.series.metrics)


def _query(metric: Metric, span: Span) -> Query:
    return Query(
        namespace=metric.namespace,
        name=metric.name,
        dimensions=metric.dimensions,
        statistic=metric.statistic,
        period=int(span.step.total_seconds()),
    )


_PUT: dict[Together, Callable[[list[float]], float]] = {
    Together.SUM: sum,
    Together.MAX: max,
    Together.MIN: min,
}


def _together(series: Series, of: Sequence[Points], per: float) -> Points:
    """Put the metrics of a series together, moment by moment; what is missing of one is left out."""
    moments: dict[datetime, list[float]] = {}
    for points in of:
        for at, value in points:
            moments.setdefault(at, []).append(value)
    put = _PUT[series.together]
    return tuple((at, put(values) / per) for at, values in sorted(moments.items()))


def beyond(value: float, limit: float | None, worst: Worst) -> bool:
    """Tell whether a value is on the bad side of a limit."""
    if limit is None:
        return False
    return value > limit if worst is Worst.HIGHEST else value < limit
