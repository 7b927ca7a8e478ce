"""The rule of a composite alarm is true of the states that it says."""

import re

import pytest

from pgdrill.lab.cloudwatch.evaluation import State
from pgdrill.lab.cloudwatch.rules import Malformed, parse

STATES = {"a": State.ALARM, "ok": State.OK, "new": State.INSUFFICIENT_DATA, "a (b)": State.ALARM}


@pytest.mark.parametrize(
    ("rule", "true"),
    [
        ("TRUE", True),
        ("FALSE", False),
        ("ALARM(a)", True),
        ('ALARM("a (b)")', True),
        ("ALARM(arn:aws:cloudwatch:ap-southeast-1:000000000000:alarm:a)", True),
        ("OK(a)", False),
        ("INSUFFICIENT_DATA(new)", True),
        ("NOT ALARM(a)", False),
        ("NOT NOT ALARM(a)", True),
        ("ALARM(nobody)", False),
        ("ALARM(a) OR ALARM(ok) AND FALSE", True),
        ("(ALARM(a) OR ALARM(ok)) AND FALSE", False),
        ("NOT ALARM(ok) AND OK(ok)", True),
        ("NOT (ALARM(a) AND OK(ok))", False),
        ("  ALARM( a )\n OR\tFALSE ", True),
    ],
)
def test_a_rule_is_what_it_reads(rule: str, true: bool) -> None:
    assert parse(rule).holds(STATES.get) is true


def test_a_rule_names_its_alarms_in_order() -> None:
    assert parse("ALARM(b) AND (OK(a) OR NOT INSUFFICIENT_DATA(b))").names == ("b", "a", "b")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("", "'the end' where a condition should be"),
        ("ALARM(a) ALARM(b)", "'ALARM' where 'the end' should be"),
        ("ALARM()", "')' where an alarm's name should be"),
        ("ALARM(a", "'the end' where ')' should be"),
        ("(TRUE", "'the end' where ')' should be"),
        ("TRUE AND", "'the end' where a condition should be"),
        ("Alarm(a)", "'Alarm' where a condition should be"),
        ('ALARM("a)', "'\"a)' is not closed"),
        ("AT_LEAST(1, ALARM, (a, b))", "'AT_LEAST' where a condition should be"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: str, why: str) -> None:
    with pytest.raises(Malformed, match=f"^{re.escape(why)}$"):
        parse(rule)
