"""Metric math works period by period, and says what it does not take."""

import re

import pytest

from pgdrill.lab.cloudwatch.expressions import evaluate, names, parse
from pgdrill.lab.cloudwatch.metrics import Unknown, Vector

GIVEN: dict[str, Vector] = {"m1": [1, None, 3], "m2": [4, 0, None]}


def value(text: str) -> Vector:
    return evaluate(parse(text), GIVEN, list(GIVEN.values()), 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m1", [1, None, 3]),
        ("7", [7, 7, 7]),
        ("m1 + m2 * 2", [9, None, None]),
        ("-m1 / 2", [-0.5, None, -1.5]),
        ("1 / m2", [0.25, None, None]),
        ("FILL(m1, 0)", [1, 0, 3]),
        ("FILL(m1, m2)", [1, 0, 3]),
        ("FILL(m2, REPEAT)", [4, 0, 0]),
        ("FILL(m1, 900) > 600", [0, 1, 0]),
        ("m1 >= 3 OR m2 > 3", [1, None, None]),
        ("FILL(m1, 0) > 0 && FILL(m2, 1) > 0", [1, 0, 1]),
        ("IF(FILL(m1, 9) > 2, 1, 0)", [0, 1, 1]),
        ("SUM(METRICS())", [5, 0, 3]),
        ("MAX([m1, m2])", [4, 0, 3]),
        ("MIN(FILL(METRICS(), 2))", [1, 0, 2]),
        ("AVG([m1, m2])", [2.5, 0, 3]),
        ("ABS(m1 - 3)", [2, None, 0]),
        ("CEIL(m1 / 2) - FLOOR(m1 / 2)", [1, None, 1]),
    ],
)
def test_an_expression_has_a_value_a_period(text: str, expected: Vector) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("m1 +", "the lab does not understand the expression 'm1 +'"),
        ("m3", "the lab's metric math does not take m3"),
        ("m1 ** 2", "the lab's metric math does not take m1 ** 2"),
        ("RATE(m1)", "the lab's metric math has no RATE of 1 arguments"),
        ("MAX(m1)", "the lab's metric math takes lists, not the single series m1"),
        ("METRICS()", "the lab's metric math takes one series, not the list METRICS()"),
        ("ABS([m1, m2])", "the lab's metric math takes one series, not the list [m1, m2]"),
    ],
)
def test_what_is_not_here_is_refused(text: str, why: str) -> None:
    with pytest.raises(Unknown, match=f"^{re.escape(why)}$"):
        value(text)


def test_an_expression_names_what_it_needs() -> None:
    assert names(parse("IF(FILL(m1, REPEAT) > 3 OR e1, m2, 0)")) == {"m1", "m2", "e1"}
