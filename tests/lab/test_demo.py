"""The demo, as a stranger runs it: it proves what it says, and leaves nothing but its reports."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pgdrill.lab import postgres
from pgdrill.lab.daemon import MARK
from tests.lab.labs import heed_interrupts

SECONDS = 120


@contextmanager
def _demo(where: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the demo with its temporary files below `where`, so that what it leaves can be seen."""
    program = Path(sys.executable).with_name("pgdrill")
    with subprocess.Popen(
        [str(program), "demo", "--reports", str(where / "reports")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=where,
        env=os.environ | {"TMPDIR": str(where), "NO_COLOR": "1"},
        preexec_fn=heed_interrupts,  # noqa: PLW1509 # no other thread of the tests is at work meanwhile
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # which it cleans up after, as after Ctrl-C


def _left(where: Path) -> list[str]:
    """Return the processes and folders of the demo that are still there."""
    processes = []
    for process in psutil.process_iter():
        try:
            if str(where) in process.environ().get(MARK, "") or str(where) in process.cwd():
                processes.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return processes + [path.name for path in where.iterdir() if path.name != "reports"]


@pytest.fixture
def where() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach, unlike pytest's own."""
    folder = postgres.scratch("pgdrill-test-demo-")
    yield folder
    shutil.rmtree(folder)


def test_healthy_backups_pass_and_the_damaged_one_is_found_out(where: Path) -> None:
    with _demo(where) as demo:
        told, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 0, told
    assert len(re.findall(r"PASSED", told)) >= 2
    assert "shop.customers" in told
    assert re.search(r"last beat before the target +no. \d+, \S+  is there", told)
    assert re.search(r"first beat after it +no. \d+, \S+  is not there", told)
    assert "both healthy backups passed, and the damage was found and named" in told
    assert len(list((where / "reports").glob("*-shop.html"))) == 3
    assert _left(where) == []


def test_an_interrupted_demo_leaves_nothing(where: Path) -> None:
    with _demo(where) as demo:
        assert demo.stdout is not None
        told = ""
        while "waiting for RDS" not in told and (line := demo.stdout.readline()):
            told += line
        demo.send_signal(signal.SIGINT)
        told += demo.communicate(timeout=SECONDS)[0]
    assert demo.returncode == 130, told
    assert _left(where) == []
