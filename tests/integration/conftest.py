"""The deployment that integration tests look at: the one whose outputs PGDRILL_OUTPUTS names, or one made in a lab.

Tests read nothing but the flat outputs and AWS's APIs by boto3, but for those that make a lab of their own, `labs`: what
they look at no account has. None is skipped, wherever it runs.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgdrill.lab.deploy.deployment import OUTPUTS
from tests.integration import labs
from tests.integration.deployed import Cell, Deployment


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    if named := os.environ.get("PGDRILL_OUTPUTS"):
        yield Deployment(json.loads(Path(named).read_bytes()))
        return
    with labs.deployed() as lab:
        yield Deployment(json.loads((lab.directory / OUTPUTS).read_bytes()))


@pytest.fixture(scope="session")
def primary(deployment: Deployment) -> Cell:
    return deployment.cell("primary")


@pytest.fixture(scope="session")
def dr(deployment: Deployment) -> Cell:
    return deployment.cell("dr")


@pytest.fixture(params=["primary", "dr"])
def cell(deployment: Deployment, request: pytest.FixtureRequest) -> Cell:
    """Either cell."""
    return deployment.cell(request.param)
