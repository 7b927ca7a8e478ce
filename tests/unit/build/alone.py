"""Runs a program with nothing but what a function has."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile


def alone(zipped: Path, directory: Path, program: str) -> str:
    """Run a program that has Python's standard library and what is in a zip; return what it prints."""
    with ZipFile(zipped) as archive:
        archive.extractall(directory)
    path = f"import sys; sys.path.append({str(directory)!r})\n"
    # No site: neither this environment's packages nor the checkout.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", path + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
