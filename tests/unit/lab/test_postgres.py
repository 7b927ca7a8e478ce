"""Finding PostgreSQL, and making of it a private copy that behaves as RDS does, shown on made-up installations."""

import os
import pwd
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab import debian, postgres
from pgdrill.lab.postgres import Binaries

# As PostgreSQL does it: share and library folders are relative to where the program itself is.
PG_CONFIG = """#!/bin/sh
root=$(cd "$(dirname "$0")/../../../.." && pwd)
case $1 in
  --version) echo "PostgreSQL {version} (made up)";;
  --bindir) echo "$root/lib/postgresql/{major}/bin";;
  --sharedir) echo "$root/share/postgresql/{major}";;
  --pkglibdir) echo "$root/lib/postgresql/{major}/lib";;
esac
"""
CONTROL = "comment = 'made up'\ndefault_version = '{version}'\n"

Install = Callable[..., Path]


@pytest.fixture(autouse=True)
def _as_we_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run programs as who we are, keep the cache in the test's folder and see none of the machine's PostgreSQL."""
    monkeypatch.setattr(postgres, "runner", dict)
    monkeypatch.setattr(postgres, "cache", lambda: tmp_path)
    monkeypatch.setattr(postgres, "PLACES", (f"{tmp_path}/machine/*/lib/postgresql/*/bin",))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(debian, "is_here", lambda: False)
    monkeypatch.delenv("PGDRILL_PG_BIN", raising=False)


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Make an installation of a version, laid out as Debian does; return the folder of its programs."""

    def make(version: str, home: str = "machine/usr", *, contrib: bool = True) -> Path:
        major = version.partition(".")[0]
        programs = tmp_path / home / "lib" / "postgresql" / major / "bin"
        extensions = tmp_path / home / "share" / "postgresql" / major / "extension"
        for folder in (programs, extensions, programs.with_name("lib")):
            folder.mkdir(parents=True)
        for name in postgres.NEEDED:
            (programs / name).write_text(
                PG_CONFIG.format(version=version, major=major) if name == "pg_config" else "#!/bin/sh\n"
            )
            (programs / name).chmod(0o755)
        (extensions.parent / "errcodes.txt").write_text("made up")
        (extensions / "file_fdw.control").write_text(CONTROL.format(version="1.0"))
        if contrib:
            (extensions / "amcheck.control").write_text(CONTROL.format(version="1.3"))
            (extensions / "amcheck--1.2.sql").write_text("-- 1.2\n")
            (extensions / "amcheck--1.2--1.3.sql").write_text("-- 1.3\n")
            (extensions / "postgres_fdw.control").write_text(
                "trusted = false\n" + CONTROL.format(version="1.1")
            )
            (extensions / "postgres_fdw--1.1.sql").write_text("-- 1.1\n")
        return programs

    return make


# -- finding --------------------------------------------------------------------------------------------------


def test_fifteen_is_preferred_and_then_the_oldest(install: Install) -> None:
    for version in ("17.2", "14.9", "16.4"):
        install(version)
    assert postgres.find().version == "16.4"
    install("15.18")
    assert (postgres.find().version, postgres.find().major) == ("15.18", 15)


def test_a_beta_has_a_major_version_too(install: Install) -> None:
    install("19beta1")
    assert (postgres.find().version, postgres.find().major) == ("19beta1", 19)


def test_an_installation_that_is_not_whole_is_passed_over(install: Install) -> None:
    install("15.1", "machine/without-contrib", contrib=False)
    (install("15.2", "machine/without-server") / "postgres").unlink()
    (install("15.3", "machine/that-does-not-run") / "pg_config").write_text("#!/bin/sh\nexit 127\n")
    install("16.4", "machine/whole")
    assert postgres.find().version == "16.4"


def test_without_any_the_error_says_what_to_install() -> None:
    with pytest.raises(NotRunnable) as raised:
        postgres.find()
    assert (raised.value.message, raised.value.hint) == (
        "no PostgreSQL 15 or later with contrib found",
        (
            "install it: brew install postgresql@15, or dnf install postgresql15-server postgresql15-contrib;"
            " where it lies elsewhere, name the folder of its programs with PGDRILL_PG_BIN"
        ),
    )


