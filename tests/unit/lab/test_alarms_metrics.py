"""Statistics are those of the data in a period, of the very metric, in the unit asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.lab.cloudwatch.metrics import Metric, Metrics, Stretch, Unknown

AGE = Metric("pgdrill", "Age", frozenset({("Suffix", "main")}))


def metrics(*data: tuple[float, float]) -> Metrics:
    made = Metrics()
    for at, value in data:
        made.put(AGE, at, value)
    return made


@pytest.mark.parametrize(
    ("statistic", "values"),
    [
        ("SampleCount", [2.0, None, 1.0]),
        ("Sum", [8.0, None, 5.0]),
        ("Average", [4.0, None, 5.0]),
        ("Minimum", [1.0, None, 5.0]),
        ("Maximum", [7.0, None, 5.0]),
        ("p50", [4.0, None, 5.0]),
        ("p99.9", [6.994, None, 5.0]),
    ],
)
def test_a_statistic_is_of_each_period_by_itself(statistic: str, values: list[float | None]) -> None:
    found = metrics((60, 1), (119.9, 7), (180, 5), (240, 9), (59.9, 9)).vector(
        AGE, statistic, Stretch(60, 60, 3)
    )
    assert found == [value if value is None else pytest.approx(value) for value in values]


@pytest.mark.parametrize("statistic", ["Median", "p101", "px", "tm90", ""])
def test_a_statistic_that_is_not_here_is_refused(statistic: str) -> None:
    with pytest.raises(Unknown, match=f"the lab has no statistic '{statistic}'"):
        metrics((60, 1)).vector(AGE, statistic, Stretch(0, 60, 1))


def test_another_set_of_dimensions_is_another_metric() -> None:
    made = metrics((60, 1))
    for other in ({("Suffix", "other")}, set(), {("Suffix", "main"), ("Database", "shop")}):
        made.put(Metric("pgdrill", "Age", frozenset(other)), 60, 99)
    made.put(Metric("other", "Age", AGE.dimensions), 60, 99)
    assert made.vector(AGE, "Maximum", Stretch(60, 60, 1)) == [1]


def test_units_are_apart_unless_nobody_names_one() -> None:
    made = Metrics()
    made.put(AGE, 60, 2, unit="Seconds")
    made.put(AGE, 60, 90, unit="Count")
    over = Stretch(60, 60, 1)
    assert made.vector(AGE, "Maximum", over, "Seconds") == [2]
    assert made.vector(AGE, "Maximum", over) == [90]
    assert made.vector(AGE, "Maximum", over, "Bytes") == [None]


def test_a_statistic_set_has_statistics_and_no_percentile() -> None:
    made = Metrics()
    made.put_set(AGE, 60, (4, 20, 2, 9))
    over = Stretch(60, 60, 1)
    assert [made.vector(AGE, name, over) for name in ("Average", "Maximum", "p90")] == [[5], [9], [None]]


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(-1e6, 1e6)), max_size=30))
def test_the_order_of_arrival_does_not_matter(data: list[tuple[float, float]]) -> None:
    over = Stretch(0, 60, 11)
    for statistic in ("Maximum", "SampleCount"):
        shown = metrics(*data).vector(AGE, statistic, over)
        assert shown == metrics(*sorted(data)).vector(AGE, statistic, over)
        assert shown == metrics(*reversed(data)).vector(AGE, statistic, over)
    assert sum(count or 0 for count in metrics(*data).vector(AGE, "SampleCount", over)) == len(data)


def test_metrics_survive_being_written_down() -> None:
    made = metrics((60, 1), (61, 2))
    made.put(Metric("pgdrill", "Age", frozenset()), 60, 3, unit="Seconds", count=2)
    again = Metrics.load(made.dump())
    assert again.dump() == made.dump()
    assert again.vector(AGE, "Sum", Stretch(60, 60, 1)) == [3]
