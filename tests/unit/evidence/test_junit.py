"""JUnit XML: what was not proved is never green, whatever the names hold."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from hypothesis import example, given
from hypothesis import strategies as st

from pgdrill.evidence.junit import drill_junit, junit
from pgdrill.model import Damage, Finding, Verdict
from tests.unit.evidence.drills import damaged, drilled, never_started

AT = datetime(2026, 11, 22, 6, 5, tzinfo=UTC)


def suite(body: bytes) -> ET.Element:
    """Return the only suite; the document is pgdrill's own, so no entity can come from outside."""
    root = ET.fromstring(body)  # noqa: S314 - as said
    assert root.tag == "testsuites"
    (only,) = root
    return only


def counts(element: ET.Element) -> tuple[int, ...]:
    return tuple(int(element.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))


def test_each_check_is_one_case_and_each_verdict_its_own_result() -> None:
    only = suite(drill_junit(damaged()))
    results = {case.attrib["name"]: [child.tag for child in case] for case in only.iter("testcase")}
    assert results["heap"] == ["failure"]
    assert results["collations"] == ["error"]
    assert results["assertions"] == ["skipped"]
    assert results["rows"] == []
    assert counts(only) == (11, 1, 1, 1)


def test_a_passed_drill_has_no_failure_and_no_error() -> None:
    assert counts(suite(drill_junit(drilled()))) == (10, 0, 0, 1)


def test_a_failure_names_the_damage_and_what_to_do() -> None:
    failure = suite(drill_junit(damaged(2))).find(".//failure")
    assert failure is not None
    assert failure.attrib == {"message": "2 pages of the table contradict themselves", "type": "failed"}
    assert failure.text == (
        'shop shop."Order Lines 0" block 0: item 3 points past the end of the page\n'
        'shop shop."Order Lines 1" block 1: item 3 points past the end of the page\n'
        "coverage: 34 of 34 tables with TOAST, 2.1 GB\n"
        "HINT: restore an older point and drill it: pgdrill drill run --point oldest"
    )


def test_damage_beyond_what_is_listed_is_counted() -> None:
    failure = suite(drill_junit(damaged(70))).find(".//failure")
    assert failure is not None
    assert "50 of 70 shown" in (failure.text or "")


def test_a_drill_that_never_restored_is_an_error() -> None:
    only = suite(drill_junit(never_started()))
    assert counts(only) == (1, 0, 1, 0)
    error = only.find("testcase[@name='drill']/error")
    assert error is not None
    assert error.attrib["message"].startswith("the temporary instance ended in incompatible-restore")


def test_a_drill_worse_than_its_checks_is_not_green() -> None:
    only = suite(drill_junit(drilled(verdict=Verdict.FAILED, verdict_reason="RTO missed")))
    assert counts(only) == (11, 1, 0, 1)


def test_properties_tell_what_was_measured_and_leave_out_what_was_not() -> None:
    def names(body: bytes) -> set[str]:
        return {entry.attrib["name"] for entry in suite(body).iter("property")}

    measured = {"rto_usable_seconds", "rpo_worst_case_seconds"}
    assert names(drill_junit(drilled())) == {"drill", "point", "pgdrill"} | measured
    assert names(drill_junit(never_started())) == {"drill", "point", "pgdrill"}


def test_no_findings_no_cases() -> None:
    assert counts(suite(junit([], suite="shop", at=AT))) == (0, 0, 0, 0)


# Every character, as a database may hold it in a name; surrogates alone are refused by the model.
anything = st.text(st.characters(exclude_categories=["Cs"]))


@given(anything, anything)
@example("\x00\x1f\ufffe", "\uffff]]>")
def test_no_name_breaks_the_document(name: str, what: str) -> None:
    finding = Finding(
        check="rows",
        verdict=Verdict.FAILED,
        reason=what,
        damage=(Damage(database=name, object=name, what=what),),
        damaged=1,
    )
    only = suite(junit([finding], suite=name, at=AT))
    assert counts(only) == (1, 1, 0, 0)
