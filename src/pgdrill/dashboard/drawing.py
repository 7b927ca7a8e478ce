"""Draws a chart as SVG with matplotlib, in colours that the page decides, so that one drawing is light and dark.

matplotlib is an extra (`charts`), loaded when the first chart is drawn. No I/O, no clock.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING

from pgdrill.dashboard.board import COLUMNS, Chart, Limit, Shape, Tone
from pgdrill.dashboard.readings import Line
from pgdrill.errors import NotRunnable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What stands for the page's colours while matplotlib draws; `var(--<name>)` in what comes out.
_NAMES = ("soft", "line", "card", "failed", "passed", "inconclusive", *(f"s{number}" for number in range(10)))
_STANDS_FOR = {name: f"#0101{number:02x}" for number, name in enumerate(_NAMES, start=1)}
TONES = {Tone.GOOD: "passed", Tone.BAD: "failed", Tone.UNSURE: "inconclusive"}
# Of a page of this many pixels; a row of three has three narrow ones.
PAGE, HEIGHT = 1200, 150
# A limit farther away than so many times what was measured is told, not drawn: beside it nothing would be seen.
FAR = 3.0
# So many values that a dot for each can still be told from the next.
FEW = 40
# Columns from which on there is room for six dates.
WIDE = 8
# Of years, months, days, hours, minutes, seconds; and of the first of each, which says in what it lies.
_DATES = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"]
_FIRSTS = ["", "%b", "%d %b", "%d %b", "%H:%M", "%H:%M"]
_MARGIN = {"left": 34, "right": 8, "top": 12, "bottom": 20}
_TEXT = 10.5


def colour(line: Line, place: int) -> str:
    """Return the name of the colour that a series is drawn in."""
    return TONES.get(line.series.tone, f"s{place % 10}")


def drawn(chart: Chart, lines: Sequence[Line]) -> tuple[Limit, ...]:
    """Return the limits that are near enough to be drawn."""
    highest = _highest(chart, lines)
    return tuple(limit for limit in chart.limits if 0 < limit.value <= FAR * highest)


def svg(chart: Chart, lines: Sequence[Line], now: datetime) -> str:
    """Draw one chart.

    Raises:
        NotRunnable: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415 # heavy, and an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise NotRunnable(
            "charts are drawn with matplotlib, which is not installed",
            hint="pip install 'pgdrill[charts]', or look in the terminal: pgdrill dashboard --terminal",
        ) from error
    width = PAGE * chart.width / COLUMNS - 30
    # Text stays text, and the same drawing has the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "pgdrill", "font.size": _TEXT}):
        figure = Figure(figsize=(width / 72, HEIGHT / 72), dpi=72)
        axes = figure.subplots()
        figure.patch.set_visible(False)
        figure.subplots_adjust(
            left=_MARGIN["left"] / width,
            right=1 - _MARGIN["right"] / width,
            top=1 - _MARGIN["top"] / HEIGHT,
            bottom=_MARGIN["bottom"] / HEIGHT,
        )
        _frame(axes, chart, now)
        _series(axes, chart, lines, now)
        _limits(axes, chart, lines)
        written = StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return _of_the_page(written.getvalue())


def _frame(axes: "Axes", chart: Chart, now: datetime) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 # as above
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 # as above

    axes.set_facecolor("none")
    axes.set_xlim(now - chart.span.back, now)  # type: ignore[arg-type] # dates are taken
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(_STANDS_FOR["line"])
    axes.grid(axis="y", color=_STANDS_FOR["line"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_STANDS_FOR["soft"], length=0, pad=4)
    dates = AutoDateLocator(minticks=2, maxticks=6 if chart.width >= WIDE else 4, tz=UTC)  # type: ignore[no-untyped-call] # matplotlib types it so
    axes.xaxis.set_major_locator(dates)
    told = ConciseDateFormatter(  # type: ignore[no-untyped-call] # as above
        dates, formats=_DATES, zero_formats=_FIRSTS, tz=UTC, show_offset=False
    )
    axes.xaxis.set_major_formatter(told)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10], integer=_whole(chart)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _whole(chart: Chart) -> bool:
    return not chart.unit.value


