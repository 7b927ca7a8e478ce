"""A dashboard as CloudWatch takes it: the body of PutDashboard. Pure.

Of more series than a person reads CloudWatch finds the highest itself, by a search, so that the body stays within its
limits with two hundred databases. Source: CloudWatch API reference, "Dashboard body structure and syntax"; CloudWatch
User Guide, "Using math expressions" and "Search expression syntax"; CloudWatch quotas: 500 widgets a dashboard, 500
metrics a widget, 2,500 metrics a dashboard.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pgdrill.dashboard.board import (
    COLUMNS,
    RECENT,
    WORST,
    Alarms,
    Board,
    Chart,
    Limit,
    Metric,
    Numbers,
    Series,
    Shape,
    Together,
    Tone,
    Widget,
    Words,
    Worst,
)

JSON = dict[str, Any]
# CloudWatch's own green, red and orange.
COLOUR = {Tone.GOOD: "#2ca02c", Tone.BAD: "#d62728", Tone.UNSURE: "#ff7f0e"}
LIMIT = "#d62728"
MOST_WIDGETS, MOST_METRICS_A_WIDGET, MOST_METRICS = 500, 500, 2500


def body(board: Board, account: str) -> str:
    """Return the dashboard's body, the same for the same board."""
    return json.dumps(
        {"start": f"-PT{RECENT.back.total_seconds() / 3600:.0f}H", "periodOverride": "inherit"}
        | {"widgets": [*_widgets(board, account)]},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _widgets(board: Board, account: str) -> Iterator[JSON]:
    y = 0
    for section in board.sections:
        if not section.rows:
            continue
        head = {"markdown": f"## {section.title}", "background": "transparent"}
        yield {"type": "text", "x": 0, "y": y, "width": COLUMNS, "height": 1, "properties": head}
        y += 1
        for row in section.rows:
            x = 0
            for widget in row.widgets:
                place = {"x": x, "y": y, "width": widget.width, "height": row.height}
                yield _widget(widget, board.region, account) | place
                x += widget.width
            y += row.height


def _widget(widget: Widget, region: str, account: str) -> JSON:
    match widget:
        case Chart():
            return {"type": "metric", "properties": _chart(widget, region)}
        case Numbers():
            return {"type": "metric", "properties": _numbers(widget, region)}
        case Alarms():
            arns = [f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}" for name in widget.names]
            shown = {"title": widget.title, "alarms": arns, "sortBy": "stateUpdatedTimestamp"}
            return {
                "type": "alarm",
                "properties": shown | ({"states": ["ALARM"]} if widget.standing else {}),
            }
        case Words():
            return {"type": "text", "properties": {"markdown": _markdown(widget)}}


def _markdown(words: Words) -> str:
    links = " · ".join(f"[{link.label}]({link.url})" for link in words.links)
    return "\n\n".join([f"**{words.title}**", *words.sentences, *([links] if links else [])])


# ------------------------------------------------------------------------------------------------ metrics


def _chart(chart: Chart, region: str) -> JSON:
    says = f" · {chart.says}" if chart.says else ""
    period = int(chart.span.step.total_seconds())
    shown: JSON = {
        "title": f"{chart.title}{says}",
        "region": region,
        "view": "timeSeries",
        "stacked": chart.shape in {Shape.AREA, Shape.BARS},
        "period": period,
        "metrics": _Metrics(chart.per, period, held=chart.shape is Shape.HELD).of(chart),
        "yAxis": {"left": {"label": chart.unit.value, "showUnits": False, "min": 0}},
    }
    if chart.limits:
        shown["annotations"] = {"horizontal": [_limit(limit, chart.worst) for limit in chart.limits]}
    if not chart.span.whole:
        shown |= {"start": f"-P{chart.span.back.days}D", "end": "P0D"}
    return shown


def _limit(limit: Limit, worst: Worst) -> JSON:
    side = {"fill": "above" if worst is Worst.HIGHEST else "below"} if limit.alarm else {}
    return {"label": limit.label, "value": round(limit.value, 4), "color": LIMIT} | side


def _numbers(numbers: Numbers, region: str) -> JSON:
    period = int(RECENT.step.total_seconds())
    metrics: list[list[Any]] = []
    for number in numbers.numbers:
        unit = f", {number.unit.value}" if number.unit.value else ""
        series = Series(f"{number.label}{unit}", number.series.metrics, number.series.together)
        made = _Metrics(number.per, period, held=False, first=len(metrics) + 1)
        metrics += made.one(series)
    return {
        "title": numbers.title,
        "region": region,
        "view": "singleValue",
        "sparkline": True,
        "period": period,
        "metrics": metrics,
    }


class _Metrics:
    """Writes the metrics of one widget: what is calculated with is hidden, what is shown has a label."""

    def __init__(self, per: float, period: int, *, held: bool, first: int = 1) -> None:
        self._per, self._period, self._held, self._next = per, period, held, first

    def of(self, chart: Chart) -> list[list[Any]]:
        single = [metric for series in chart.series for metric in series.metrics[:1]]
        if len(chart.series) > WORST and all(len(series.metrics) == 1 for series in chart.series):
            if _alike(single):
                found = self._searched(single)
                return [[{"expression": f"SORT({self._scaled(found)}, MAX, DESC, {WORST})", "id": "worst"}]]
            hidden = [self._metric(metric) for metric in single]
            every = f"SORT({self._scaled('METRICS()')}, MAX, DESC, {WORST})"
            return [*hidden, [{"expression": every, "id": "worst"}]]
        return [entry for series in chart.series for entry in self.one(series)]

    def one(self, series: Series) -> list[list[Any]]:
        """Return what one series is made of, and it."""
        look: JSON = {"label": series.label}
        if colour := COLOUR.get(series.tone):
            look["color"] = colour
        if len(series.metrics) > WORST and _alike(series.metrics):
            found = self._searched(series.metrics)
            return [[{"expression": self._scaled(f"{series.together}({found})"), "id": self._id("e")} | look]]
        if len(series.metrics) == 1 and self._per == 1 and not self._held:
            return [self._metric(series.metrics[0], **look)]
        hidden = [self._metric(metric) for metric in series.metrics]
        ids = [entry[-1]["id"] for entry in hidden]
        whole = ids[0] if len(ids) == 1 else self._together(series.together, ids)
        return [*hidden, [{"expression": self._scaled(whole), "id": self._id("e")} | look]]

    def _together(self, together: Together, ids: Sequence[str]) -> str:
        listed = f"[{','.join(ids)}]"
        return f"SUM(FILL({listed},0))" if together is Together.SUM else f"{together}({listed})"

    def _scaled(self, expression: str) -> str:
        held = f"FILL({expression}, REPEAT)" if self._held else expression
        return held if self._per == 1 else f"{held}/{self._per:g}"

    def _metric(self, metric: Metric, **look: Any) -> list[Any]:
        about = [part for dimension in metric.dimensions for part in dimension]
        options = {"id": self._id("m"), "stat": metric.statistic} | (look or {"visible": False})
        return [metric.namespace, metric.name, *about, options]

    def _searched(self, metrics: Sequence[Metric]) -> str:
        """Search for all databases' metric of one name; what the plan has left is not told of any more."""
        one = metrics[0]
        known = {name: value for name, value in one.dimensions if name != "Database"}
        schema = ",".join([one.namespace, *(f'"{name}"' for name, _ in one.dimensions)])
        wanted = " ".join(f'{name}="{value}"' for name, value in (("MetricName", one.name), *known.items()))
        return f"SEARCH('{{{schema}}} {wanted}', '{one.statistic}', {self._period})"

    def _id(self, letter: str) -> str:
        self._next += 1
        return f"{letter}{self._next}"


def _alike(metrics: Sequence[Metric]) -> bool:
    """Tell whether metrics differ in the database alone."""
    return (
        len(
            {
                (one.name, one.statistic, tuple(pair for pair in one.dimensions if pair[0] != "Database"))
                for one in metrics
            }
        )
        == 1
    )
