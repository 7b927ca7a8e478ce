from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pgdrill.model import Clock, Lease, Seal, Verdict, worst

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


@given(st.lists(st.sampled_from(Verdict)))
def test_one_failed_check_fails_a_drill(verdicts: list[Verdict]) -> None:
    assert (worst(verdicts) is Verdict.FAILED) == (Verdict.FAILED in verdicts)


@given(st.lists(st.sampled_from(Verdict)))
def test_a_drill_passes_only_where_all_that_was_asked_passed_and_something_was(
    verdicts: list[Verdict],
) -> None:
    asked = [verdict for verdict in verdicts if verdict is not Verdict.NOT_ASKED]
    assert (worst(verdicts) is Verdict.PASSED) == (bool(asked) and set(asked) == {Verdict.PASSED})


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(Verdict.PASSED, 0), (Verdict.FAILED, 1), (Verdict.INCONCLUSIVE, 3), (Verdict.NOT_ASKED, 3)],
)
def test_only_a_pass_exits_with_zero(verdict: Verdict, status: int) -> None:
    assert verdict.exit_status == status


def test_times_are_kept_in_utc() -> None:
    singapore = timezone(timedelta(hours=8))
    seal = Seal(point="p", database="shop", taken_at=NOW.astimezone(singapore), done_at=NOW, facts={})
    assert seal.taken_at.tzinfo is UTC
    assert seal.taken_at == NOW


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Seal(point="p", database="shop", taken_at=NOW.replace(tzinfo=None), done_at=NOW, facts={})


def test_the_tags_of_a_lease_say_who_what_and_until_when() -> None:
    lease = Lease(instance="pgdrill-lab-drill-shop", drill="d1", database="shop", expires_at=NOW)
    assert lease.tags() == {
        "ManagedBy": "pgdrill",
        "PgDrillRole": "drill",
        "PgDrillDatabase": "shop",
        "PgDrillDrill": "d1",
        "PgDrillExpires": "2026-11-22T06:00:00Z",
    }


def test_a_clock_tells_the_time_from_its_budget_alone() -> None:
    clock = Clock(now=NOW, remaining=lambda: 60.0, budget=90.0)
    assert clock.elapsed() == 30.0
    assert clock.at() == NOW + timedelta(seconds=30)
