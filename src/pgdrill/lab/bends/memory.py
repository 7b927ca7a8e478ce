"""The emulator lets a function use any amount of memory; AWS ends one that uses more than it was given.

The payload is AWS's, `Runtime.ExitError` with `signal: killed`. Looked at a few times a second, so a function that is
over its limit for an instant may pass here, and not there.

Source: Lambda Developer Guide, "Troubleshoot execution issues in Lambda" and "Configure Lambda function memory".
"""

import threading
import time
from typing import Any

import psutil
from ministack.core import lambda_runtime

from pgdrill.lab.bends.handler_errors import OVER_MEMORY
from pgdrill.lab.rds.service import Rds

EVERY = 0.1  # seconds
MEBI = 2**20


def apply(_: Rds) -> None:
    threading.Thread(target=_watch, name="lambda-memory", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(EVERY)
        with lambda_runtime._lock:  # noqa: SLF001 # as its own reaper does
            busy = [one for pool in lambda_runtime._workers.values() for one in pool if one.in_use]  # noqa: SLF001
        for worker in busy:
            _limit(worker)


def _limit(worker: Any) -> None:
    process = worker._proc  # noqa: SLF001 # the emulator shows no other way to it
    if process is None or process.poll() is not None:
        return
    try:
        used = psutil.Process(process.pid).memory_info().rss
    except psutil.NoSuchProcess:
        return
    if used > int(worker.config.get("MemorySize", 128)) * MEBI:
        setattr(worker, OVER_MEMORY, True)
        process.kill()
