"""Times of AWS are read as botocore reads them, in whatever form a service has them, and by our parser where it can."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.aws import sessions

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


EARLIEST, LATEST = (datetime.fromisoformat(day) for day in ("1970-01-02", "2100-01-01"))


@given(st.datetimes(EARLIEST, LATEST, timezones=ZONES))
def test_a_moment_is_read_as_botocore_reads_it(moment: datetime) -> None:
    assert sessions.timestamp(moment.isoformat()) == parse_timestamp(moment.isoformat()) == moment


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23T21:34:29Z",
        "2026-11-23T21:34:29.123Z",
        "2026-11-23T21:34:29+00:00",
        "2026-11-23T21:34:29",
        "2026-11-23 21:34:29Z",
        "20261123T213429Z",
        "20261123",
        "Mon, 23 Nov 2026 21:34:29 GMT",
        "1795469669.5",
        1795469669,
        1795469669.25,
    ],
)
def test_every_form_is_read_as_botocore_reads_it(value: Any) -> None:
    assert sessions.timestamp(value) == parse_timestamp(value)
    assert sessions.timestamp(value).utcoffset() == parse_timestamp(value).utcoffset()


def test_what_is_no_time_is_botocores_error() -> None:
    with pytest.raises(
        ValueError, match=r"^Invalid timestamp \"2026-99-99T00:00:00Z\": month must be in 1\.\.12"
    ):
        sessions.timestamp("2026-99-99T00:00:00Z")


def test_clients_of_a_session_read_times_so() -> None:
    told = "2026-11-23T21:34:29.123Z"
    body = f"<R><DescribeDBSnapshotsResult><DBSnapshots><DBSnapshot><SnapshotCreateTime>{told}"
    body += "</SnapshotCreateTime></DBSnapshot></DBSnapshots></DescribeDBSnapshotsResult></R>"
    client = sessions.session().client(
        "rds", "ap-southeast-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.meta.events.register("before-send.rds", lambda **_: Answer(body))  # type: ignore[arg-type] # what it returns is the answer
    [snapshot] = client.describe_db_snapshots()["DBSnapshots"]
    assert snapshot["SnapshotCreateTime"] == datetime(2026, 11, 23, 21, 34, 29, 123000, UTC)
    assert snapshot["SnapshotCreateTime"].tzinfo is UTC  # botocore's own parser has another


class Answer(AWSResponse):
    def __init__(self, body: str) -> None:
        super().__init__("https://rds", 200, HeadersDict(), None)  # type: ignore[arg-type] # botocore's own are these
        self._content = body.encode()
