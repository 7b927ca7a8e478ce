"""The emulator's functions see the emulator's own packages and environment; AWS's see their zip and the runtime.

So a zip that lacks a module would work in the lab alone. A function has Python's standard library, its zip and
layers, and last what the runtime brings: boto3 and what it needs. Of the environment it has what Lambda sets, its
own variables, and the lab's endpoint.

Source: Lambda Developer Guide, "Runtime dependencies in Python" and "Defined runtime environment variables".
"""

import importlib.util
import os
from pathlib import Path

from ministack.core import lambda_runtime

from pgdrill.lab import daemon
from pgdrill.lab.bends.graft import amend
from pgdrill.lab.rds.service import Rds

RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
_OLD = "\nimport sys, json, importlib, traceback, os, time\n"
_NEW = """
import sys, json, importlib, traceback, os, time

_stdlib = os.path.dirname(os.__file__)
sys.path[:] = [place for place in sys.path if place in (_stdlib, _stdlib + "/lib-dynload") or place.endswith(".zip")]
sys.path.append({runtime!r})
sys.meta_path[:] = [finder for finder in sys.meta_path if "_frozen_importlib" in finder.__module__]
for _name in set(os.environ) - {{{mark!r}, "PATH", "LANG", "LD_LIBRARY_PATH", "TZ"}}:
    if not _name.startswith(("AWS_", "LAMBDA_", "_")):
        del os.environ[_name]
os.environ["HOME"] = "/nonexistent"
"""


def apply(_: Rds) -> None:
    directory = Path(os.environ[daemon.MARK]) / "runtime"
    directory.mkdir(exist_ok=True)
    for name in RUNTIME:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise ModuleNotFoundError(
                f"no module named {name!r}, which Lambda's runtime for Python has", name=name
            )
        origin = Path(found.origin)
        place = origin.parent if origin.name == "__init__.py" else origin
        link = directory / place.name
        link.unlink(missing_ok=True)
        link.symlink_to(place)
    amend(
        lambda_runtime,
        "_PYTHON_WORKER_SCRIPT",
        _OLD,
        _NEW.format(runtime=str(directory), mark=daemon.MARK),
    )
