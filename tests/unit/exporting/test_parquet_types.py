"""The mapping, held against the table that AWS publishes."""

import pytest

from pgdrill.content.relations import Column
from pgdrill.exporting.parquet_types import Kind, mapping

# PostgreSQL's own name of a type, and Parquet's primitive type and logical type annotation.
# Source: RDS User Guide, "PostgreSQL data type mapping to Parquet".
PUBLISHED = {
    "int8": ("INT64", ""),
    "numeric": ("BYTE_ARRAY", "STRING"),
    "float8": ("DOUBLE", ""),
    "int4": ("INT32", ""),
    "money": ("BYTE_ARRAY", "STRING"),
    "float4": ("FLOAT", ""),
    "int2": ("INT32", "INT_16"),
    "_int4": ("BYTE_ARRAY", "STRING"),
    "bit": ("BYTE_ARRAY", "STRING"),
    "varbit": ("BYTE_ARRAY", "STRING"),
    "bytea": ("BINARY", ""),
    "char": ("BYTE_ARRAY", "STRING"),
    "bpchar": ("BYTE_ARRAY", "STRING"),
    "name": ("BYTE_ARRAY", "STRING"),
    "text": ("BYTE_ARRAY", "STRING"),
    "tsvector": ("BYTE_ARRAY", "STRING"),
    "varchar": ("BYTE_ARRAY", "STRING"),
    "xml": ("BYTE_ARRAY", "STRING"),
    "date": ("BYTE_ARRAY", "STRING"),
    "interval": ("BYTE_ARRAY", "STRING"),
    "time": ("BYTE_ARRAY", "STRING"),
    "timetz": ("BYTE_ARRAY", "STRING"),
    "timestamp": ("BYTE_ARRAY", "STRING"),
    "timestamptz": ("BYTE_ARRAY", "STRING"),
    "box": ("BYTE_ARRAY", "STRING"),
    "polygon": ("BYTE_ARRAY", "STRING"),
    "json": ("BYTE_ARRAY", "STRING"),
    "jsonb": ("BYTE_ARRAY", "STRING"),
    "bool": ("BOOLEAN", ""),
    "cidr": ("BYTE_ARRAY", "STRING"),
    "inet": ("BYTE_ARRAY", "STRING"),
    "macaddr": ("BYTE_ARRAY", "STRING"),
    "pg_lsn": ("BYTE_ARRAY", "STRING"),
    "numrange": ("BYTE_ARRAY", "STRING"),
    "uuid": ("BYTE_ARRAY", "STRING"),
    "": ("BYTE_ARRAY", "STRING"),
}


@pytest.mark.parametrize(("name", "parquet"), PUBLISHED.items())
def test_a_type_is_written_as_aws_publishes(name: str, parquet: tuple[str, str]) -> None:
    written = mapping(Column("c", name))
    assert (written.primitive, written.logical) == parquet


@pytest.mark.parametrize("name", ["int8", "bool", "float8", "bytea", "text"])
def test_a_domain_is_written_as_text_and_summed_as_its_base(name: str) -> None:
    written = mapping(Column("c", name, domain=True))
    assert (written.primitive, written.logical) == ("BYTE_ARRAY", "STRING")
    assert written.kind is mapping(Column("c", name)).kind


def test_only_what_aws_leaves_open_is_not_sure() -> None:
    assert mapping(Column("c", "timestamptz")).sure
    assert mapping(Column("c", "numeric", domain=True)).sure
    assert not mapping(Column("c", "interval")).sure
    assert not mapping(Column("c", "_int4", element="int4")).sure
    assert not mapping(Column("c", "bytea", domain=True)).sure


def test_blanks_at_the_end_of_a_padded_text_are_not_compared() -> None:
    assert mapping(Column("c", "bpchar")).kind is Kind.PADDED
    assert mapping(Column("c", "varchar")).kind is Kind.TEXT
