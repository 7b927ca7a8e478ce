"""PostgreSQL's pages as bytes, so that sabotage can damage them as hardware and software do. Touches no file.

Source: bufpage.h, itemid.h, htup_details.h and checksum_impl.h of PostgreSQL 15.
"""

import struct
from dataclasses import dataclass

SIZE = 8192
HEADER = 24  # bytes of a page's header; line pointers of four bytes each follow
_CHECKSUM = slice(8, 10)

_NORMAL = 1  # state of a line pointer that leads to a tuple
_NEVER_DELETED = 0x0800  # HEAP_XMAX_INVALID
_ROW_HEADER = 23

_PRIME = 16777619
_OFFSETS = (
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """One page of a relation and its number in it; the number is part of its checksum."""

    number: int
    content: bytes

    @property
    def items(self) -> int:
        """How many line pointers it has; none on a page of zeros."""
        lower = int.from_bytes(self.content[12:14], "little")
        return max(0, lower - HEADER) // 4

    @property
    def checksum(self) -> int:
        return int.from_bytes(self.content[_CHECKSUM], "little")

    @property
    def upper(self) -> int:
        """Where its rows or keys begin; they reach to `special`."""
        return int.from_bytes(self.content[14:16], "little")

    @property
    def special(self) -> int:
        return int.from_bytes(self.content[16:18], "little")

    @property
    def is_whole(self) -> bool:
        """Whether it is no page of zeros and has the checksum of its content."""
        return self.items > 0 and self.checksum == checksum(self.content, self.number)

    def rows(self) -> list[slice]:
        """Return where on a table's page the rows are that no transaction has deleted or is changing."""
        found = []
        for start in range(HEADER, HEADER + 4 * self.items, 4):
            pointer = int.from_bytes(self.content[start : start + 4], "little")
            offset, state, length = pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17
            infomask = int.from_bytes(self.content[offset + 20 : offset + 22], "little")
            if state == _NORMAL and infomask & _NEVER_DELETED:
                found.append(slice(offset, offset + length))
        return found

    def data(self) -> list[bytes]:
        """Return the rows without their headers, which change when they are merely read."""
        return [self.content[row][_ROW_HEADER:] for row in self.rows()]

    def flipped(self, byte: int, bit: int) -> "Page":
        content = bytearray(self.content)
        content[byte] ^= 1 << bit
        return Page(self.number, bytes(content))

    def signed(self) -> "Page":
        """Return the page with the checksum of its content as it now is."""
        content = bytearray(self.content)
        content[_CHECKSUM] = checksum(self.content, self.number).to_bytes(2, "little")
        return Page(self.number, bytes(content))


def checksum(content: bytes, number: int) -> int:
    """Return the checksum that PostgreSQL gives a page: 32 interleaved FNV-1a sums, folded to 1..65535."""
    words = struct.unpack(f"<{SIZE // 4}I", content[:8] + b"\0\0" + content[10:])
    folded = 0
    for column, start in enumerate(_OFFSETS):
        one = start
        for word in (*words[column :: len(_OFFSETS)], 0, 0):
            mixed = one ^ word
            one = (mixed * _PRIME & 0xFFFFFFFF) ^ (mixed >> 17)
        folded ^= one
    return (folded ^ number) % 65535 + 1
