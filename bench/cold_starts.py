"""What each function takes to load from its zip, which is what a cold start adds: processor time, on this machine.

Lambda's folder is read-only, so a function compiles what it imports at every cold start; `compiled` is what it would
come to with bytecode in the zip. `boto3 alone` is the part that every function has.
"""

import compileall
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from zipfile import ZipFile

from pgdrill.build import zips

RUNS = 3
LOAD = """
import sys, time
sys.path.append({directory!r})
import {module}
print(time.process_time(), len(sys.modules))
"""
# No site, so that nothing is found but what is in the zip; and no bytecode is left for the next run.
PYTHON = [sys.executable, "-I", "-S", "-B", "-c"]


def loaded(directory: Path, module: str) -> tuple[float, int]:
    """Return milliseconds and modules of one import in a new interpreter: the median of some."""
    program = LOAD.format(directory=str(directory), module=module)
    told = [
        # Arguments of its own making.
        subprocess.run([*PYTHON, program], capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
        for _ in range(RUNS)
    ]
    return median(1000 * float(seconds) for seconds, _ in told), int(told[0][1])


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "task"
        with ZipFile(zips.build(Path(scratch), platform="host", which="parquet")) as archive:
            archive.extractall(directory)
        handlers = sorted((directory / "pgdrill" / "handlers").glob("*.py"))
        names = [path.stem for path in handlers if "\nhandler = " in path.read_text()]
        modules = {name: f"pgdrill.handlers.{name}" for name in names} | {"boto3 alone": "boto3"}
        plain = {name: loaded(directory, module) for name, module in modules.items()}
        compileall.compile_dir(directory, quiet=2)
        print(f"{'function':<14} {'ms':>7} {'compiled':>9} {'modules':>8}")
        for name, module in modules.items():
            milliseconds, count = plain[name]
            print(f"{name:<14} {milliseconds:>7.0f} {loaded(directory, module)[0]:>9.0f} {count:>8}")


if __name__ == "__main__":
    main()
