"""The emulator's functions live in the real time; in a lab whose clock was moved, theirs is the lab's.

`time.time()` alone is moved, and looked up when an invocation begins: what signs requests reads the time another way,
and is to, since the emulator checks signatures by the real time. Nothing here differs from AWS while the clock has
not been moved.
"""

import os
from pathlib import Path

from ministack.core import lambda_runtime

from pgdrill.lab import clock, daemon
from pgdrill.lab.bends.graft import amend
from pgdrill.lab.rds.service import Rds

_OLD_START = """
def run():
    # Redirect print()"""
_START = """
_real_time = time.time

def _move_time():
    try:
        with open({path!r}, encoding="utf-8") as told:
            ahead = json.load(told)["ahead"]
    except FileNotFoundError:
        return
    time.time = lambda: _real_time() + ahead

def run():
    # Redirect print()"""
_OLD_EVENT = """
        event = _ms_msg["event"]
"""
_EVENT = """
        event = _ms_msg["event"]
        _move_time()
"""


def apply(_: Rds) -> None:
    path = str(Path(os.environ[daemon.MARK]) / clock.FILE)
    amend(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _OLD_START, _START.format(path=path))
    amend(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _OLD_EVENT, _EVENT)
