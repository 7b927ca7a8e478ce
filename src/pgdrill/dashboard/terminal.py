"""A dashboard as a person reads it in a terminal. Returns renderables, prints nothing.

A line for each series where there are 100 columns; on less a line for the chart, and below it one for each series.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pgdrill.dashboard.board import Alarms, Board, Chart, Shape
from pgdrill.dashboard.page import SAYS, UNKNOWN, amount, nothing, recoverable
from pgdrill.dashboard.readings import Line, Readings, beyond
from pgdrill.evidence.terminal import STYLE
from pgdrill.evidence.wording import SYMBOL, moment, visible

WIDTH = 32
AMOUNT = 11
WIDE = 100
BLOCKS = "▁▂▃▄▅▆▇█"


def dashboard(board: Board, readings: Readings) -> RenderableType:
    verdict = recoverable(board, readings)
    head = Text(f"{SYMBOL[verdict]} {SAYS.get(verdict, UNKNOWN)}", style=f"bold {STYLE[verdict]}")
    parts: list[RenderableType] = [head, Text(f"{board.title}, {moment(readings.now)}", style="dim")]
    parts += _alarms(board, readings)
    for section in board.sections:
        charts = [widget for row in section.rows for widget in row.widgets if isinstance(widget, Chart)]
        if charts:
            parts += [Text(), Text(section.title, style="bold"), _Charts(charts, readings)]
            parts += _empty(charts, readings)
    return Group(*parts)


def _alarms(board: Board, readings: Readings) -> Iterator[Text]:
    """What stands in alarm, each once."""
    names = board.alarms()
    for state in readings.standing(Alarms("", names)):
        told = Text(f"✗ {state.name}", style="red")
        told.append(f" since {moment(state.since)}", style="dim")
        yield told
        yield Text(f"  {visible(state.description.splitlines()[0] if state.description else '')}")


@dataclass(frozen=True)
class _Charts:
    """The charts of a section that have something to show, as wide as the console is."""

    charts: Sequence[Chart]
    readings: Readings

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        drawn = [(chart, self.readings.lines(chart)) for chart in self.charts]
        if options.max_width < WIDE:
            for chart, lines in drawn:
                if lines:
                    yield Text(chart.title)
                    yield self._table([("", chart, lines)], 1)
        else:
            yield self._table([(chart.title, chart, lines) for chart, lines in drawn], 34)

    def _table(self, drawn: Sequence[tuple[str, Chart, Sequence[Line]]], width: int) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=width)
        table.add_column(width=WIDTH)
        table.add_column(justify="right", no_wrap=True, min_width=AMOUNT)
        table.add_column(style="dim")
        for title, chart, lines in drawn:
            for place, line in enumerate(lines):
                table.add_row("" if place else title, *self._row(chart, place, line))
        return table

    def _row(self, chart: Chart, place: int, line: Line) -> tuple[Text, Text, str]:
        limit = next((limit for limit in chart.limits if limit.alarm), None)
        bad = limit is not None and beyond(line.newest, limit.value, chart.worst)
        newest = Text(amount(_told(line, chart), chart.unit), style="bold red" if bad else "bold")
        against = f"{limit.label} {amount(limit.value, chart.unit)}" if limit and place == 0 else ""
        name = line.series.label if len(chart.series) > 1 else ""
        drawn = Text(sparks(line, self.readings.now, chart.span.back), style="red" if bad else "cyan")
        return drawn, newest, "  ".join(part for part in (name, against) if part)


def _empty(charts: Sequence[Chart], readings: Readings) -> Iterator[Text]:
    """What of a section nothing was measured of, and what did not happen: a line each."""
    empty = [chart for chart in charts if not readings.lines(chart)]
    for said in sorted({nothing(chart) for chart in empty}):
        yield Text(f"{said}: {'; '.join(c.title for c in empty if nothing(c) == said)}", style="dim")


def _told(line: Line, chart: Chart) -> float:
    """Return what bars counted together, else the newest value."""
    return (
        sum(value for _, value in line.points)
        if chart.shape is Shape.BARS and _counts(chart)
        else line.newest
    )


def _counts(chart: Chart) -> bool:
    return not chart.unit.value


def sparks(line: Line, now: datetime, back: timedelta) -> str:
    """Return the highest value of each part of the time as a block; a space where nothing was measured."""
    parts: list[float | None] = [None] * WIDTH
    for at, value in line.points:
        place = min(WIDTH - 1, int((at - (now - back)) / back * WIDTH))
        if place >= 0:
            parts[place] = max(value, parts[place] or 0.0)
    highest = max((value for value in parts if value is not None), default=0.0)
    return "".join(_spark(value, highest) for value in parts)


def _spark(value: float | None, highest: float) -> str:
    if value is None:
        return " "
    return BLOCKS[round(value / highest * (len(BLOCKS) - 1))] if highest > 0 else BLOCKS[0]
