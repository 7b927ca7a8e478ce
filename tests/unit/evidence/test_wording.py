"""Quantities and names as a person reads them."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.evidence import wording
from pgdrill.model import Stage, Verdict


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "not measured"),
        (0, "0 s"),
        (0.0004, "under 1 ms"),
        (0.85, "850 ms"),
        (0.9999, "1 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min"),
        (245, "4 min 05 s"),
        (3599.6, "1 h"),
        (7380, "2 h 03 min"),
        (14400, "4 h"),
        (273600, "3 d 04 h"),
        (-5, "-5 s"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float | None, said: str) -> None:
    assert wording.duration(seconds) == said


@given(st.floats(min_value=0, max_value=1e8))
def test_no_duration_is_told_more_than_a_part_of_its_last_unit_away_from_the_truth(seconds: float) -> None:
    units = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
    parts = re.findall(r"([\d.]+) (ms|s|min|h|d)\b", wording.duration(seconds))
    assert 1 <= len(parts) <= 2
    told = sum(float(amount) * units[unit] for amount, unit in parts)
    smaller = {"ms": 0.001, "s": 0.5, "min": 1, "h": 60, "d": 3600}[parts[0][1]]
    assert abs(told - seconds) <= smaller + 0.5


def test_exact_seconds_keep_the_milliseconds() -> None:
    assert wording.exact(21960.0006) == "21\u202f960.001 s"
    assert wording.exact(None) == "not measured"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "not measured"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_100_000_000, "2.1 GB"),
        (32 * 10**12, "32.0 TB"),
        (10**19, "10000.0 PB"),
    ],
)
def test_a_size_is_told_in_decimal_units(count: int | None, said: str) -> None:
    assert wording.size(count) == said


@pytest.mark.parametrize(
    ("part", "said"),
    [(0, "0 %"), (0.001, "under 1 %"), (0.5, "50 %"), (0.999, "99 %"), (1, "100 %"), (1.001, "101 %")],
)
def test_a_share_never_rounds_across_the_objective(part: float, said: str) -> None:
    assert wording.share(part, 1) == said


def test_a_share_of_nothing_is_not_measured() -> None:
    assert wording.share(1, 0) == "not measured"


def test_a_moment_is_told_in_utc() -> None:
    assert wording.moment(datetime(2026, 11, 22, 6, 5, 1, tzinfo=UTC)) == "2026-11-22 06:05:01 UTC"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every table was read whole", "Every table was read whole."),
        ("version, checksums hold", "Version, checksums hold."),
        ("shop.orders lost rows", "shop.orders lost rows."),
        ('"Order Lines" lost rows', '"Order Lines" lost rows.'),
        ("Is it whole?", "Is it whole?"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_unless_a_name_does_not(text: str, said: str) -> None:
    assert wording.sentence(text) == said


def test_characters_that_drive_a_terminal_or_turn_a_line_around_are_spelled_out() -> None:
    assert wording.visible("a\x1b[31m\u202eb\x00\n\ud800") == r"a\x1b[31m\u202eb\x00\n\ud800"


def test_letters_of_any_script_stay_as_they_are() -> None:
    assert wording.visible('Größe "訂單" заказ') == 'Größe "訂單" заказ'


@given(st.text())
def test_nothing_visible_is_a_control_character(text: str) -> None:
    assert not re.search(
        r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", wording.visible(text)
    )


def test_every_verdict_and_every_stage_has_its_word_and_no_two_share_a_symbol() -> None:
    assert set(wording.VERDICT) == set(wording.SYMBOL) == set(wording.URGENCY) == set(Verdict)
    assert len(set(wording.SYMBOL.values())) == len(Verdict)
    assert set(wording.PHASE) == set(Stage)
