"""What a dashboard's widgets are made of in one cell: names, metrics and limits as its alarms have them. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from pgdrill.dashboard.board import (
    RECENT,
    Alarms,
    Chart,
    Limit,
    Metric,
    Number,
    Series,
    Shape,
    Span,
    Together,
    Tone,
    Unit,
    Worst,
)
from pgdrill.plan import PREFIX, DatabasePlan
from pgdrill.watching import alarms
from pgdrill.watching.alarm_model import Alarm, Scope, Subject, Watchable

T = TypeVar("T")

# Source: CloudWatch API reference, "Dashboard body structure and syntax": 1 to 100 ARNs.
IN_A_WIDGET = 100
PER = {Unit.MINUTES: 60.0, Unit.HOURS: 3600.0, Unit.DAYS: 86400.0}


@dataclass(frozen=True)
class Cell:
    """One cell as it is deployed. `functions` are timeouts in seconds by name, `bucket` where its evidence lies."""

    plan: Watchable
    region: str
    account: str
    bucket: str
    functions: dict[str, int]
    machines: tuple[str, ...]

    @property
    def primary(self) -> bool:
        return self.region == self.plan.primary.region

    @property
    def other(self) -> str:
        return (self.plan.dr if self.primary else self.plan.primary).region

    @property
    def databases(self) -> tuple[DatabasePlan, ...]:
        return self.plan.databases

    def thing(self, kind: str, subject: str = "") -> str:
        """Return a name as the deployment gives it."""
        return "-".join(part for part in (PREFIX, self.plan.stack.suffix, kind, subject) if part)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    # -------------------------------------------------------------------------------------- metrics

    def metric(self, name: str, about: Mapping[str, str] | None = None, statistic: str = "Maximum") -> Metric:
        """Return a metric of pgdrill's own; `about` are its dimensions besides the suffix."""
        dimensions = {"Suffix": self.plan.stack.suffix} | dict(about or {})
        return Metric(name, tuple(sorted(dimensions.items())), statistic=statistic)

    def of_each(self, name: str, statistic: str = "Maximum") -> tuple[Metric, ...]:
        """Return one metric of every database."""
        return tuple(self.metric(name, {"Database": database.name}, statistic) for database in self.databases)

    def each(self, name: str) -> tuple[Series, ...]:
        """Return the metric of every database as a line of its own."""
        return tuple(
            Series(database.name, (metric,))
            for database, metric in zip(self.databases, self.of_each(name), strict=True)
        )

    def of_all(self, label: str, name: str, tone: Tone = Tone.PLAIN, statistic: str = "Sum") -> Series:
        """Return what is counted of all databases together."""
        return Series(label, self.of_each(name, statistic), Together.SUM, tone)

    # -------------------------------------------------------------------------------------- alarms

    def asked(self, name: str) -> list[Subject]:
        """Return what there is one alarm of that kind for in this cell."""
        return [subject for alarm, subject in self._alarms if alarm.name == name]

    def limit(self, name: str, per: float = 1.0) -> Limit | None:
        """Return what an alarm holds its metric against; None where this cell has no such alarm."""
        subjects = self.asked(name)
        return (
            Limit(name, alarms.BY_NAME[name].threshold(subjects[0]) / per, alarm=name) if subjects else None
        )

    def alarmed(
        self,
        name: str,
        title: str,
        unit: Unit = Unit.COUNT,
        *,
        says: str = "",
        span: Span = RECENT,
        shape: Shape = Shape.LINE,
        per: float | None = None,
        width: int = 8,
    ) -> Chart | None:
        """Return a chart of what an alarm looks at, with its threshold; None where this cell has no such alarm."""
        alarm, subjects = alarms.BY_NAME[name], self.asked(name)
        if not subjects:
            return None
        per = PER.get(unit, 1.0) if per is None else per
        # Thresholds of functions are their own time limits, one for each.
        limit = self.limit(name, per) if alarm.scope is not Scope.FUNCTION else None
        return Chart(
            title,
            tuple(self._watched(alarm, subject) for subject in subjects),
            unit,
            per,
            (limit,) if limit else (),
            shape,
            span,
            _worst(alarm),
            says,
            width,
        )

    def watched(self, name: str) -> Series:
        """Return what an alarm of the cell looks at."""
        return self._watched(alarms.BY_NAME[name], self.asked(name)[0])

    def _watched(self, alarm: Alarm, subject: Subject) -> Series:
        about = {
            Scope.FUNCTION: {"FunctionName": self.thing(subject.name)},
            Scope.MACHINE: {
                "StateMachineArn": self.arn("states", f"stateMachine:{self.thing(subject.name)}")
            },
        }.get(alarm.scope, alarm.about(subject))
        metrics = tuple(
            Metric(name, tuple(sorted(about.items())), alarm.namespace, alarm.statistic)
            for name in alarm.metrics
        )
        return Series(
            subject.name or self.region, metrics, Together.SUM if len(metrics) > 1 else Together.MAX
        )

    def number(self, name: str, label: str, unit: Unit) -> Number | None:
        """Return the worst of what an alarm looks at, of all databases, as one number."""
        chart = self.alarmed(name, label, unit)
        if chart is None:
            return None
        together = Together.MIN if chart.worst is Worst.LOWEST else Together.MAX
        series = Series(label, tuple(metric for one in chart.series for metric in one.metrics), together)
        limit = chart.limits[0].value if chart.limits else None
        return Number(label, series, unit, chart.per, limit, chart.worst)

    def names(self, chosen: Callable[[Alarm], bool] = lambda _: True) -> tuple[str, ...]:
        """Return the names of this cell's alarms."""
        return tuple(self.thing(alarm.name, subject.name) for alarm, subject in self._alarms if chosen(alarm))

    @cached_property
    def _alarms(self) -> tuple[tuple[Alarm, Subject], ...]:
        return tuple(alarms.of_cell(self.plan, self.region, self.functions, self.machines))

    def composites(self) -> tuple[str, ...]:
        """Return the names of the alarms that say whether it could recover, the one that says it for all first."""
        return tuple(name for name, _ in reversed(alarms.recoverable(self.plan, self.region, self.thing)))


def _worst(alarm: Alarm) -> Worst:
    return Worst.LOWEST if alarm.comparison == "LessThanThreshold" else Worst.HIGHEST


def in_widgets(widget: Alarms) -> tuple[Alarms, ...]:
    """Return a widget, or as many as its alarms take."""
    parts = [widget.names[first : first + IN_A_WIDGET] for first in range(0, len(widget.names), IN_A_WIDGET)]
    if len(parts) <= 1:
        return (widget,)
    return tuple(
        replace(widget, title=f"{widget.title}, {number} of {len(parts)}", names=names)
        for number, names in enumerate(parts, start=1)
    )


def present(widgets: Iterable[T | None]) -> tuple[T, ...]:
    return tuple(widget for widget in widgets if widget is not None)
