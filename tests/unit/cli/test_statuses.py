"""How a command ends, and that its help says so."""

import subprocess
import sys

import pytest

MAIN = "from pgdrill.cli import main; main()"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("command", "status", "said", "told"),
    [
        (("status", "--plan", "/nowhere.toml"), 2, "'/nowhere.toml'", "2 not runnable as asked"),
        (("verify", "=", "--only", "rows"), 2, "connection string", "2 not runnable as asked"),
        (("verify", "postgresql://x@127.0.0.1:1/x"), 3, "127.0.0.1:1", "or the server does not answer"),
    ],
)
def test_a_command_that_cannot_run_ends_as_its_help_says(
    command: tuple[str, ...], status: int, said: str, told: str
) -> None:
    ended = run(*command)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert said in ended.stderr
    assert told in " ".join(run(command[0], "--help").stdout.split())
