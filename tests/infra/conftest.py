"""Fixtures over tests/infra/program.py.

The program's modules are flat, as Pulumi runs them: pytest (`pythonpath`) and mypy (`mypy_path`) have `infra/` on
their paths, so a test imports them as they do each other: `from naming import Names`.
Build inside, assert outside: an assertion inside an `apply` can run before the children are registered.
"""

from typing import TYPE_CHECKING

import pytest

from ground import Grounds, grounds
from settings import load
from tests.infra.program import ACCOUNT, ADOPTED, SETTINGS, Run, program, run

if TYPE_CHECKING:
    import pulumi


def _ground(settings: dict[str, object]) -> Run:
    def build() -> "pulumi.Output[object]":
        made: Grounds = grounds(load(settings), ACCOUNT)
        return made.plan

    return run(build)


@pytest.fixture(scope="session")
def ground() -> Run:
    """Both regions' ground with a created database; the result is the plan."""
    return _ground(SETTINGS)


@pytest.fixture(scope="session")
def adopted() -> Run:
    """The same with an adopted one."""
    return _ground(ADOPTED)


@pytest.fixture(scope="session")
def protected() -> Run:
    """The same with `protect`, automated backups replicated, and a client's network."""
    more = {"protect": True, "replicate_automated_backups": True, "primary": {"clients": ["10.1.0.0/16"]}}
    return _ground(SETTINGS | more)


@pytest.fixture(scope="session")
def whole() -> Run:
    """The whole program, with a created database."""
    return program(SETTINGS)


@pytest.fixture(scope="session")
def found() -> Run:
    """The whole program, with an adopted one."""
    return program(ADOPTED)


@pytest.fixture(scope="session")
def guarded() -> Run:
    """The whole program, with `protect`."""
    return program(SETTINGS | {"protect": True})
