"""What refuses a connection says what to look at."""

import pytest

from pgdrill.database import _remedy

REACHED = 'connection failed: connection to server at "10.0.0.5", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            REACHED + "fe_sendauth: no password supplied",
            "set PGPASSWORD, or put the password into a password file",
        ),
        (
            REACHED + 'FATAL:  password authentication failed for user "boss"',
            "the server runs and refused: check the user, its password, the database's name and pg_hba.conf",
        ),
        (
            REACHED + "Connection refused",
            "check that the server runs, that the network lets this host in, and that PGSSLROOTCERT names its CA",
        ),
    ],
)
def test_the_remedy_fits_how_far_the_connection_came(said: str, remedy: str) -> None:
    assert _remedy(said) == remedy
