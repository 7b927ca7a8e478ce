"""The dashboards of the example, read and drawn once."""

import pytest

from pgdrill.dashboard.board import Board
from pgdrill.dashboard.page import page
from pgdrill.dashboard.readings import Readings
from tests.unit.dashboard.example import shown
from tests.unit.snapshots import AWAY, HOME

Shown = tuple[Board, Readings]


@pytest.fixture(scope="session")
def home() -> Shown:
    return shown(HOME)


@pytest.fixture(scope="session")
def away() -> Shown:
    return shown(AWAY)


@pytest.fixture(scope="session")
def home_page(home: Shown) -> str:
    return page(*home)
