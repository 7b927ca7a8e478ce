from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pgdrill.checks.check import Case, Check
from pgdrill.checks.registry import ALL
from pgdrill.database import Address, Server
from pgdrill.drills import examination
from pgdrill.drills.examination import Measured
from pgdrill.errors import PlanError, Unavailable
from pgdrill.model import Clock, Fact, Finding, Judgement, Verdict
from pgdrill.plan import Checks


class Count(Fact):
    seen: int


def check_of(name: str, measure: Callable[[Server, Case], Count]) -> Check[Count]:
    return Check(
        name, measure, lambda fact, _: Judgement(verdict=Verdict.PASSED, reason=f"{fact.seen} seen"), Count
    )


def server(remaining: Iterator[float] | None = None) -> Server:
    address = Address(host="localhost", port=1, user="u", password="p")
    left = remaining or iter(lambda: 100.0, None)
    return Server(
        address, Clock(now=datetime(2026, 11, 22, tzinfo=UTC), remaining=lambda: next(left), budget=100)
    )


def named(*names: str) -> Case:
    return Case(checks=Checks(), asked=frozenset(names))


def examine(
    checks: list[Check[Any]], case: Case, earlier: dict[str, Measured] | None = None
) -> dict[str, Measured]:
    known = earlier or {}

    def before(check: Check[Any]) -> Measured | None:
        return known.get(examination.measure_name(check))

    found = examination.measure(server(), checks, case, before)
    return known | {measured.measure: measured for measured in found}


def in_module(name: str, measure: Callable[[Server, Case], Count]) -> Callable[[Server, Case], Count]:
    measure.__module__ = f"pgdrill.checks.{name}"
    return measure


def test_a_measure_that_raises_does_not_stop_the_others_and_is_inconclusive() -> None:
    def broken(_: Server, __: Case) -> Count:
        raise psycopg.errors.DataCorrupted("row (4242, secret) is broken")

    checks = [
        check_of("one", in_module("one", broken)),
        check_of("two", in_module("two", lambda *_: Count(seen=2))),
    ]
    case = named("one", "two")
    one, two = examination.judge(checks, case, examine(checks, case))
    assert (one.verdict, one.reason) == (
        Verdict.INCONCLUSIVE,
        "could not be measured: DataCorrupted (XX001)",
    )
    assert "secret" not in one.model_dump_json()
    assert (two.verdict, two.reason) == (Verdict.PASSED, "2 seen")


def test_a_bug_in_a_measure_is_not_swallowed() -> None:
    def bug(_: Server, __: Case) -> Count:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        examine([check_of("one", in_module("one", bug))], named("one"))


def test_a_check_that_is_not_asked_is_neither_measured_nor_passed() -> None:
    def never(_: Server, __: Case) -> Count:
        raise AssertionError("measured although not asked")

    checks = [check_of("one", in_module("one", never))]
    measured = examine(checks, named("other"))
    assert examination.judge(checks, named("other"), measured) == (
        Finding(check="one", verdict=Verdict.NOT_ASKED, reason="not asked for by the plan"),
    )


def test_a_check_that_was_never_measured_is_inconclusive() -> None:
    checks = [check_of("one", in_module("one", lambda *_: Count(seen=1)))]
    (finding,) = examination.judge(checks, named("one"), {})
    assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "was not measured")


def test_checks_that_share_a_measure_share_its_fact() -> None:
    calls = []

    def shared(_: Server, __: Case) -> Count:
        calls.append(1)
        return Count(seen=len(calls))

    in_module("shared", shared)
    checks = [check_of("one", shared), check_of("two", shared)]
    case = named("one", "two")
    findings = examination.judge(checks, case, examine(checks, case))
    assert [finding.reason for finding in findings] == ["1 seen", "1 seen"]


def test_an_incomplete_measure_goes_on_from_what_it_had() -> None:
    def counting(_: Server, case: Case) -> Count:
        earlier = case.resumed(Count)
        seen = earlier.seen + 1 if earlier else 1
        return Count(seen=seen, complete=seen == 3)

    checks = [check_of("one", in_module("one", counting))]
    measured: dict[str, Measured] = {}
    for seen in (1, 2, 3, 3):
        measured = examine(checks, named("one"), measured)
        assert measured["one"].fact == Count(seen=seen, complete=seen == 3)


def test_half_a_measure_is_never_a_pass() -> None:
    checks = [check_of("one", in_module("one", lambda *_: Count(seen=1)))]
    half = {"one": Measured("one", Count(seen=1, complete=False), 1.0)}
    (finding,) = examination.judge(checks, named("one"), half)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason == "the time ended before all was measured; so far: 1 seen"


def test_a_measure_is_not_begun_without_time_for_it() -> None:
    checks = [check_of("one", in_module("one", lambda *_: Count(seen=1)))]
    short = server(iter([examination.LEAST - 0.1]))
    assert list(examination.measure(short, checks, named("one"), lambda _: None)) == []


def test_only_what_an_error_is_called_is_kept() -> None:
    assert examination.error_name(Unavailable("cannot connect", hint="")) == "Unavailable"
    assert examination.error_name(psycopg.errors.QueryCanceled("x")) == "QueryCanceled (57014)"


def test_a_plan_that_skips_what_does_not_exist_is_refused() -> None:
    with pytest.raises(PlanError) as refused:
        examination.asked(ALL, Checks(skip=("rwos",)))
    assert refused.value.message == "checks.skip names no check: 'rwos'"
    assert refused.value.hint == f"the checks are {', '.join(check.name for check in ALL)}"


def test_a_plan_that_skips_everything_is_refused() -> None:
    with pytest.raises(PlanError, match=r"checks\.skip leaves no check"):
        examination.asked(ALL, Checks(skip=tuple(check.name for check in ALL)))


def test_every_check_has_a_name_of_its_own_and_a_documentation_that_begins_with_it() -> None:
    assert len({check.name for check in ALL}) == len(ALL) == 14
    for check in ALL:
        assert replace(check).name == check.judge.__module__.rsplit(".", 1)[-1]
