"""The daemon is told from other processes, and inherits nothing that could reach a real account."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgdrill.lab import daemon
from pgdrill.lab.record import Record


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    """Begin a process with a command line like the daemon's, and nothing else of it."""
    command = [sys.executable, "-c", "input()", str(tmp_path)]
    monkeypatch.setattr(daemon, "_command", lambda directory: [*command[:3], str(directory)])
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_the_daemon_is_known_by_its_pid_and_its_command(
    stand_in: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    found = daemon.living(tmp_path, Record(pid=stand_in.pid))
    assert found is not None
    assert found.pid == stand_in.pid


def test_another_labs_daemon_is_not_this_ones(stand_in: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    assert daemon.living(tmp_path / "other", Record(pid=stand_in.pid)) is None


def test_a_process_that_got_the_daemons_pid_is_not_the_daemon(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert daemon.living(tmp_path, Record(pid=other.pid)) is None
        other.kill()


def test_a_daemon_that_ended_does_not_live_reaped_or_not(
    stand_in: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    assert stand_in.stdin is not None
    stand_in.stdin.close()
    stand_in.wait(10)
    assert daemon.living(tmp_path, Record(pid=stand_in.pid)) is None
    assert daemon.living(tmp_path, Record()) is None
    assert daemon.living(tmp_path, None) is None


def test_the_last_words_are_the_logs_last_line(tmp_path: Path) -> None:
    log = tmp_path / daemon.LOG
    log.write_text("first\nlast\n\n", encoding="utf-8")
    assert daemon.last_words(log) == "last"
    log.write_text("", encoding="utf-8")
    assert daemon.last_words(log) == "it left no word in its log"


def test_the_daemon_inherits_neither_real_credentials_nor_libpqs_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("PGHOST", "production.example")
    monkeypatch.setenv("PGDRILL_PG_BIN", "/opt/pg/bin")
    environment = daemon._environment(tmp_path, Record(port=4566))
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert environment["PGDRILL_PG_BIN"] == "/opt/pg/bin"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PGHOST"} & set(environment)
