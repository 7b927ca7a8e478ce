"""Pages of PostgreSQL as bytes. That checksums are PostgreSQL's own is shown on real pages, in tests/lab."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pgdrill.lab.sabotage import pages
from pgdrill.lab.sabotage.pages import Page

HEADER_WITH_ONE_ITEM = bytes(12) + (28).to_bytes(2, "little")
contents = st.binary(min_size=64, max_size=64).map(lambda seed: HEADER_WITH_ONE_ITEM + (seed * 128)[14:])

# A checksum of 16 bits misses one flip in 65,535: the same examples each time.
same = settings(derandomize=True, max_examples=25, deadline=None)


def test_a_page_of_zeros_has_neither_items_nor_rows() -> None:
    page = Page(7, bytes(pages.SIZE))
    assert (page.items, page.rows(), page.is_whole) == (0, [], False)


@same
@given(contents, st.integers(0, 2**32 - 1), st.integers(0, pages.SIZE - 1), st.integers(0, 7))
def test_every_flipped_bit_is_seen_and_flipped_back(content: bytes, number: int, byte: int, bit: int) -> None:
    page = Page(number, content).signed()
    assert page.is_whole
    assert 1 <= page.checksum <= 65535
    flipped = page.flipped(byte, bit)
    assert flipped.content != page.content
    assert not flipped.is_whole
    assert flipped.flipped(byte, bit) == page


@same
@given(contents, st.integers(0, 1000))
def test_a_checksum_is_that_of_the_page_at_its_place(content: bytes, number: int) -> None:
    page = Page(number, content).signed()
    assert not Page(number + 1, page.content).is_whole


def test_only_rows_that_nobody_deleted_are_taken() -> None:
    def row(state: int, offset: int) -> bytes:
        return (offset | state << 15 | 40 << 17).to_bytes(4, "little")

    content = bytearray(pages.SIZE)
    content[12:14] = (24 + 3 * 4).to_bytes(2, "little")
    content[24:36] = row(1, 8000) + row(1, 7900) + row(3, 7800)
    for offset in (8000, 7800):
        content[offset + 20 : offset + 22] = (0x0800).to_bytes(2, "little")
    assert Page(0, bytes(content)).rows() == [slice(8000, 8040)]
