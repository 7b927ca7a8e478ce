"""A dashboard as one HTML page that stands alone: no script, no outside request; the page's own policy refuses both.

Pure: from a board and its readings.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pgdrill.dashboard import drawing
from pgdrill.dashboard.board import Alarms, Board, Chart, Limit, Numbers, Unit, Words
from pgdrill.dashboard.readings import Line, Readings, beyond
from pgdrill.evidence import wording
from pgdrill.model import Verdict

# CloudWatch's words for an alarm that says whether a cell could recover.
RECOVERABLE = {"OK": Verdict.PASSED, "ALARM": Verdict.FAILED}
SAYS = {Verdict.PASSED: "recoverable", Verdict.FAILED: "not recoverable"}
UNKNOWN = "nobody knows whether it is recoverable"


@dataclass(frozen=True)
class Drawn:
    """A chart as the page shows it; `far` are limits too far away to be drawn, `bad` names series beyond one."""

    chart: Chart
    lines: tuple[Line, ...]
    colours: tuple[str, ...]
    picture: Markup
    far: tuple[Limit, ...]
    bad: frozenset[str]


def page(board: Board, readings: Readings) -> str:
    """Render it.

    Raises:
        NotRunnable: matplotlib is not installed.
    """
    style = resources.files("pgdrill.dashboard").joinpath("templates/dashboard.css").read_text("utf-8")
    verdict = recoverable(board, readings)
    return _ENVIRONMENT.get_template("dashboard.html.j2").render(
        board=board,
        readings=readings,
        verdict=verdict,
        says=SAYS.get(verdict, UNKNOWN),
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        draw=lambda chart: _draw(chart, readings),
    )


def recoverable(board: Board, readings: Readings) -> Verdict:
    """Say what the alarm says; that all is well only where something was measured: a new alarm is OK before its data."""
    state = readings.state(board.recoverable)
    said = RECOVERABLE.get(state.value, Verdict.INCONCLUSIVE) if state else Verdict.INCONCLUSIVE
    numbers = [number for one in board.widgets() if isinstance(one, Numbers) for number in one.numbers]
    measured = any(readings.number(number).points for number in numbers)
    return said if measured or said is Verdict.FAILED else Verdict.INCONCLUSIVE


def _draw(chart: Chart, readings: Readings) -> Drawn:
    lines = tuple(readings.lines(chart))
    near = drawing.drawn(chart, lines)
    alarming = [limit for limit in chart.limits if limit.alarm]
    return Drawn(
        chart,
        lines,
        tuple(drawing.colour(line, place) for place, line in enumerate(lines)),
        # Our own drawing; its only words are numbers, dates and the names of limits.
        Markup(drawing.svg(chart, lines, readings.now) if lines else ""),  # noqa: S704 # as said
        tuple(limit for limit in chart.limits if limit not in near and limit.value > 0),
        frozenset(
            line.series.label
            for line in lines
            for limit in alarming
            if beyond(line.newest, limit.value, chart.worst)
        ),
    )


def amount(value: float, unit: Unit) -> str:
    """Return a value as a person reads it."""
    per = {Unit.MINUTES: 60.0, Unit.HOURS: 3600.0, Unit.DAYS: 86400.0, Unit.SECONDS: 1.0}
    if unit in per:
        return wording.duration(value * per[unit])
    if unit is Unit.GIGABYTES:
        return wording.size(round(value * 1e9))
    if unit is Unit.DOLLARS:
        return f"US$ {value:,.0f}" if value >= 100 else f"US$ {value:.2f}"  # cents matter below
    return f"{value:,.10g}{' %' if unit is Unit.PERCENT else ''}"


def nothing(chart: Chart) -> str:
    """Say what it means that there is nothing to draw: of what is counted when it happens, that nothing happened."""
    counted = all(metric.statistic == "Sum" for series in chart.series for metric in series.metrics)
    return "none" if counted else "nothing was measured"


def code(sentence: str) -> Markup:
    """Return a sentence with what stands in backquotes as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704 # escaped


_ENVIRONMENT = Environment(
    loader=PackageLoader("pgdrill.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=lambda value: wording.visible(value) if type(value) is str else value,
)
_ENVIRONMENT.filters |= {
    "amount": amount,
    "code": code,
    "moment": wording.moment,
    "nothing": nothing,
    "capital": wording.capital,
}
_ENVIRONMENT.tests |= {
    "chart": lambda widget: isinstance(widget, Chart),
    "numbers": lambda widget: isinstance(widget, Numbers),
    "alarms": lambda widget: isinstance(widget, Alarms),
    "words": lambda widget: isinstance(widget, Words),
}
_ENVIRONMENT.globals |= {
    "beyond": beyond,
    "SYMBOL": wording.SYMBOL,
}
