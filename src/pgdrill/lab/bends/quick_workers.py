"""The emulator unpacks a zip for every worker, and waits a while for what each invocation may yet log; here neither.

No difference to AWS that a function could see, but for one: what it logs is complete, since a mark ends it. Workers
of one zip share its files, and so what Python compiles of them.
"""

import hashlib
import os
import queue
import time
import zipfile
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from pgdrill.lab import daemon
from pgdrill.lab.bends.graft import Function, amend, graft
from pgdrill.lab.rds.service import Rds

MARK = "\x1epgdrill: end of invocation"
PATIENCE = 1.0  # seconds for the mark to arrive, which a worker that died has not written
_OLD_END = """
        _real_stdout.flush()

run()
"""
_END = """
        print({mark!r}, file=sys.stderr, flush=True)
        _real_stdout.flush()

run()
"""


def apply(_: Rds) -> None:
    directory = Path(os.environ[daemon.MARK]) / "code"
    directory.mkdir(exist_ok=True)

    class Unpacked(zipfile.ZipFile):
        """A zip whose files lie unpacked in a place of their own, named by its content, before they are asked for."""

        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
            content = Path(self.filename or "").read_bytes()  # opened by name, by the emulator
            place = directory / hashlib.sha256(content).hexdigest()
            if not place.exists():
                aside = Path(f"{place}.{os.getpid()}.{time.monotonic_ns()}")
                super().extractall(aside, members, pwd)
                try:
                    aside.rename(place)
                except OSError:  # another worker of the same zip was quicker; this one's stays unused
                    if not place.exists():
                        raise
            target = Path(path)
            target.rmdir()
            target.symlink_to(place)

    own = SimpleNamespace(
        ZipFile=Unpacked, BadZipFile=zipfile.BadZipFile, LargeFileError=zipfile.LargeZipFile
    )
    vars(lambda_runtime)["zipfile"] = own  # what of the module the emulator uses
    amend(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _OLD_END, _END.format(mark=MARK))
    graft(lambda_svc, "_fetch_code_from_s3(bucket, key, version_id)", _once)
    graft(
        lambda_runtime.Worker,
        "_drain_stderr_bounded(self, first_line_wait, idle_confirm, hard_cap)",
        _until_the_mark,
    )


def _once(original: Function) -> Function:
    """Let the functions of one zip share its bytes, which the emulator reads anew for each."""

    def fetch(bucket: str, key: str, version_id: str | None = None) -> bytes | None:
        content: bytes | None = original(bucket, key, version_id)
        return None if content is None else _the_same(content)

    return fetch


@lru_cache(maxsize=8)
def _the_same(content: bytes) -> bytes:
    return content


def _until_the_mark(_: Function) -> Function:
    def drain(self: Any, *_: float) -> str:
        lines: list[str] = []
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            try:
                line = self._stderr_queue.get(timeout=min(left, 0.05))
            except queue.Empty:
                if self._proc is None or self._proc.poll() is not None:
                    break
                continue
            if line == MARK:
                break
            lines.append(line)
        return "\n".join(lines)

    return drain
