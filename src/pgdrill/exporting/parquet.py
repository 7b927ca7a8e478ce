"""Reads an export's Parquet files into counts and typed sums; the only module that needs the extra `parquet`.

No value is kept: what comes out are counts and sums over all rows of a table, whatever their order and their files.
"""

import io
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from hashlib import md5
from typing import Any

from pgdrill.errors import Broken, NotRunnable
from pgdrill.exporting.parquet_types import Kind, Sum, Sums

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError:  # the extra is not installed; `require` says so
    pq = None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 65_536
# A numeric of PostgreSQL has up to 131,072 digits before and 16,383 after its point.
_EXACT = Context(prec=150_000, Emin=-999_999, Emax=999_999)


def require() -> None:
    """Raises NotRunnable where the extra is missing."""
    if pq is None:
        raise NotRunnable(
            "exports cannot be read here: pyarrow is not installed",
            hint="install pgdrill with its extra: pip install 'pgdrill[parquet]'",
        )


def sums(files: Iterable[bytes], kinds: Mapping[str, Kind], key: Sequence[str] = ()) -> Sums:
    """Sum up a table's files by the kinds of its columns.

    Raises:
        Broken: a file is not Parquet, or holds values that are not of the column's type.
        NotRunnable: the extra is not installed.
    """
    require()
    found = Sums(columns={name: Sum() for name in kinds}, key=Decimal(0) if key else None)
    for body in files:
        try:
            _add_file(found, body, kinds, key)
        except (pa.ArrowException, ValueError, TypeError, InvalidOperation, struct.error) as error:
            # Without the cause's text: it may quote a value.
            raise Broken(
                f"a file of the export cannot be read as its columns say: {type(error).__name__}",
                hint="the export is damaged or written in another form; read one with a Parquet tool",
            ) from None
    return found


def _add_file(found: Sums, body: bytes, kinds: Mapping[str, Kind], key: Sequence[str]) -> None:
    file = pq.ParquetFile(io.BytesIO(body))
    names = set(file.schema_arrow.names)
    found.absent |= set(kinds) - names
    found.unknown |= names - set(kinds)
    if not names.issuperset(key):
        found.key = None
    for batch in file.iter_batches(batch_size=_BATCH, columns=[name for name in kinds if name in names]):
        found.rows += batch.num_rows
        for name in batch.schema.names:
            _add(found.columns[name], kinds[name], batch.column(name).drop_null())
        if found.key is not None:
            found.key += _keys([(kinds[name], batch.column(name)) for name in key])


def _add(into: Sum, kind: Kind, values: Any) -> None:
    into.values += len(values)
    total, odd = _SUMS[kind](values)
    into.total = _EXACT.add(into.total, Decimal(total))
    into.odd += odd


def _keys(columns: list[tuple[Kind, Any]]) -> int:
    texts = [[_key_text(kind, value) for value in values.to_pylist()] for kind, values in columns]
    return sum(_hashed("\x1f".join(row).encode()) for row in zip(*texts, strict=True))


def _key_text(kind: Kind, value: Any) -> str:
    if kind is Kind.MOMENT:
        moment = microseconds(str(value))
        return "odd" if moment is None else str(moment)
    return str(value).rstrip(" ") if kind is Kind.PADDED else str(value)


def _integers(values: Any) -> tuple[int, int]:
    if pa.types.is_integer(values.type):
        wide = values.cast(pa.int64()).cast(pa.decimal128(38, 0))
        return int(pc.sum(wide).as_py() or 0), 0
    return sum(map(int, values.to_pylist())), 0


def _booleans(values: Any) -> tuple[int, int]:
    if pa.types.is_boolean(values.type):
        return values.true_count, 0
    return sum(value in {"t", "true"} for value in values.to_pylist()), 0


def _bits(of_float: str, of_bits: str) -> Callable[[Any], tuple[int, int]]:
    """Sum floats by their bits, as signed integers; every NaN is the same one."""

    def total(values: Any) -> tuple[int, int]:
        numbers = (math.nan if math.isnan(value) else value for value in map(float, values.to_pylist()))
        packed = [struct.pack(f">{of_float}", number) for number in numbers]
        return sum(struct.unpack(f">{len(packed)}{of_bits}", b"".join(packed))), 0

    return total


def _decimals(values: Any) -> tuple[Decimal, int]:
    total, odd = Decimal(0), 0
    for value in values.to_pylist():
        number = Decimal(value)
        if number.is_finite():
            total = _EXACT.add(total, number)
        else:
            odd += 1
    return total, odd


def _moments(values: Any) -> tuple[int, int]:
    found = [microseconds(str(value)) for value in values.to_pylist()]
    return sum(one for one in found if one is not None), found.count(None)


def microseconds(text: str) -> int | None:
    """Return a moment since 1970, None for infinity and for years that are not 1 to 9999."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _texts(values: Any) -> tuple[int, int]:
    return sum(_hashed(_bytes(value)) for value in values.to_pylist()), 0


def _padded(values: Any) -> tuple[int, int]:
    return sum(_hashed(_bytes(value).rstrip(b" ")) for value in values.to_pylist()), 0


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _hashed(value: bytes) -> int:
    digest = md5(value, usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


_SUMS: dict[Kind, Callable[[Any], tuple[int | Decimal, int]]] = {
    Kind.INTEGER: _integers,
    Kind.BOOLEAN: _booleans,
    Kind.DECIMAL: _decimals,
    Kind.FLOAT: _bits("f", "i"),
    Kind.DOUBLE: _bits("d", "q"),
    Kind.MOMENT: _moments,
    Kind.TEXT: _texts,
    Kind.PADDED: _padded,
    Kind.BYTES: _texts,
}
