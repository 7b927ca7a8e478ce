"""The zips as they are deployed: for Lambda's platform as for this one, and the large one that reads Parquet."""

import re
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgdrill.build import zips
from pgdrill.build.contents import Which
from tests.unit.build.alone import alone

# Lambda's limit for a function and its layers, unzipped.
UNZIPPED = 250e6
COMPILED = re.compile(r".+\.so(\.[0-9.]+)?")


@pytest.fixture(name="zipped", scope="module")
def _zipped(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Which, str], Path]:
    directory = tmp_path_factory.mktemp("zips")
    return {
        (which, platform): zips.build(directory, platform=platform, which=which)
        for which in Which
        for platform in ("host", "linux_aarch64")
    }


def contents(path: Path, *, compiled: bool) -> dict[str, int]:
    """Return name and checksum of what is compiled, or of the rest."""
    with ZipFile(path) as archive:
        return {
            entry.filename: entry.CRC
            for entry in archive.infolist()
            if compiled == bool(COMPILED.fullmatch(entry.filename))
        }


@pytest.mark.parametrize("which", Which)
def test_the_zips_of_two_platforms_differ_in_nothing_but_what_is_compiled(
    zipped: dict[tuple[Which, str], Path], which: Which
) -> None:
    here, there = zipped[which, "host"], zipped[which, "linux_aarch64"]
    assert contents(here, compiled=False) == contents(there, compiled=False)
    assert not set(contents(here, compiled=True).items()) & set(contents(there, compiled=True).items())


@pytest.mark.parametrize("which", Which)
def test_what_is_compiled_is_for_lambda_s_processor_and_python(
    zipped: dict[tuple[Which, str], Path], which: Which
) -> None:
    with ZipFile(zipped[which, "linux_aarch64"]) as archive:
        for name in contents(zipped[which, "linux_aarch64"], compiled=True):
            head = archive.read(name)[:20]
            # e_machine of ELF: 183 is AArch64.
            assert (name, head[:4], head[18]) == (name, b"\x7fELF", 183)
            assert "cpython" not in name or "cpython-313-aarch64" in name


def test_every_zip_fits_into_a_function(zipped: dict[tuple[Which, str], Path]) -> None:
    for (which, _), path in zipped.items():
        with ZipFile(path) as archive:
            assert sum(entry.file_size for entry in archive.infolist()) < UNZIPPED
        assert path.stat().st_size < (25e6 if which is Which.COMMON else 50e6)


def test_the_parquet_zip_reads_parquet(zipped: dict[tuple[Which, str], Path], tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2, 39], "t": ["a", "b", "c"]}), tmp_path / "file.parquet")
    program = f"""
from pgdrill.exporting import parquet
from pgdrill.exporting.parquet_types import Kind
body = open({str(tmp_path / "file.parquet")!r}, "rb").read()
found = parquet.sums([body], {{"n": Kind.INTEGER, "t": Kind.TEXT}})
print(found.rows, found.columns["n"].total)
"""
    assert alone(zipped[Which.PARQUET, "host"], tmp_path / "function", program) == "3 42\n"
