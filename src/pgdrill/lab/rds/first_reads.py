"""Slow first reads: a restored instance's blocks take long when they are touched first, and then no more.

RDS has a restored instance `available` while its volume still loads from S3. Here a small library, preloaded
into the server, waits before the first read of every 512 kB; it is compiled when the fault is first used.
Source: RDS User Guide, "Restoring to a DB instance", on lazy loading.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from pgdrill.errors import Broken
from pgdrill.lab.rds.records import Instance
from pgdrill.lab.rds.state import State

SOURCE = Path(__file__).with_name("first_read.c")


def environment(state: State, instance: Instance) -> dict[str, str]:
    """Return what the server of a restored instance is started with; empty without the fault.

    Raises:
        Broken: the library cannot be made here.
    """
    microseconds = state.faults.setting.slow_first_read
    if not microseconds:
        return {}
    return {
        "LD_PRELOAD": str(_library(state)),
        "FIRST_READ_MAP": str(state.cluster(instance).directory / "first_reads"),
        "FIRST_READ_MICROSECONDS": str(microseconds),
    }


def _library(state: State) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        raise Broken(
            "the fault slow_first_read needs Linux and a C compiler", hint="install gcc, or clear the fault"
        )
    library = state.directory / "first_read.so"
    with state.lock:
        if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
            done = subprocess.run(
                [
                    compiler,
                    "-O2",
                    "-Wall",
                    "-Werror",
                    "-shared",
                    "-fPIC",
                    "-o",
                    str(library),
                    str(SOURCE),
                    "-ldl",
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise Broken(f"first_read.c did not compile: {done.stderr.strip()}", hint="clear the fault")
    return library
