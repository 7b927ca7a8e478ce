"""Which exports pass."""

from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.exporting import conclusion
from pgdrill.exporting.conclusion import Conclusion
from pgdrill.exporting.exported import Exported
from pgdrill.messages import Level
from pgdrill.model import Finding, Seal, Verdict

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
TASK = ExportTask(id="e1", source="arn:aws:rds:r:0:snapshot:s", status="COMPLETE", bucket="b", started_at=NOW)
TABLES = frozenset({"shop.public.a", "shop.public.b"})
WHOLE = Exported(task="e1", source="s", tables=dict.fromkeys(TABLES, "COMPLETE"))


def test_an_export_of_all_that_was_sealed_passes() -> None:
    judged = conclusion.judge(TASK, WHOLE, TABLES, TABLES)
    assert judged.verdict is Verdict.PASSED
    assert judged.reason == "every table that production had is in the export"
    assert judged.coverage == "2 tables listed, 2 sealed"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"tables": {"shop.public.a": "COMPLETE"}},
            "a table is not in it: public.b, in production, and neither listed nor skipped",
        ),
        ({"skipped": {"shop.public.b": "NO"}}, "a table is not in it: public.b, skipped: NO"),
        (
            {"tables": {"shop.public.a": "COMPLETE", "shop.public.b": "FAILED"}},
            "a table is not in it: public.b, skipped: status FAILED",
        ),
        ({"warnings": ("general: LOST",)}, "warns: general: LOST"),
        ({"tables": {}}, "2 tables are not in it: public.a, in production, and neither listed nor skipped"),
    ],
)
def test_a_complete_export_that_is_not_complete_fails(changed: dict[str, object], reason: str) -> None:
    judged = conclusion.judge(TASK, WHOLE.model_copy(update=changed), TABLES, TABLES)
    assert judged.verdict is Verdict.FAILED
    assert judged.reason == f"RDS calls the export complete, but {reason}"


def test_a_table_that_the_plan_leaves_out_is_not_missed() -> None:
    told = WHOLE.model_copy(update={"skipped": {"shop.public.c": "NO"}})
    more = TABLES | {"shop.public.c", "shop.public.d"}
    left_out = ["shop.public.c", "shop.public.d"]
    judged = conclusion.judge(TASK, told, more, more, left_out=left_out)
    assert judged.verdict is Verdict.PASSED
    assert judged.coverage == "2 tables listed, 2 sealed, 2 left out by the plan"
    assert conclusion.judge(TASK, told, more, more, left_out=left_out[:1]).verdict is Verdict.FAILED
    assert conclusion.judge(TASK, told, more, more, left_out=left_out[1:]).verdict is Verdict.FAILED


@pytest.mark.parametrize("status", ["FAILED", "CANCELED"])
def test_an_export_that_did_not_complete_fails_with_its_cause(status: str) -> None:
    task = TASK.model_copy(update={"status": status, "failure": "no permission."})
    judged = conclusion.judge(task, None, TABLES, TABLES)
    assert (judged.verdict, judged.reason) == (Verdict.FAILED, f"export e1 is {status}: no permission.")


def test_an_export_whose_information_is_gone_fails() -> None:
    judged = conclusion.judge(TASK, None, TABLES, TABLES, problem="nothing below 'e1'")
    assert (judged.verdict, judged.reason) == (Verdict.FAILED, "export e1 is COMPLETE: nothing below 'e1'")


def test_an_export_without_a_seal_is_open() -> None:
    judged = conclusion.judge(TASK, WHOLE)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason == "there is no seal of the point to compare the list of tables with"


def test_a_table_that_came_or_went_between_the_seals_may_be_missing() -> None:
    more = TABLES | {"shop.public.new"}
    assert conclusion.judge(TASK, WHOLE, TABLES, more).verdict is Verdict.PASSED
    assert conclusion.judge(TASK, WHOLE, more, TABLES).verdict is Verdict.PASSED
    assert conclusion.judge(TASK, WHOLE, more, more).verdict is Verdict.FAILED


def test_a_table_that_only_one_seal_has_known_leaves_it_open() -> None:
    more = TABLES | {"shop.public.new"}
    judged = conclusion.judge(TASK, WHOLE, more)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason == (
        "shop.public.new is not in the export, and only one seal says that production had it"
    )
    assert conclusion.judge(TASK, WHOLE, TABLES).verdict is Verdict.PASSED


def test_a_seal_in_a_form_that_is_not_known_is_as_good_as_none() -> None:
    sealed = Seal(point="p", database="shop", taken_at=NOW, done_at=NOW, facts={"catalog": {"tables": []}})
    assert conclusion.sealed_tables(sealed) is None


def test_the_tables_of_a_seal_are_named_as_in_an_export() -> None:
    entries = [
        "table shop.orders",
        'table "Back Office"."a ""table"" b.c"',
        "partitioned table shop.visits",
        "partition shop.visits_1",
        "unlogged table shop.carts",
        "foreign table shop.far",
        "view shop.table_of_all",
        "privileges of table shop.orders",
        "column shop.orders.id",
    ]
    objects = {"*": {"role pgdrill": "1"}, "shop": dict.fromkeys(entries, "0")}
    sealed = Seal(
        point="p",
        database="shop",
        taken_at=NOW,
        done_at=NOW,
        facts={"catalog": {"role": "r", "objects": objects}},
    )
    names = ["shop.shop.orders", 'shop.Back Office.a "table" b.c', "shop.shop.visits"]
    assert conclusion.sealed_tables(sealed) == frozenset(names)
    assert conclusion.sealed_tables(None) is None


@pytest.mark.parametrize(
    ("verdict", "levels"),
    [
        (Verdict.PASSED, [Level.REPORT]),
        (Verdict.FAILED, [Level.ALARM]),
        (Verdict.INCONCLUSIVE, [Level.WARNING]),
    ],
)
def test_an_export_is_told_as_loudly_as_its_verdict_is_bad(verdict: Verdict, levels: list[Level]) -> None:
    finding = Finding(check="export", verdict=verdict, reason="r")
    told = conclusion.told(Conclusion(task=TASK, database="shop", concluded_at=NOW, finding=finding))
    assert [message.level for message in told.messages] == levels
    assert {metric.name: metric.value for metric in told.metrics}["ExportsPassed"] == (
        1 if verdict is Verdict.PASSED else 0
    )


def test_an_export_is_late_after_four_hours_and_three_minutes_a_gigabyte() -> None:
    running = TASK.model_copy(update={"status": "IN_PROGRESS", "progress": 7})
    allowed = timedelta(hours=5)
    assert conclusion.late(running, 20, "shop", NOW + allowed).messages == ()
    (message,) = conclusion.late(running, 20, "shop", NOW + allowed + timedelta(seconds=1)).messages
    assert message.text == "export 'e1' of database 'shop' is IN_PROGRESS at 7 % after 5:00:01"
