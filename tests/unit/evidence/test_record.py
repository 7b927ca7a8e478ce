"""The record of a drill: its invariants, and bytes that are the same wherever it is written."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pgdrill.evidence.record import Evidence, Isolation, Summary, canonical, sha256
from pgdrill.model import Damage, Finding, Rpo, Verdict
from tests.unit.evidence.drills import damaged, drilled, torn_down

text = st.text(max_size=40)
moments = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - the strategy gives the zone
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.sampled_from([timezone(timedelta(hours=hours)) for hours in (-11, 0, 8)]),
)
findings = st.builds(
    Finding,
    check=text,
    verdict=st.sampled_from(Verdict),
    reason=text,
    hint=text,
    coverage=text,
    damage=st.lists(st.builds(Damage, database=text, object=text, what=text), max_size=3).map(tuple),
    damaged=st.integers(min_value=0, max_value=2**63),
    seconds=st.floats(min_value=0, max_value=1e9),
)
told = st.fixed_dictionaries(
    {
        "findings": st.lists(findings, max_size=4),
        "started_at": moments,
        "verdict_reason": text,
        "warnings": st.lists(text, max_size=2),
        "facts": st.dictionaries(text, st.just("f" * 64), max_size=3),
        "verdict": st.just(Verdict.FAILED),
    }
)


def problem(make: Callable[[], object]) -> str:
    with pytest.raises(ValidationError) as caught:
        make()
    return caught.value.errors()[0]["msg"]


@given(told)
def test_what_is_written_is_read_back_and_gives_the_same_bytes(told: dict[str, object]) -> None:
    evidence = drilled(**told)
    body = canonical(evidence)
    assert Evidence.model_validate_json(body) == evidence
    assert canonical(Evidence.model_validate_json(body)) == body


@given(st.randoms(), told)
def test_the_order_in_which_a_record_was_put_together_does_not_show(
    random: object, told: dict[str, object]
) -> None:
    evidence = drilled(**told)
    plain = list(evidence.model_dump(mode="json").items())
    random.shuffle(plain)  # type: ignore[attr-defined]  # hypothesis's Random
    assert canonical(Evidence.model_validate_json(json.dumps(dict(plain)))) == canonical(evidence)


def test_canonical_bytes_are_sorted_utf8_without_white_space() -> None:
    body = canonical(drilled(verdict_reason="größer"))
    assert "größer".encode() in body
    keys = list(json.loads(body))
    assert keys == sorted(keys)
    assert json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode() == body


def test_the_digest_is_what_sha256sum_prints_for_the_stored_file() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_one_changed_character_changes_the_digest() -> None:
    assert sha256(canonical(drilled())) != sha256(canonical(drilled(verdict_reason="another")))


def test_times_are_kept_in_utc() -> None:
    evidence = drilled(finished_at="2026-11-22T14:05:30+08:00")
    assert b'"finished_at":"2026-11-22T06:05:30Z"' in canonical(evidence)


def test_a_time_without_a_zone_is_refused() -> None:
    said = problem(lambda: drilled(finished_at="2026-11-22T14:05:30"))
    assert said == "Input should have timezone info"


def test_a_number_that_json_cannot_hold_is_never_written() -> None:
    evidence = drilled(
        rpo=Rpo(lag_of_point=float("nan"), exposure_at_start=None, worst_case=None, basis="nothing")
    )
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        canonical(evidence)


@pytest.mark.parametrize("found", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_a_drill_never_passes_with_a_check_that_did_not(found: Verdict) -> None:
    finding = Finding(check="rows", verdict=found, reason="why")
    said = problem(lambda: drilled(findings=(finding,)))
    assert said == f"Value error, verdict passed is better than its findings, which are {found}"


def test_a_drill_that_examined_nothing_never_passes() -> None:
    said = problem(lambda: drilled(findings=()))
    assert said == "Value error, verdict passed is better than its findings, which are inconclusive"


def test_a_failed_check_is_never_told_as_inconclusive() -> None:
    said = problem(lambda: damaged(verdict=Verdict.INCONCLUSIVE))
    assert said == "Value error, verdict inconclusive is better than its findings, which are failed"


def test_a_drill_may_be_worse_than_its_checks() -> None:
    assert drilled(verdict=Verdict.INCONCLUSIVE).verdict is Verdict.INCONCLUSIVE


def test_a_drill_is_never_not_asked() -> None:
    said = problem(lambda: drilled(verdict=Verdict.NOT_ASKED))
    assert said == "Value error, a drill has a verdict; not_asked is for checks"


def test_a_drill_never_passes_with_broken_isolation() -> None:
    public = Isolation(property="publicly accessible", expected="no", observed="yes", ok=False)
    said = problem(lambda: drilled(isolation=(public,)))
    assert said == "Value error, verdict passed although isolation is broken: publicly accessible"


@pytest.mark.parametrize("drill", ["", "../other", "a/b", ".hidden", "a" * 129])
def test_a_drill_id_that_could_leave_its_place_in_the_store_is_refused(drill: str) -> None:
    assert problem(lambda: drilled(drill=drill)).startswith("String should match pattern")


def test_a_field_that_could_carry_a_row_is_refused() -> None:
    assert problem(lambda: drilled(sample=["a row"])) == "Extra inputs are not permitted"


def test_a_digest_is_64_hexadecimal_digits() -> None:
    said = problem(lambda: torn_down(drilled(), evidence_sha256="deadbeef"))
    assert said == "String should match pattern '^[0-9a-f]{64}$'"


def test_a_summary_says_what_a_trend_needs() -> None:
    summary = Summary.of(drilled())
    assert (summary.verdict, summary.rto_usable, summary.examined_bytes) == (
        Verdict.PASSED,
        15.3,
        2_100_000_000,
    )
