"""Where Python is told to write no bytecode, the lab keeps its own: compiling ministack and Pulumi anew takes seconds.

Writes into pgdrill's cache folder alone.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

FORBIDS, PLACE = "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"


def kept(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a child of the lab, in which what it compiles is kept for the next."""
    if not sys.dont_write_bytecode:
        return dict(environ)
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgdrill" / "bytecode"
    return {name: value for name, value in environ.items() if name != FORBIDS} | {PLACE: str(cache)}


def release() -> None:
    """Let the children of this process keep what they compile beside their own files, which go with the lab."""
    os.environ.pop(PLACE, None)
