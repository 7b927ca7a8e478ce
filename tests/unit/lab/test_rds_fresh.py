import re
from datetime import UTC, datetime, timedelta

from pgdrill.lab.rds import fresh


def test_a_moment_is_in_whole_milliseconds_and_never_before_what_happened() -> None:
    for _ in range(100):
        before = datetime.now(UTC)
        moment = fresh.to_millisecond(before)
        assert moment.microsecond % 1000 == 0
        assert before <= moment < before + timedelta(milliseconds=1)


def test_identifiers_have_the_form_of_rdss_and_differ() -> None:
    names = {fresh.new_id("db-") for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"db-[A-Z2-7]{26}", name) for name in names)
