"""How RDS writes a PostgreSQL value into Parquet, as AWS publishes it, and so how the two can be compared. Data.

Source: RDS User Guide, "Data conversion when exporting to an Amazon S3 bucket", PostgreSQL data type mapping.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pgdrill.content.relations import Column


class Kind(StrEnum):
    """What of a column's values is summed, on both sides, whatever the order of the rows.

    The bit patterns of floats, the microseconds of moments, 64 bits of the MD5 of texts and bytes. Padded text is
    summed without the spaces at its end.
    """

    INTEGER = "integer"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    FLOAT = "float"
    DOUBLE = "double"
    MOMENT = "moment"
    TEXT = "text"
    PADDED = "padded"
    BYTES = "bytes"


@dataclass(frozen=True)
class Mapping:
    """`primitive` and `logical` are Parquet's. `sure` is False where AWS does not say how the text is written.

    A difference in a column that is not sure may be the writer's way of writing, so it convicts nobody.
    """

    primitive: str
    logical: str
    kind: Kind
    sure: bool = True


def _text(*, sure: bool = True, kind: Kind = Kind.TEXT) -> Mapping:
    return Mapping("BYTE_ARRAY", "STRING", kind, sure)


MAPPING: dict[str, Mapping] = {
    "int8": Mapping("INT64", "", Kind.INTEGER),
    "int4": Mapping("INT32", "", Kind.INTEGER),
    "int2": Mapping("INT32", "INT_16", Kind.INTEGER),
    "float8": Mapping("DOUBLE", "", Kind.DOUBLE),
    "float4": Mapping("FLOAT", "", Kind.FLOAT),
    "bool": Mapping("BOOLEAN", "", Kind.BOOLEAN),
    "bytea": Mapping("BINARY", "", Kind.BYTES),
    # Text, since Parquet's decimals know neither NaN nor every precision.
    "numeric": _text(kind=Kind.DECIMAL),
    "date": _text(kind=Kind.MOMENT),
    "timestamp": _text(kind=Kind.MOMENT),
    "timestamptz": _text(kind=Kind.MOMENT),
    "bpchar": _text(kind=Kind.PADDED),
    **dict.fromkeys(("text", "varchar", "name", "char", "uuid", "json", "xml"), _text()),
}
# Arrays, composites, enums, ranges, geometry, networks, intervals, times of day, money, and what has a type of its
# own: published as STRING, without a word on the form of the text.
OTHER = _text(sure=False)


def mapping(column: Column) -> Mapping:
    """Return how a column is written. A domain is written as text, whatever it is based on."""
    known = MAPPING.get(column.type, OTHER)
    if not column.domain:
        return known
    return _text(kind=known.kind, sure=known.sure and known.kind is not Kind.BYTES)


@dataclass
class Sum:
    """Over one column: values that are not null, and their sum. `odd` are those that have none, as infinity."""

    values: int = 0
    total: Decimal = Decimal(0)
    odd: int = 0


@dataclass
class Sums:
    """Over one table. `key` is the sum over the rows' keys, None where there is none that can be compared.

    `absent` are columns that were asked for and are in no file, `unknown` those of the files that were not.
    """

    rows: int = 0
    columns: dict[str, Sum] = field(default_factory=dict)
    key: Decimal | None = None
    absent: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
