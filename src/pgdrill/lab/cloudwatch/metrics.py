"""The metrics of one region: what was published, and its statistics over stretches of time.

Memory only. Times are seconds since 1970. A metric is its namespace, name and exact set of dimensions; data of
different units are kept apart, and taken together where nobody names a unit.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Vector = list[float | None]
# Of one stored datum: how many samples it stands for, their sum, the smallest and the largest.
Row = tuple[float, float, float, float]


class Unknown(ValueError):
    """What the lab does not evaluate: a statistic, a function of metric math."""


class Metric(NamedTuple):
    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Stretch:
    """`count` periods of a length in seconds, one after another from `start` on."""

    start: float
    period: float
    count: int

    @property
    def end(self) -> float:
        return self.start + self.period * self.count

    def starts(self) -> list[float]:
        return [self.start + place * self.period for place in range(self.count)]


class Series:
    """The data of one metric in one unit, oldest first."""

    def __init__(self, columns: Sequence[Iterable[float]] = ((),) * 5) -> None:
        self.columns = tuple(array("d", column) for column in columns)
        self.times = self.columns[0]

    def put(self, at: float, row: Row) -> None:
        where = len(self.times) if not self.times or at >= self.times[-1] else bisect_right(self.times, at)
        for column, value in zip(self.columns, (at, *row), strict=True):
            column.insert(where, value)

    def between(self, start: float, end: float) -> Iterator[tuple[float, Row]]:
        """Yield what is at or after `start` and before `end`."""
        times, counts, sums, lows, highs = self.columns
        for i in range(bisect_left(times, start), bisect_left(times, end)):
            yield times[i], (counts[i], sums[i], lows[i], highs[i])


class Metrics:
    """What PutMetricData filled."""

    def __init__(self) -> None:
        self._series: dict[Metric, dict[str, Series]] = {}

    def put(self, metric: Metric, at: float, value: float, *, count: float = 1.0, unit: str = "None") -> None:
        """Add `count` samples of one value."""
        self.put_set(metric, at, (count, value * count, value, value), unit=unit)

    def put_set(self, metric: Metric, at: float, row: Row, *, unit: str = "None") -> None:
        """Add a statistic set."""
        units = self._series.setdefault(metric, {})
        if unit not in units:
            units[unit] = Series()
        units[unit].put(at, row)

    def vector(self, metric: Metric, statistic: str, over: Stretch, unit: str | None = None) -> Vector:
        """Return the statistic of each period; None where there are no data.

        Raises:
            Unknown: there is no such statistic here.
        """
        calculate = calculation(statistic)
        units = self._series.get(metric, {})
        periods: dict[int, list[Row]] = {}
        for each in [unit] if unit else units:
            if each in units:
                for at, row in units[each].between(over.start, over.end):
                    periods.setdefault(int((at - over.start) // over.period), []).append(row)
        return [calculate(periods[place]) if place in periods else None for place in range(over.count)]

    def units(self, metric: Metric) -> list[str]:
        return list(self._series.get(metric, {}))

    def listed(self) -> list[Metric]:
        return list(self._series)

    def dump(self) -> list[Any]:
        """Return everything as JSON holds it; `load` takes it back."""
        return [
            [*metric[:2], sorted(metric.dimensions), unit, [column.tolist() for column in series.columns]]
            for metric, units in self._series.items()
            for unit, series in units.items()
        ]

    @classmethod
    def load(cls, dumped: Iterable[Any]) -> "Metrics":
        metrics = cls()
        for namespace, name, dimensions, unit, columns in dumped:
            metric = Metric(namespace, name, frozenset((key, value) for key, value in dimensions))
            metrics._series.setdefault(metric, {})[unit] = Series(columns)
        return metrics


def calculation(statistic: str) -> Callable[[list[Row]], float | None]:
    """Return what makes a statistic of the data of one period.

    Raises:
        Unknown: it is neither one of the five nor a percentile as `p99.9`.
    """
    if statistic in BASIC:
        return BASIC[statistic]
    try:
        percent = float(statistic[1:]) if statistic[:1] == "p" else -1.0
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise Unknown(f"the lab has no statistic {statistic!r}")
    return lambda rows: percentile(rows, percent)


def _count(rows: list[Row]) -> float:
    return sum(row[0] for row in rows)


def _sum(rows: list[Row]) -> float:
    return sum(row[1] for row in rows)


BASIC: Mapping[str, Callable[[list[Row]], float | None]] = {
    "SampleCount": _count,
    "Sum": _sum,
    "Average": lambda rows: _sum(rows) / count if (count := _count(rows)) else None,
    "Minimum": lambda rows: min(row[2] for row in rows),
    "Maximum": lambda rows: max(row[3] for row in rows),
}


def percentile(rows: list[Row], percent: float) -> float | None:
    """Interpolate between the two nearest ranks.

    None where CloudWatch has none: a negative value, or a statistic set of more than one value.
    Source: CloudWatch API reference, PutMetricData.
    """
    if any(low != high or low < 0 for _, _, low, high in rows):
        return None
    values = sorted((low, count) for count, _, low, _ in rows)
    rank = percent / 100 * (sum(count for _, count in values) - 1)
    lower = _at(values, int(rank))
    return lower + (rank - int(rank)) * (_at(values, int(rank) + 1) - lower)


def _at(values: list[tuple[float, float]], rank: int) -> float:
    seen = 0.0
    for value, count in values:
        seen += count
        if rank < seen:
            return value
    return values[-1][0]
