"""What is read is what was published: sums and worst values of all databases, and of too many the highest."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from pgdrill.aws.metrics import Points
from pgdrill.dashboard.board import RECENT, Chart, Metric, Numbers, Series, Together, Unit
from pgdrill.dashboard.readings import Readings
from pgdrill.dashboard.terminal import WIDTH, dashboard, sparks
from pgdrill.model import Verdict
from tests.unit.dashboard.conftest import Shown
from tests.unit.dashboard.example import DATABASES, NOW

MINUTE = timedelta(minutes=1)


def titled(shown: Shown, title: str) -> Chart:
    return next(chart for chart in shown[0].charts() if chart.title == title)


def test_every_chart_of_the_example_but_those_of_what_never_happened_has_data(
    home: Shown, away: Shown
) -> None:
    for board, readings in (home, away):
        empty = {chart.title for chart in board.charts() if not readings.lines(chart)}
        assert empty <= {
            "Points deleted before their time",
            "Schedules that started nothing",
            "Set aside, told or started nobody",
            "Temporary instances that a drill left",
            "Told to somebody whom it did not reach",
        }


def test_an_age_is_in_the_charts_unit(home: Shown) -> None:
    shop, bank = home[1].lines(titled(home, "Newest usable snapshot"))
    assert shop.newest == pytest.approx(2 + 7 / 60)
    assert bank.newest == pytest.approx(shop.newest + 0.25)


def test_counts_are_of_all_databases_together(home: Shown) -> None:
    lines = {line.series.label: line for line in home[1].lines(titled(home, "Drills by verdict"))}
    counted = {label: sum(value for _, value in line.points) for label, line in lines.items()}
    assert counted == {"passed": 22, "failed": 1, "inconclusive": 1}


def test_a_number_is_the_worst_of_all_databases(home: Shown) -> None:
    board, readings = home
    (numbers,) = (widget for widget in board.widgets() if isinstance(widget, Numbers))
    newest = {one.label: readings.number(one).newest for one in numbers.numbers}
    assert newest["newest snapshot"] == readings.lines(titled(home, "Newest usable snapshot"))[1].newest
    assert newest["free snapshots"] == 20


def test_of_too_many_series_the_highest_are_shown() -> None:
    series = tuple(
        Series(f"db{number}", (Metric("Age", (("Database", str(number)),)),)) for number in range(30)
    )
    values: dict[tuple[Metric, timedelta], Points] = {
        (one.metrics[0], RECENT.step): ((NOW, float(place)),) for place, one in enumerate(series)
    }
    lines = Readings(NOW, values, {}).lines(Chart("Ages", series, Unit.COUNT))
    assert [line.series.label for line in lines] == [f"db{number}" for number in range(29, 19, -1)]


@pytest.mark.parametrize(
    ("together", "value"), [(Together.SUM, 5.0), (Together.MAX, 3.0), (Together.MIN, 2.0)]
)
def test_what_is_missing_of_one_metric_is_left_out(together: Together, value: float) -> None:
    one, two = Metric("Age", (("Database", "one"),)), Metric("Age", (("Database", "two"),))
    values = {
        (one, RECENT.step): ((NOW - MINUTE, 7.0), (NOW, 2.0)),
        (two, RECENT.step): ((NOW, 3.0),),
    }
    (line,) = Readings(NOW, values, {}).lines(
        Chart("Ages", (Series("both", (one, two), together),), Unit.COUNT)
    )
    assert line.points == ((NOW - MINUTE, 7.0), (NOW, value))


def test_alarms_that_stand_come_newest_first(home: Shown) -> None:
    board, readings = home
    assert [state.name for state in readings.standing(board.sections[0].rows[0].widgets[1])] == [  # type: ignore[arg-type] # the alarms
        "pgdrill-lab-drill-inconclusive-bank"
    ]
    composite = readings.state(board.recoverable)
    assert composite is not None
    assert composite.value == "OK"
    assert len(readings.states) > len(DATABASES) * 10


# ------------------------------------------------------------------------------------------------ in the terminal


def printed(shown: Shown, width: int = 100) -> str:
    console = Console(width=width, file=StringIO())
    with console.capture() as captured:
        console.print(dashboard(*shown))
    return captured.get()


def test_the_terminal_says_the_same(home: Shown) -> None:
    text = printed(home)
    assert text.startswith(
        "✓ recoverable\npgdrill lab: primary cell in ap-southeast-1, 2026-11-24 03:07:00 UTC\n"
    )
    assert "✗ pgdrill-lab-drill-inconclusive-bank" in text
    assert "Newest usable snapshot" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100


def test_a_terminal_without_data_claims_nothing(home: Shown) -> None:
    board, _ = home
    text = printed((board, Readings(NOW, {}, {})))
    assert text.startswith("? nobody knows whether it is recoverable\n")
    assert Verdict.PASSED not in text.splitlines()[0]
    assert "nothing was measured" in text


def test_on_less_than_100_columns_a_chart_has_a_line_and_a_series_one_below(home: Shown) -> None:
    board, readings = home
    lines = [line.rstrip() for line in printed(home, 80).splitlines()]
    assert max(map(len, lines)) <= 80
    measured = [chart for chart in board.charts() if readings.lines(chart)]
    assert len(measured) > 20
    places = [lines.index(chart.title) for chart in measured]
    assert places == sorted(places)
    place = lines.index("Newest usable snapshot")
    assert [line[2 + WIDTH :].strip() for line in lines[place + 1 : place + 3]] == [
        "2 h 07 min shop  snapshot-late 6 h 15 min",
        "2 h 22 min bank",
    ]
    assert "Newest usable snapshot" not in [line.rstrip() for line in printed(home, 100).splitlines()]


@pytest.mark.parametrize("width", [80, 100])
def test_what_was_not_measured_is_one_line_a_section(home: Shown, width: int) -> None:
    board, _ = home
    text = printed((board, Readings(NOW, {}, {})), width)
    assert 1 < text.count("nothing was measured: ") <= len(board.sections)
    told = " ".join(text.split())
    assert [chart.title for chart in board.charts() if chart.title not in told] == []
    assert "▁" not in text


def test_sparks_rise_with_values_and_leave_gaps(home: Shown) -> None:
    _, readings = home
    (line, _) = readings.lines(titled(home, "Newest usable snapshot"))
    drawn = sparks(line, NOW, RECENT.back)
    assert len(drawn) == WIDTH
    assert {"█", "▅"} <= {*drawn}
    half = sparks(type(line)(line.series, line.points[len(line.points) // 2 :]), NOW, RECENT.back)
    assert half[:10] == " " * 10
