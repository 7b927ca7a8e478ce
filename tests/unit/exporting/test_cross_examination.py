"""What is concluded from an export and a copy."""

from typing import Any

import pytest

from pgdrill.exporting import cross_examination
from pgdrill.exporting.cross_examination import Compared, ExportFact
from pgdrill.model import Verdict

HINT = (
    "one of the two is not what the snapshot was: a drill of it that passes convicts the export, one that fails the"
    " copy"
)


def compared(**changes: Any) -> Compared:
    return Compared(database="shop", table="public.a", rows_exported=9, rows_restored=9).model_copy(
        update=changes
    )


def fact(one: Compared | None = None, **changes: Any) -> ExportFact:
    return ExportFact(task="e1", compared={"shop.public.a": one or compared()}).model_copy(update=changes)


def judged(given: ExportFact) -> dict[str, tuple[Verdict, str]]:
    return {one.check: (one.verdict, one.reason) for one in cross_examination.judge(given)}


def test_two_witnesses_that_agree_pass() -> None:
    assert judged(fact()) == {
        "export_tables": (Verdict.PASSED, "the export and the copy hold the same tables"),
        "export_rows": (Verdict.PASSED, "the number of rows of the export and of the copy agree"),
        "export_values": (Verdict.PASSED, "the keys and sums of the export and of the copy agree"),
    }


@pytest.mark.parametrize(("export", "copy"), [(8, 9), (9, 8)])
def test_rows_that_are_missing_on_either_side_fail(export: int, copy: int) -> None:
    given = fact(compared(rows_exported=export, rows_restored=copy))
    verdict, reason = judged(given)["export_rows"]
    assert verdict is Verdict.FAILED
    assert reason == (
        "the number of rows of the export and of the copy differ:"
        f" public.a ({export} rows in the export, {copy} in the copy)"
    )
    assert cross_examination.judge(given)[1].hint == HINT


def test_rows_that_row_security_may_have_hidden_are_told_as_such() -> None:
    given = fact(compared(rows_exported=0, row_security=True))
    assert cross_examination.judge(given)[1].hint == (
        "row security hides rows from the master user, with whom RDS reads"
    )
    more = fact(compared(rows_exported=10, row_security=True))
    assert cross_examination.judge(more)[1].hint == HINT


def test_a_column_that_differs_fails_by_its_name() -> None:
    assert judged(fact(compared(differ=("id", "(key)"))))["export_values"] == (
        Verdict.FAILED,
        "the keys and sums of the export and of the copy differ: public.a (differ: id, (key))",
    )


def test_a_column_of_a_type_that_aws_says_nothing_of_convicts_nobody() -> None:
    doubtful = compared(differ=("tags",), doubtful=("tags",))
    assert judged(fact(doubtful))["export_values"] == (
        Verdict.INCONCLUSIVE,
        "columns differ of which AWS does not say how it writes them: public.a (differ: tags)",
    )
    both = compared(differ=("id", "tags"), doubtful=("tags",))
    assert judged(fact(both))["export_values"][0] is Verdict.FAILED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"absent": {"shop.public.b": "PERMISSIONS_DO_NOT_EXIST"}},
            "public.b (not in the export: PERMISSIONS_DO_NOT_EXIST)",
        ),
        ({"unknown": ("shop.public.c",)}, "public.c (in the export and not in the copy)"),
    ],
)
def test_a_table_that_only_one_side_has_fails(changes: dict[str, Any], reason: str) -> None:
    assert judged(fact(**changes))["export_tables"] == (
        Verdict.FAILED,
        f"the export and the copy do not hold the same tables: {reason}",
    )


def test_a_table_that_the_plan_leaves_out_is_not_missed() -> None:
    given = fact(absent={"shop.public.b": "NO", "shop.public.c": "NO"})
    both = cross_examination.judge(given, ["shop.public.b", "shop.public.c"])
    assert both[0].verdict is Verdict.PASSED
    one = cross_examination.judge(given, ["shop.public.b"])
    assert (one[0].verdict, one[0].damaged) == (Verdict.FAILED, 1)


def test_a_table_that_the_plan_leaves_out_may_be_short() -> None:
    whole = compared(table="public.b")
    short = fact(compared={"shop.public.a": compared(rows_exported=0), "shop.public.b": whole})
    assert cross_examination.judge(short)[1].verdict is Verdict.FAILED
    assert cross_examination.judge(short, ["shop.public.a"])[1].verdict is Verdict.PASSED


def test_a_warning_alone_leaves_it_open() -> None:
    assert judged(fact(warnings=("general: X",)))["export_tables"] == (
        Verdict.INCONCLUSIVE,
        "RDS warned of the export: general: X",
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (fact(compared(reason="no file")), "not everything could be compared: public.a (no file)"),
        (fact(complete=False), "the time ended before all was compared"),
        (fact(compared={}), "there was nothing to compare"),
    ],
)
def test_what_was_not_compared_never_passes(given: ExportFact, reason: str) -> None:
    found = judged(given)
    assert found["export_rows"] == (Verdict.INCONCLUSIVE, reason)
    assert found["export_values"] == (Verdict.INCONCLUSIVE, reason)
