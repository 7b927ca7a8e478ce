"""What the lab may remove, what it passes on, and what it writes for others to read."""

import os
import re
from pathlib import Path

import pytest

from pgdrill.errors import NotRunnable
from pgdrill.lab import world
from pgdrill.lab.lab import Lab, default_directory, past_proxies
from pgdrill.lab.record import Record
from pgdrill.plan import Plan


def _world(region: str) -> world.World:
    network = world.Network(
        name="pgdrill-lab-drill", vpc="vpc-1", subnets=("subnet-1",), security_group="sg-1"
    )
    keys = {"mac_key": "arn:mac", "storage_key": "arn:storage"}
    buckets = {"evidence_bucket": "bucket", "archive_bucket": "archive", "export_role": "arn:role"}
    return world.World(region=region, production=network, drill=network, **buckets, **keys)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    where = tmp_path / "file" / "lab"
    with pytest.raises(NotRunnable) as raised:
        Lab(where).up()
    assert raised.value.message == f"the lab's directory {str(where)!r} cannot be made: Not a directory"
    assert raised.value.hint == "name another with --directory"


def test_a_directory_of_something_else_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    message = f"{str(tmp_path)!r} holds something else than a lab"
    with pytest.raises(NotRunnable, match=f"^{re.escape(message)}$") as raised:
        Lab(tmp_path).down()
    assert raised.value.hint == "name an empty or new directory with --directory"
    assert (tmp_path / "thesis.txt").exists()


def test_the_directory_of_a_lab_that_is_not_running_is_removed(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    (directory / "rds" / "half-made").mkdir(parents=True)
    Record().write(directory)
    assert Lab(directory).down() is False
    assert not directory.exists()


def test_down_where_nothing_is_does_nothing(tmp_path: Path) -> None:
    assert Lab(tmp_path / "nowhere").down() is False
    assert not (tmp_path / "nowhere").exists()


def test_a_lab_that_does_not_run_has_no_endpoint(tmp_path: Path) -> None:
    message = f"no lab runs in {str(tmp_path)!r}"
    with pytest.raises(NotRunnable, match=f"^{re.escape(message)}$") as raised:
        _ = Lab(tmp_path).environment
    assert raised.value.hint == "start it with: pgdrill lab up"


@pytest.mark.parametrize(
    ("user", "state", "expected"),
    [
        (0, "/home/me/state", "/var/lib/pgdrill/lab"),
        (1000, "/home/me/state", "/home/me/state/pgdrill/lab"),
        (1000, "", "/home/me/.local/state/pgdrill/lab"),
    ],
)
def test_the_default_directory_is_one_that_postgresql_can_reach(
    monkeypatch: pytest.MonkeyPatch, user: int, state: str, expected: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_STATE_HOME", state)
    assert default_directory() == Path(expected)


def test_the_labs_plan_is_a_valid_plan(tmp_path: Path) -> None:
    path = tmp_path / "pgdrill.toml"
    path.write_text(world.plan(_world("ap-southeast-1"), _world("ap-northeast-1")), encoding="utf-8")
    plan = Plan.load(path)
    assert (plan.primary.region, plan.dr.region) == ("ap-southeast-1", "ap-northeast-1")
    assert plan.database(None).instance == "shop-production"
    assert plan.primary.place.security_groups == ("sg-1",)


@pytest.mark.parametrize(
    ("environ", "past"),
    [
        ({}, None),
        ({"NO_PROXY": "intranet"}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "127.0.0.1"),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "a,127.0.0.1,b"}, "a,b,127.0.0.1"),
        ({"ALL_PROXY": "http://proxy:3128", "no_proxy": "a", "NO_PROXY": "b"}, "a,127.0.0.1"),
    ],
)
def test_the_lab_is_reached_past_a_proxy(environ: dict[str, str], past: str | None) -> None:
    assert past_proxies(environ) == ({"NO_PROXY": past, "no_proxy": past} if past else {})