def _series(axes: "Axes", chart: Chart, lines: Sequence[Line], now: datetime) -> None:
    colours = [_STANDS_FOR[colour(line, place)] for place, line in enumerate(lines)]
    if chart.shape is Shape.BARS:
        _bars(axes, chart, lines, colours)
    elif chart.shape is Shape.AREA:
        _areas(axes, lines, colours)
    else:
        for line, drawn_in in zip(lines, colours, strict=True):
            times, values = zip(*line.points, strict=True)
            if chart.shape is Shape.HELD:
                axes.step((*times, now), (*values, values[-1]), where="post", color=drawn_in, linewidth=1.4)
                if len(times) <= FEW:
                    axes.plot(times, values, "o", color=drawn_in, markersize=3.5)
            else:
                for part in _unbroken(line, chart.span.step):
                    moments, measured = zip(*part, strict=True)
                    lone = "o" if len(part) == 1 else ""
                    axes.plot(moments, measured, marker=lone, markersize=2.5, color=drawn_in, linewidth=1.6)
    highest = max([_highest(chart, lines), *(limit.value for limit in drawn(chart, lines))])
    axes.set_ylim(0, highest * 1.12 or 1)


def _unbroken(line: Line, step: timedelta) -> list[list[tuple[datetime, float]]]:
    """Part a line where data are missing: a gap is what a viewer looks for."""
    parts: list[list[tuple[datetime, float]]] = []
    for point in line.points:
        if not parts or point[0] - parts[-1][-1][0] > 1.5 * step:
            parts.append([])
        parts[-1].append(point)
    return parts


def _bars(axes: "Axes", chart: Chart, lines: Sequence[Line], colours: Sequence[str]) -> None:
    """Bars as wide as what they count, or wide enough to be seen."""
    width = max(chart.span.step * 0.8, chart.span.back / 90)
    base: dict[datetime, float] = {}
    for line, drawn_in in zip(lines, colours, strict=True):
        times = [at for at, _ in line.points]
        axes.bar(
            times,  # type: ignore[arg-type] # dates are taken
            [value for _, value in line.points],
            width=width,  # type: ignore[arg-type] # as are spans
            bottom=[base.get(at, 0.0) for at in times],
            color=drawn_in,
        )
        for at, value in line.points:
            base[at] = base.get(at, 0.0) + value


def _areas(axes: "Axes", lines: Sequence[Line], colours: Sequence[str]) -> None:
    if not lines:
        return
    times = sorted({at for line in lines for at, _ in line.points})
    by_time = [dict(line.points) for line in lines]
    axes.stackplot(
        times,  # type: ignore[arg-type] # dates are taken
        [[values.get(at, 0.0) for at in times] for values in by_time],
        colors=colours,
        linewidth=0,
        step="post",
    )


def _highest(chart: Chart, lines: Sequence[Line]) -> float:
    if chart.shape in {Shape.AREA, Shape.BARS}:
        base: dict[datetime, float] = {}
        for line in lines:
            for at, value in line.points:
                base[at] = base.get(at, 0.0) + value
        return max(base.values(), default=0.0)
    return max((value for line in lines for _, value in line.points), default=0.0)


def _limits(axes: "Axes", chart: Chart, lines: Sequence[Line]) -> None:
    for limit in drawn(chart, lines):
        axes.axhline(limit.value, color=_STANDS_FOR["failed"], linewidth=1.2, dashes=(4, 3))
        axes.annotate(
            limit.label,
            (1, limit.value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=_STANDS_FOR["failed"],
            fontsize=_TEXT - 1,
        )


# ------------------------------------------------------------------------------------------------ as the page has it


def _of_the_page(drawing: str) -> str:
    """Return a drawing with the page's colours and font, and without styles, which the page's policy refuses."""
    inner = drawing[drawing.index("<svg") :]
    inner = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", inner, flags=re.DOTALL)
    inner = re.sub(r' style="([^"]*)"', _attributes, inner)
    inner = re.sub(r'<(g|text) id="[^"]*"', r"<\1", inner)
    for name, stands in _STANDS_FOR.items():
        inner = inner.replace(stands, f"var(--{name})")
    head = re.search(r'viewBox="[^"]*"', inner)
    opened = f'<svg class="chart" {head[0] if head else ""} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" aria-hidden="true">'
    body = inner[inner.index(">") + 1 :]
    return opened + re.sub(r"\n\s*", "\n", body).strip()


# What an attribute can say as a style does; font is the page's.
_KEPT = {
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-dashoffset",
    "text-anchor",
    "opacity",
    "stroke-linecap",
}


def _attributes(style: "re.Match[str]") -> str:
    pairs = [part.split(":", 1) for part in style[1].split(";") if ":" in part]
    kept = [(name.strip(), value.strip()) for name, value in pairs if name.strip() in _KEPT]
    return "".join(f' {name}="{value}"' for name, value in kept)
