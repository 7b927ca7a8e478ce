"""Fetching PostgreSQL from Debian's registry, with a made-up apt that writes down how it is called."""

from pathlib import Path

import pytest

from pgdrill.errors import NotRunnable
from pgdrill.lab import debian

APT_CACHE = """#!/bin/sh
cat {home}/packages
"""
APT_GET = """#!/bin/sh
echo "$@" >> {home}/called
cat {no_cluster} >> {home}/policy 2>/dev/null
case "$*" in
  *update) cat {home}/refreshed > {home}/packages;;
  *postgresql-16*) echo "E: no room" >&2; exit 100;;
esac
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `packages` as listed, `refreshed` as listed after an update, `called` and `policy` as seen."""
    policy = tmp_path / "etc/createcluster.d/pgdrill.conf"
    (tmp_path / "bin").mkdir()
    for name, script in (("apt-get", APT_GET), ("apt-cache", APT_CACHE)):
        (tmp_path / "bin" / name).write_text(script.format(home=tmp_path, no_cluster=policy))
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("packages", "refreshed", "called", "policy"):
        (tmp_path / name).touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(debian, "NO_CLUSTER", policy)
    return tmp_path


def _list(file: Path, *versions: int) -> None:
    file.write_text("".join(f"postgresql-{version} - a database\n" for version in versions))


def test_fifteen_is_installed_where_there_is_one(apt: Path) -> None:
    _list(apt / "packages", 14, 15, 17)
    debian.install()
    assert (apt / "called").read_text() == "install --yes --no-install-recommends postgresql-15\n"


def test_else_the_newest_is_installed(apt: Path) -> None:
    _list(apt / "packages", 13, 17)
    debian.install()
    assert (apt / "called").read_text() == "install --yes --no-install-recommends postgresql-17\n"


def test_lists_are_read_anew_where_they_know_of_none(apt: Path) -> None:
    _list(apt / "refreshed", 15)
    debian.install()
    assert (apt / "called").read_text().splitlines() == [
        "update",
        "install --yes --no-install-recommends postgresql-15",
    ]


def test_a_release_too_old_is_told_with_where_to_get_it(apt: Path) -> None:
    _list(apt / "packages", 14)
    _list(apt / "refreshed", 14)
    with pytest.raises(NotRunnable) as raised:
        debian.install()
    assert raised.value.message == "this release of Debian has no PostgreSQL 15 or later"
    assert raised.value.hint == debian.ADVICE


def test_the_package_is_kept_from_making_a_cluster_and_no_trace_of_that_stays(apt: Path) -> None:
    _list(apt / "packages", 15)
    debian.install()
    assert (apt / "policy").read_text() == "create_main_cluster = off\n"
    assert not (apt / "etc").exists()


def test_no_trace_stays_of_an_installation_that_failed(apt: Path) -> None:
    _list(apt / "packages", 16)
    (apt / "etc").mkdir()
    with pytest.raises(NotRunnable) as raised:
        debian.install()
    assert raised.value.message == "apt-get ended with status 100: E: no room"
    assert list((apt / "etc").iterdir()) == []


def test_unpacking_asks_the_system_for_nothing_but_its_own_state(apt: Path) -> None:
    _list(apt / "packages", 15)
    target = apt / "unpacked"
    target.mkdir()
    debian.unpack(target)
    [called] = (apt / "called").read_text().splitlines()
    assert called.endswith("install --yes --no-install-recommends --download-only postgresql-15")
    assert f"Dir::State={target}/.apt/state" in called
    assert f"Dir::Cache={target}/.apt/cache" in called
    assert list(target.iterdir()) == []


def test_libraries_are_found_in_every_folder_that_has_some(tmp_path: Path) -> None:
    for name in (
        "usr/lib/x86_64-linux-gnu/libpq.so.5",
        "lib/aarch64-linux-gnu/libz.so.1",
        "usr/lib/other/libx.so",
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert debian.libraries(tmp_path) == (
        tmp_path / "lib/aarch64-linux-gnu",
        tmp_path / "usr/lib/x86_64-linux-gnu",
    )