def test_the_one_that_is_named_is_taken(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("15.18")
    monkeypatch.setenv("PGDRILL_PG_BIN", str(install("17.2")))
    assert postgres.find().version == "17.2"


def test_no_other_takes_the_place_of_the_one_that_is_named(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("15.18")
    monkeypatch.setenv("PGDRILL_PG_BIN", "/nowhere")
    with pytest.raises(NotRunnable) as raised:
        postgres.find()
    assert raised.value.message == "PGDRILL_PG_BIN=/nowhere holds no PostgreSQL 15 or later with contrib"


def test_as_root_the_package_is_installed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "is_here", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian, "install", lambda: install("15.18"))
    assert postgres.find().version == "15.18"


def test_as_an_ordinary_user_the_packages_are_unpacked_once(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetched = []

    def unpack(target: Path) -> None:
        fetched.append(target)
        install("15.18", f"{target.name}/usr")
        (target / "usr/lib/x86_64-linux-gnu").mkdir()
        (target / "usr/lib/x86_64-linux-gnu/libpq.so.5").touch()

    monkeypatch.setattr(postgres, "PLACES", ())
    monkeypatch.setattr(debian, "is_here", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(debian, "unpack", unpack)
    first, again = postgres.find(), postgres.find()
    assert first == again
    assert len(fetched) == 1
    assert first.environment["LD_LIBRARY_PATH"] == str(tmp_path / "debian/usr/lib/x86_64-linux-gnu")


# -- the private copy -----------------------------------------------------------------------------------------


def test_the_copy_has_the_layout_of_the_original(install: Install, tmp_path: Path) -> None:
    source = install("15.18")
    binaries = postgres.find()
    root = Path(binaries.config("bindir").removesuffix("/lib/postgresql/15/bin"))
    assert binaries.bin == root / "lib/postgresql/15/bin"
    assert root.parent == tmp_path
    assert (root / "share/postgresql/15/errcodes.txt").read_text() == "made up"
    assert (root / "lib/postgresql/15/lib").resolve() == source.with_name("lib")
    assert not (binaries.bin / "postgres").is_symlink()


def test_what_rds_allows_is_trusted_in_the_copy_alone(install: Install) -> None:
    original = install("15.18").parents[2] / ".." / "share/postgresql/15/extension"
    copy = Path(postgres.find().config("sharedir")) / "extension"
    assert (copy / "amcheck.control").read_text().splitlines()[-1] == "trusted = true"
    assert (copy / "postgres_fdw.control").read_text().count("trusted") == 1
    assert (copy / "postgres_fdw.control").read_text().splitlines()[-1] == "trusted = true"
    assert "trusted" not in (copy / "file_fdw.control").read_text()
    assert "trusted" not in (original / "amcheck.control").read_text()


def test_the_script_that_reaches_the_default_version_grants_amcheck(install: Install) -> None:
    original = install("15.18").parents[2] / ".." / "share/postgresql/15/extension"
    copy = Path(postgres.find().config("sharedir")) / "extension"
    assert (copy / "amcheck--1.2--1.3.sql").read_text() == "-- 1.3\n" + postgres.GRANT_AMCHECK
    assert (copy / "amcheck--1.2.sql").read_text() == "-- 1.2\n"
    assert (original / "amcheck--1.2--1.3.sql").read_text() == "-- 1.3\n"


def test_the_copy_is_kept_and_made_anew_when_the_original_changes(install: Install) -> None:
    source = install("15.18")
    first = postgres.find()
    (first.bin / "kept").touch()
    assert postgres.find() == first
    assert (first.bin / "kept").exists()
    (source / "postgres").write_text("#!/bin/sh\n# repaired\n")
    assert postgres.find().bin != first.bin


def test_a_copy_that_reads_the_originals_share_is_refused(install: Install) -> None:
    source = install("15.18")
    fixed = (source / "pg_config").read_text().replace("root=", f"root={source.parents[3]} #")
    (source / "pg_config").write_text(fixed)
    with pytest.raises(Broken, match="cannot be relocated: its copy reads ") as raised:
        postgres.find()
    assert raised.value.hint == "name another installation with PGDRILL_PG_BIN"


def test_what_another_process_has_built_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "built"
    with postgres.aside(target) as building:
        (building / "ours").touch()
        target.mkdir()
        (target / "theirs").touch()
    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["built"]


def test_what_failed_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with postgres.aside(tmp_path / "built") as building:
            (building / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


# -- running --------------------------------------------------------------------------------------------------


def test_a_program_that_fails_is_told_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "initdb").write_text(
        "#!/bin/sh\necho start >&2\necho 'initdb: error: no room' >&2\necho hint >&2\nexit 3\n"
    )
    (tmp_path / "initdb").chmod(0o755)
    with pytest.raises(Broken) as raised:
        Binaries(tmp_path, 15, "15.18").run("initdb", "-D", Path("/data"))
    assert raised.value.message == "initdb ended with status 3: initdb: error: no room"
    assert raised.value.hint == f"to see all of it, run: {tmp_path}/initdb -D /data"


def test_the_callers_postgresql_settings_do_not_reach_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPASSWORD", "PGDATA", "LC_ALL"):
        monkeypatch.setenv(name, "theirs")
    environment = Binaries(Path("/bin"), 15, "15.18").environment
    assert not [name for name in environment if name.startswith("PG")]
    assert (environment["LC_ALL"], environment["TZ"]) == ("C", "UTC")


def test_root_is_dropped_to_postgres_or_else_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    accounts = {
        "nobody": SimpleNamespace(pw_uid=65534, pw_gid=65533),
        "postgres": SimpleNamespace(pw_uid=101, pw_gid=104),
    }
    monkeypatch.setattr(pwd, "getpwnam", accounts.__getitem__)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert postgres.runner() == {"user": 101, "group": 104, "extra_groups": []}
    del accounts["postgres"]
    assert postgres.runner() == {"user": 65534, "group": 65533, "extra_groups": []}
    del accounts["nobody"]
    with pytest.raises(NotRunnable) as raised:
        postgres.runner()
    assert (raised.value.message, raised.value.hint) == (
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it",
        "make such a user, or start pgdrill as an ordinary user",
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.runner() == {}


@pytest.mark.parametrize(("gigabytes", "in_memory"), [(100, True), (1, False)])
def test_a_temporary_folder_is_in_memory_where_there_is_plenty(
    monkeypatch: pytest.MonkeyPatch, gigabytes: int, *, in_memory: bool
) -> None:
    if not Path("/dev/shm").is_dir():  # noqa: S108  # what is tested
        in_memory = False
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**30))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=gigabytes * 2**30))
    folder = postgres.scratch("pgdrill-unit-")
    try:
        assert (folder.parent == Path("/dev/shm")) is in_memory  # noqa: S108
        assert folder.name.startswith("pgdrill-unit-")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    finally:
        folder.rmdir()


def test_an_ordinary_users_cache_lies_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert postgres.cache() == tmp_path / "xdg/pgdrill"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert postgres.cache() == tmp_path / ".cache/pgdrill"
    assert postgres.cache().is_dir()
