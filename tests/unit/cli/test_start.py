"""The command line starts quickly: what is slow to load waits for the command that needs it."""

import subprocess
import sys

import pytest

SLOW = {"boto3", "jinja2", "psycopg", "pyarrow", "pydantic"}
LOADED = """
import sys
from typer.testing import CliRunner
from pgdrill.cli import app
ended = CliRunner().invoke(app, sys.argv[1:])
print(ended.exit_code, *sorted(name for name in sys.modules if "." not in name))
"""


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        ("--version", set()),
        ("fingerprint --help", {"psycopg", "pydantic"}),
        ("lab --help", {"pydantic"}),
        ("drill --help", {"boto3", "psycopg", "pydantic"}),
    ],
)
def test_a_command_loads_what_it_needs(command: str, needs: set[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, *command.split()], capture_output=True, text=True, check=True
    )
    status, *loaded = ended.stdout.split()
    assert status == "0"
    assert SLOW & set(loaded) == needs
