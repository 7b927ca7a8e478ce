"""The demo, as a stranger runs it: it proves what it says, and leaves nothing but its reports."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from pgdrill.lab.daemon import MARK

SECONDS = 120


def _begin(where: Path, *options: str) -> subprocess.Popen[str]:
    """Start the demo with its temporary files below `where`, so that what it leaves can be seen."""
    where.chmod(0o755)
    environment = os.environ | {"TMPDIR": str(where), "NO_COLOR": "1", "COLUMNS": "110"}
    return subprocess.Popen(
        [
            str(Path(sys.executable).with_name("pgdrill")),
            "demo",
            "--reports",
            str(where / "reports"),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=where,
        env=environment,
    )


def _left(where: Path) -> list[str]:
    """Return the processes and folders of the demo that are still there."""
    processes = []
    for process in psutil.process_iter():
        try:
            if str(where) in process.environ().get(MARK, "") or str(where) in process.cwd():
                processes.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return processes + [path.name for path in where.glob("pgdrill-demo-*")]


@pytest.fixture
def where() -> Path:
    """A folder that PostgreSQL's user can reach, unlike pytest's own."""
    return Path(tempfile.mkdtemp(prefix="pgdrill-test-demo-"))


def test_healthy_backups_pass_and_the_damaged_one_is_found_out(where: Path) -> None:
    demo = _begin(where)
    told, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 0, told
    assert len(re.findall(r"PASSED", told)) >= 2
    assert "shop.customers" in told
    assert "is there, as it must be" in told
    assert "is not there, as it must not be" in told
    assert "both healthy backups passed, and the damage was found and named" in told
    assert len(list((where / "reports").glob("*-shop.html"))) == 3
    assert _left(where) == []


def test_an_interrupted_demo_leaves_nothing(where: Path) -> None:
    demo = _begin(where)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "taking a snapshot" in line:
            break
    demo.send_signal(signal.SIGINT)
    told, _ = demo.communicate(timeout=SECONDS)
    deadline = time.monotonic() + 5
    while _left(where) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert demo.returncode == 130, told
    assert _left(where) == []
