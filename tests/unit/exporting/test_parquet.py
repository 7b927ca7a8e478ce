"""Counts and sums of Parquet files that are made here, in every form that a value may arrive in."""

import io
import struct
import subprocess
import sys
from decimal import Decimal
from hashlib import md5
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgdrill.errors import Broken, NotRunnable
from pgdrill.exporting import parquet
from pgdrill.exporting.parquet_types import Kind, Sum


def file(**columns: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, compression="gzip")
    return target.getvalue()


def summed(kind: Kind, values: Any) -> Sum:
    return parquet.sums([file(c=values)], {"c": kind}).columns["c"]


def text(value: str) -> int:
    return int(struct.unpack(">q", md5(value.encode(), usedforsecurity=False).digest()[:8])[0])


@pytest.mark.parametrize(
    ("kind", "values", "total", "odd"),
    [
        (Kind.INTEGER, pa.array([1, -2, None, 2**62, 2**62], pa.int64()), 2**63 - 1, 0),
        (Kind.INTEGER, pa.array([1, -2, None], pa.int16()), -1, 0),
        (Kind.INTEGER, ["12", "-2", None], 10, 0),
        (Kind.BOOLEAN, [True, False, None, True], 2, 0),
        (Kind.BOOLEAN, ["t", "false", "true", None], 2, 0),
        (Kind.DECIMAL, ["1.10", "-0.1", "NaN", "Infinity", None], Decimal("1.0"), 2),
        (Kind.DECIMAL, ["1e-20", "1" * 60], Decimal("1" * 60 + "." + "0" * 19 + "1"), 0),
        (Kind.MOMENT, ["1970-01-01 00:00:01", None, "infinity", "4713-01-01 BC"], 1_000_000, 2),
        (Kind.MOMENT, ["1970-01-01 08:00:00.5+08", "1969-12-31"], 500_000 - 86_400_000_000, 0),
        (Kind.TEXT, ["a", "", None, "é"], text("a") + text("") + text("é"), 0),
        (Kind.PADDED, ["a  ", "b"], text("a") + text("b"), 0),
        (Kind.BYTES, [b"a", None], text("a"), 0),
        (Kind.DOUBLE, [1.0, None], 0x3FF0000000000000, 0),
        (Kind.DOUBLE, ["1.0"], 0x3FF0000000000000, 0),
        (Kind.DOUBLE, [-0.0], -(2**63), 0),
        (Kind.FLOAT, pa.array([1.0], pa.float32()), 0x3F800000, 0),
    ],
)
def test_values_are_summed_by_the_kind_of_their_column(
    kind: Kind, values: Any, total: int | Decimal, odd: int
) -> None:
    found = summed(kind, values)
    given = values.to_pylist() if isinstance(values, pa.Array) else values
    assert found == Sum(values=sum(value is not None for value in given), total=Decimal(total), odd=odd)


def test_every_nan_is_the_same() -> None:
    signed = struct.unpack(">d", struct.pack(">Q", 0xFFF8000000000001))[0]
    assert summed(Kind.DOUBLE, [signed]) == summed(Kind.DOUBLE, [float("nan")])


@pytest.mark.parametrize(
    "written", ["2026-11-22 06:00:00+00", "2026-11-22T06:00:00Z", "2026-11-22 14:00:00.0+08:00"]
)
def test_a_moment_is_the_same_in_every_way_of_writing_it(written: str) -> None:
    assert parquet.microseconds(written) == 1_795_327_200_000_000


def test_the_rows_of_all_files_are_one_table_in_any_order() -> None:
    kinds = {"a": Kind.INTEGER, "b": Kind.TEXT}
    one = parquet.sums([file(a=[1, 2, 3], b=["x", "y", "z"])], kinds, ["a"])
    other = parquet.sums([file(b=["z"], a=[3]), file(a=[2, 1], b=["y", "x"])], kinds, ["a"])
    assert (one.rows, one) == (3, other)


def test_a_table_without_files_has_no_rows() -> None:
    found = parquet.sums([], {"a": Kind.INTEGER})
    assert (found.rows, found.columns, found.absent) == (0, {"a": Sum()}, set())


def test_keys_hang_together() -> None:
    kinds = {"a": Kind.INTEGER, "b": Kind.TEXT}
    right = parquet.sums([file(a=[1, 2], b=["x", "y"])], kinds, ["a", "b"])
    crossed = parquet.sums([file(a=[1, 2], b=["y", "x"])], kinds, ["a", "b"])
    assert right.columns == crossed.columns
    assert right.key != crossed.key


def test_columns_that_only_one_side_knows_are_told() -> None:
    found = parquet.sums([file(a=[1], c=[2])], {"a": Kind.INTEGER, "b": Kind.TEXT}, ["a", "b"])
    assert (found.absent, found.unknown, found.key) == ({"b"}, {"c"}, None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"PAR1 and nothing more", "ArrowInvalid"),
        (file(a=["twelve"]), "ValueError"),
        (file(a=[[1]]), "TypeError"),
    ],
)
def test_a_damaged_file_is_told_without_its_values(body: bytes, error: str) -> None:
    with pytest.raises(Broken) as refused:
        parquet.sums([body], {"a": Kind.INTEGER})
    assert refused.value.message == f"a file of the export cannot be read as its columns say: {error}"
    assert refused.value.hint == (
        "the export is damaged or written in another form; read one with a Parquet tool"
    )


def test_no_command_waits_for_what_reads_parquet() -> None:
    code = "import pgdrill.cli, sys; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "pq", None)
    with pytest.raises(NotRunnable) as refused:
        parquet.sums([], {})
    assert refused.value.message == "exports cannot be read here: pyarrow is not installed"
    assert refused.value.hint == "install pgdrill with its extra: pip install 'pgdrill[parquet]'"
