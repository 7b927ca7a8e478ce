import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill import slots
from pgdrill.model import Kept
from pgdrill.plan import Plan
from pgdrill.planning import outlook
from tests.unit.plans import SMALL, plan

SHOP: dict[str, Any] = SMALL["database"][0]
SVG = "{http://www.w3.org/2000/svg}"


def numbers(of: Plan) -> dict[tuple[str, str], tuple[int, int | None]]:
    return {(count.what, count.where): (count.a_year, count.kept) for count in outlook.counts(of)}


def test_a_year_of_the_default_plan() -> None:
    assert numbers(plan()) == {
        ("recovery points", "ap-southeast-1"): (1460, 120),
        ("copies", "ap-northeast-1"): (1460, 120),
        ("automated backups of RDS", "ap-southeast-1"): (365, 7),
        ("exports", "ap-southeast-1"): (365, 30),
        ("drills", "ap-southeast-1"): (52, None),
        ("drills", "ap-northeast-1"): (12, None),
        ("seals", "ap-southeast-1"): (2920, None),
        ("beats of the ledger", "ap-southeast-1"): (525_600, 10_080),
    }


def test_two_databases_make_twice_as_much_and_one_without_ledger_beats_not() -> None:
    two = [SHOP, SHOP | {"name": "crm", "instance": "crm", "ledger": "off"}]
    found = numbers(plan(database=two, exports={"schedule": "slot"}))
    assert found["recovery points", "ap-southeast-1"] == (2920, 240)
    assert found["exports", "ap-southeast-1"] == (2920, 240)
    assert found["beats of the ledger", "ap-southeast-1"] == (525_600, 10_080)
    assert numbers(plan(exports={"schedule": "off"}))["exports", "ap-southeast-1"] == (0, 0)


def kept(what: str, of: Plan) -> Kept:
    return next(found for found in outlook.retention(of) if found.what == what)


def test_the_picture_has_every_slot_for_thirty_days_and_the_window_for_seven() -> None:
    assert kept("points", plan()).days == (4,) * 30
    assert kept("PITR", plan()).days == (1,) * 7
    assert kept("exports", plan()).days == (1,) * 30


def test_tiered_points_are_thin_after_a_week_and_copies_stay_as_they_are() -> None:
    tiered = plan(points={"daily_after": "7d"})
    assert kept("points", tiered).days == (4,) * 7 + (1,) * 23
    assert kept("copies", tiered).days == (4,) * 30


def test_exports_that_are_off_are_not_drawn() -> None:
    assert [found.what for found in outlook.retention(plan(exports={"schedule": "off"}))] == [
        "PITR",
        "points",
        "copies",
    ]


@given(
    st.sampled_from(["1h", "4h", "6h", "24h"]),
    st.integers(2, 90),
    st.none() | st.integers(1, 89),
)
def test_the_picture_shows_as_many_as_are_kept(every: str, keep: int, daily: int | None) -> None:
    rules: dict[str, Any] = {"every": every, "offset": "0h", "keep": f"{keep}d"}
    if daily is not None and daily < keep:
        rules["daily_after"] = f"{daily}d"
    of = plan(points=rules)
    assert sum(kept("points", of).days) == slots.most_wanted(of.points, of.points)


def bars(*days: int) -> Kept:
    return Kept(what="points", region="here", keep="1d", days=days)


@pytest.mark.parametrize(
    ("days", "span", "drawn"),
    [
        ((4, 4, 1, 1), 5, "██▂▂ "),
        ((4, 0, 4), 3, "█ █"),
        # Twice as many days as characters: two share one.
        ((4,) * 60 + (0,) * 60, 120, "█" * 30 + " " * 30),
        ((0, 1) * 60, 120, "▁" * 60),
    ],
)
def test_what_is_kept_is_drawn_in_eighths_of_the_most_a_day(
    days: tuple[int, ...], span: int, drawn: str
) -> None:
    assert outlook.blocks(bars(*days), span, 4) == drawn


def test_the_axis_is_as_wide_as_the_drawing() -> None:
    for span in (30, 60, 400):
        axis = outlook.axis(span)
        assert len(axis) == len(outlook.blocks(bars(1), span, 4)) == min(span, 60)
        assert axis.endswith(f" {span} d ago")


def test_the_svg_draws_a_column_for_every_day_and_says_what_it_shows() -> None:
    root = ET.fromstring(outlook.svg(plan(points={"daily_after": "7d"})))  # noqa: S314  # our own template
    drawn = [rect.attrib for rect in root.iter(f"{SVG}rect")]
    heights = [float(rect["height"]) for rect in drawn if rect["class"] == "kept"]
    assert len(heights) == 30 + 30 + 30
    assert heights[:30] == [28.0] * 7 + [7.0] * 23
    (line,) = [float(rect["width"]) for rect in drawn if rect["class"] == "every"]
    assert line == pytest.approx((880 - 190 - 20) * 7 / 30, abs=0.1)
    said = root.findtext(f"{SVG}desc")
    assert said is not None
    assert "points in ap-southeast-1: kept for 30d, 51 at once;" in said
    assert "PITR in ap-southeast-1: kept for 7d, every moment;" in said


def test_the_svg_escapes_what_the_plan_says() -> None:
    drawn = outlook.svg(plan(dr=SMALL["dr"] | {"region": "<script>"}))
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn
