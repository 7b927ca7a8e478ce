"""A function's zip: the same bytes from the same files, all that a function needs, and nothing else."""

import os
import subprocess
import sys
from copy import copy
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pgdrill.build import contents, zips
from pgdrill.build.contents import Which
from pgdrill.errors import NotRunnable
from tests.unit.build.alone import alone

# Lambda's limit for a function and its layers, uncommon.
UNZIPPED = 250e6


@pytest.fixture(name="common", scope="module")
def _common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zips.build(tmp_path_factory.mktemp("zips"), platform="host")


def test_two_builds_are_the_same_bytes_whatever_was_there_before(common: Path, tmp_path: Path) -> None:
    (tmp_path / common.name).write_bytes(b"old")
    again = zips.build(tmp_path, platform="host")
    assert again.read_bytes() == common.read_bytes()
    assert list(tmp_path.iterdir()) == [again]


def test_a_zip_that_holds_the_same_files_is_left_as_it_is(common: Path, tmp_path: Path) -> None:
    there = tmp_path / common.name
    there.write_bytes(common.read_bytes())
    os.utime(there, (1, 1))
    zips.build(tmp_path, platform="host")
    assert there.stat().st_mtime == 1
    with ZipFile(there, "a") as archive:
        archive.writestr("more.py", "")
    zips.build(tmp_path, platform="host")
    assert there.read_bytes() == common.read_bytes()


def test_a_zip_of_the_same_files_that_another_zlib_packed_is_left_as_it_is(
    common: Path, tmp_path: Path
) -> None:
    there = tmp_path / common.name
    with ZipFile(common) as archive, ZipFile(there, "w") as other:
        for entry in archive.infolist():
            body = archive.read(entry)
            other.writestr(copy(entry), body, compresslevel=1)
    packed = there.read_bytes()
    assert packed != common.read_bytes()
    assert zips.build(tmp_path, platform="host").read_bytes() == packed


def test_entries_are_sorted_theirs_before_ours_and_have_one_time_and_one_mode(common: Path) -> None:
    with ZipFile(common) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    ours = {name for name in names if name.startswith("pgdrill/") or name == zips.BUNDLE_NAME}
    assert names == sorted(set(names) - ours) + sorted(ours)
    assert {(entry.date_time, entry.external_attr >> 16) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644)
    }


def test_the_common_zip_is_small(common: Path) -> None:
    assert common.stat().st_size < 25e6


def test_nothing_is_in_it_that_no_function_needs(common: Path) -> None:
    with ZipFile(common) as archive:
        names = archive.namelist()
    for unwanted in ("/__pycache__/", "/tests/", ".pyc", "RECORD", "pgdrill/cli/", "pgdrill/lab/", "typer/"):
        assert [name for name in names if unwanted in name] == []
    models = {
        name.split("/")[2] for name in names if name.startswith("botocore/data/") and name.count("/") > 2
    }
    assert models == set(contents.SERVICES)


def test_every_package_brings_its_licence(common: Path) -> None:
    with ZipFile(common) as archive:
        about = [name.split("/") for name in archive.namelist() if ".dist-info/" in name]
    packages = {parts[0] for parts in about}
    assert {parts[0] for parts in about if parts[1] != "METADATA"} == packages
    assert {parts[0] for parts in about if parts[1] == "METADATA"} == packages


@pytest.mark.parametrize(("which", "extras"), [(Which.COMMON, set()), (Which.PARQUET, {"parquet"})], ids=str)
def test_the_packages_are_what_pgdrill_requires_in_a_function(which: Which, extras: set[str]) -> None:
    """The closure of pgdrill's own requirements on Lambda's platform, less what the command line alone needs."""
    lambda_ = {"python_version": "3.13", "sys_platform": "linux", "platform_machine": "aarch64"}
    lambda_ |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    left, found = [("pgdrill", frozenset(extras))], set[str]()
    while left:
        name, wanted = left.pop()
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            asked = [
                needed.marker is None or needed.marker.evaluate(lambda_ | {"extra": e}) for e in ("", *wanted)
            ]
            key = canonicalize_name(needed.name)
            if any(asked) and key not in {*found, "cryptography", "rich", "typer"}:
                found.add(key)
                left.append((key, frozenset(needed.extras)))
    assert sorted(contents.DISTRIBUTIONS[which]) == sorted(found)


IMPORTS_ALL = """
import importlib, pkgutil, pgdrill
for found in pkgutil.walk_packages(pgdrill.__path__, "pgdrill."):
    importlib.import_module(found.name)
    print(found.name)
"""


def test_every_module_in_it_imports_from_it_alone(common: Path, tmp_path: Path) -> None:
    told = alone(common, tmp_path, IMPORTS_ALL).splitlines()
    handlers = sorted(path.stem for path in (zips.SOURCE / "pgdrill" / "handlers").glob("[!_]*.py"))
    assert {f"pgdrill.handlers.{name}" for name in handlers} <= set(told)


def test_its_boto3_restores_without_backups(common: Path, tmp_path: Path) -> None:
    """The boto3 that Lambda brings may be too old for it."""
    program = """
import boto3
model = boto3.session.Session(region_name="ap-southeast-1").client("rds").meta.service_model
for action in ("RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime"):
    print("BackupRetentionPeriod" in model.operation_model(action).input_shape.members)
"""
    assert alone(common, tmp_path, program) == "True\nTrue\n"


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotRunnable) as refused:
        zips.build(tmp_path, platform="host", ca_bundle=Path("/nowhere.pem"))
    assert refused.value.message == (
        "the bundle of certificates cannot be read: [Errno 2] No such file or directory: '/nowhere.pem'"
    )
    assert refused.value.hint == "ca_bundle is the path of a PEM file with the authorities of RDS"


def test_an_unknown_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotRunnable) as refused:
        zips.build(tmp_path, platform="host", which="small")
    assert (refused.value.message, refused.value.hint) == (
        "there is no zip 'small'",
        "ask for one of: common, parquet",
    )


def test_the_command_writes_a_zip_with_the_bundle_asked_for(common: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(b"another authority\n")
    command = [sys.executable, "-m", "pgdrill.build", str(tmp_path), "--platform", "host"]
    command += ["--which", "common", "--ca-bundle", str(other)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path = tmp_path / "pgdrill-common-host.zip"
    assert done.stdout == f"{path}  {path.stat().st_size / 1e6:.1f} MB\n"
    with ZipFile(common) as ours, ZipFile(path) as asked:
        assert ours.read("rds-ca.pem") == zips.BUNDLE.read_bytes()
        assert asked.read("rds-ca.pem") == b"another authority\n"


def test_the_command_says_why_it_could_not(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pgdrill.build", str(tmp_path), "--platform", "riscv", "--which", "common"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TERM": "dumb"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "pgdrill: no zip can be made for platform 'riscv'\n"
        "HINT: ask for one of: host, linux_aarch64, linux_x86_64\n"
    )
