"""The page says at once whether it is recoverable, shows what was measured and stands alone."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from pgdrill.aws.metrics import State
from pgdrill.dashboard import drawing
from pgdrill.dashboard.board import Chart, Limit, Metric, Series, Shape, Unit, Worst
from pgdrill.dashboard.page import SAYS, UNKNOWN, amount, code, nothing, page, recoverable
from pgdrill.dashboard.readings import Line, Readings, beyond
from pgdrill.model import Verdict
from tests.unit.dashboard.conftest import Shown
from tests.unit.dashboard.example import NOW


def standing(home: Shown, value: str | None) -> Readings:
    board, readings = home
    if value is None:
        return replace(readings, states={})
    state = State(name=board.recoverable, arn="arn", value=value, since=NOW)
    return replace(readings, states={board.recoverable: state})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("OK", "Recoverable"),
        ("ALARM", "Not recoverable"),
        ("INSUFFICIENT_DATA", "Nobody knows whether it is recoverable"),
        (None, "Nobody knows whether it is recoverable"),
    ],
)
def test_it_says_first_whether_it_is_recoverable(home: Shown, value: str | None, says: str) -> None:
    head = page(home[0], standing(home, value)).partition("</header>")[0]
    assert f"</span> {says}</h1>" in head


def test_what_is_not_known_is_never_recoverable(home: Shown) -> None:
    board, _ = home
    assert recoverable(board, Readings(NOW, {}, {})) is Verdict.INCONCLUSIVE
    unmeasured = replace(standing(home, "OK"), values={})
    assert recoverable(board, unmeasured) is Verdict.INCONCLUSIVE
    assert recoverable(board, replace(standing(home, "ALARM"), values={})) is Verdict.FAILED
    assert UNKNOWN not in SAYS.values()


def test_an_alarm_that_stands_is_shown_with_its_first_sentence(home_page: str) -> None:
    assert "<b>drill-inconclusive-bank</b>" in home_page
    assert "bank: the last drill in ap-southeast-1 came to no conclusion." in home_page
    assert "<b>drill-inconclusive-shop</b>" not in home_page


def test_it_stands_alone(home_page: str) -> None:
    assert re.findall(r"<(?:script|link|img|iframe)\b", home_page) == []
    assert re.findall(r' style="', home_page) == []
    assert "default-src 'none'" in home_page
    asked = set(re.findall(r'(?:src|xlink:href)="([^"]*)"', home_page))
    assert {reference for reference in asked if not reference.startswith("#")} == set()


def test_it_is_well_formed(home_page: str) -> None:
    open_tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "br"}:
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Reader().feed(home_page)
    assert open_tags == []


def test_every_chart_of_the_board_is_on_the_page(home: Shown, home_page: str) -> None:
    titles = re.findall(r"<figcaption><h3>(.*?)</h3>", home_page)
    assert titles == [chart.title for chart in home[0].charts()]


# ------------------------------------------------------------------------------------------------ one chart

METRIC = Metric("SnapshotAge", (("Suffix", "lab"),))


def chart(
    *values: float, shape: Shape = Shape.LINE, limit: float = 10.0, step: int = 5
) -> tuple[Chart, Line]:
    series = Series("shop", (METRIC,))
    points = tuple(
        (NOW - timedelta(minutes=step * (len(values) - place)), value) for place, value in enumerate(values)
    )
    drawn = Chart("Ages", (series,), Unit.HOURS, 3600.0, (Limit("late", limit, "snapshot-late"),), shape)
    return drawn, Line(series, points)


def paths(svg: str, name: str) -> int:
    return len(re.findall(rf'stroke="var\(--{name}\)"', svg))


@pytest.mark.parametrize("shape", Shape)
def test_a_drawing_is_svg_in_the_pages_colours_and_always_the_same(shape: Shape) -> None:
    drawn, line = chart(1, 2, 3, 9, shape=shape)
    svg = drawing.svg(drawn, [line], NOW)
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 # our own
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {"#000000", "#ffffff"}
    assert "var(--s0)" in svg
    assert svg == drawing.svg(drawn, [line], NOW)


def test_a_limit_is_drawn_where_it_can_be_seen_and_told_where_it_is_far() -> None:
    near, line = chart(1, 2, 9)
    assert drawing.drawn(near, [line]) == near.limits
    assert ">late<" in drawing.svg(near, [line], NOW)
    far, line = chart(1, 2, 3, limit=100)
    assert drawing.drawn(far, [line]) == ()
    assert ">late<" not in drawing.svg(far, [line], NOW)


def test_a_gap_in_what_is_measured_all_the_time_is_a_gap_in_the_line() -> None:
    drawn, line = chart(1, 2, 3, 4, 5, 6)
    whole = drawing.svg(drawn, [line], NOW)
    torn = drawing.svg(drawn, [Line(line.series, line.points[:2] + line.points[4:])], NOW)
    assert paths(torn, "s0") == paths(whole, "s0") + 1


def test_a_value_beyond_its_alarm_is_marked(home: Shown) -> None:
    board, readings = home
    (watched,) = (one for one in board.charts() if one.title == "Newest usable snapshot")
    values = {key: tuple((at, 9 * 3600.0) for at, _ in points) for key, points in readings.values.items()}
    late = Readings(NOW, values, readings.states)
    assert all(line.newest == 9.0 for line in late.lines(watched))
    assert '<li class="over"><i class="s0"></i>shop <b>9 h</b></li>' in page(board, late)


@pytest.mark.parametrize(
    ("value", "limit", "worst", "bad"),
    [
        (10.1, 10, Worst.HIGHEST, True),
        (10, 10, Worst.HIGHEST, False),
        (6, 7, Worst.LOWEST, True),
        (7, 7, Worst.LOWEST, False),
        (7, None, Worst.LOWEST, False),
    ],
)
def test_a_value_is_bad_where_the_alarm_would_speak(
    value: float, limit: float | None, worst: Worst, bad: bool
) -> None:
    assert beyond(value, limit, worst) is bad


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (2.125, Unit.HOURS, "2 h 07 min"),
        (7.5, Unit.MINUTES, "7 min 30 s"),
        (7, Unit.DAYS, "7 d"),
        (459.04, Unit.GIGABYTES, "459 GB"),
        (26.157, Unit.DOLLARS, "US$ 26.16"),
        (4326.4, Unit.DOLLARS, "US$ 4,326"),
        (23.2, Unit.PERCENT, "23.2 %"),
        (20.0, Unit.COUNT, "20"),
    ],
)
def test_an_amount_is_told_as_a_person_reads_it(value: float, unit: Unit, told: str) -> None:
    assert amount(value, unit) == told


def test_nothing_measured_is_told_apart_from_nothing_that_happened() -> None:
    gauge, _ = chart(1)
    counted = Chart("Reaped", (Series("", (Metric("InstancesReaped", (), statistic="Sum"),)),), Unit.COUNT)
    assert (nothing(gauge), nothing(counted)) == ("nothing was measured", "none")


@pytest.mark.parametrize(
    ("unit", "says", "caption"),
    [
        (Unit.MINUTES, "each drill", "minutes; each drill"),
        (Unit.MINUTES, "minutes of data", "minutes of data"),
        (Unit.HOURS, "", "hours"),
        (Unit.COUNT, "a day", "a day"),
    ],
)
def test_a_chart_says_its_unit_once(unit: Unit, says: str, caption: str) -> None:
    assert Chart("Ages", (), unit, says=says).caption == caption


def test_words_are_escaped_and_what_is_in_backquotes_is_code() -> None:
    assert code("see `pgdrill <status>` & go") == "see <code>pgdrill &lt;status&gt;</code> &amp; go"
