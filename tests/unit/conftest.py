"""Unit tests talk to nothing: a socket is an error. Nothing is timed, since machines are shared."""

import pytest
from hypothesis import settings
from pytest_socket import disable_socket

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _no_network() -> None:
    disable_socket()
