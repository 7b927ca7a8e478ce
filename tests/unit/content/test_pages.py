"""Ranges of pages: cut without gap or overlap, merged again, and no page is lost on the way."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pgdrill.content.pages import Pages, cuts, merged

RANGE = 64


@given(st.integers(0, 40 * RANGE), st.integers(0, 40 * RANGE))
def test_ranges_cover_every_page_from_a_start_and_the_last_is_open(start: int, pages: int) -> None:
    ranges = cuts(start, None, pages, RANGE)
    assert ranges[0].start == start
    assert ranges[-1].end is None
    for one, after in pairwise(ranges):
        assert one.end == after.start
        assert one.end is not None
        assert 0 < one.end - one.start <= RANGE


def test_an_empty_table_is_still_opened_once() -> None:
    assert cuts(0, None, 0, RANGE) == [Pages(0, None)]


@given(st.integers(0, 40 * RANGE), st.sets(st.integers(0, 45)))
def test_what_is_left_is_written_as_intervals_that_cut_into_the_same_ranges(
    pages: int, taken: set[int]
) -> None:
    every = cuts(0, None, pages, RANGE)
    left = {one for at, one in enumerate(every) if at not in taken}
    intervals = merged(left)
    assert {part for start, end in intervals for part in cuts(start, end, pages, RANGE)} == left
    for one, after in pairwise(intervals):
        assert one[1] is not None
        assert one[1] < after[0]
