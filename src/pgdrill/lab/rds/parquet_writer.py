"""Rows as Parquet in the types that RDS gives them; the only module of the lab that needs pyarrow to write."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pgdrill.content.relations import Column
from pgdrill.exporting.parquet_types import mapping

_ARROW = {
    "INT64": pa.int64(),
    "INT32": pa.int32(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "BOOLEAN": pa.bool_(),
    "BINARY": pa.binary(),
    "BYTE_ARRAY": pa.string(),
}


def write(columns: Sequence[Column], chunks: Iterable[Sequence[tuple[Any, ...]]]) -> bytes:
    """Return a file of all chunks of rows; empty if there is no row."""
    schema = pa.schema([(column.name, _arrow(column)) for column in columns])
    target = io.BytesIO()
    count = 0
    with pq.ParquetWriter(target, schema, compression="gzip") as writer:
        for rows in chunks:
            count += len(rows)
            values = zip(*rows, strict=True)
            arrays = [pa.array(column, type=kind) for column, kind in zip(values, schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return target.getvalue() if count else b""


def _arrow(column: Column) -> Any:
    written = mapping(column)
    return pa.int16() if written.logical == "INT_16" else _ARROW[written.primitive]
