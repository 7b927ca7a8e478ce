"""What an export says of itself, in the form that AWS shows and in forms that it does not."""

import json

import pytest

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.errors import Broken
from pgdrill.exporting import exported
from tests.unit.memory import Memory

TASK = ExportTask(id="e1", source="arn:aws:rds:r:0:snapshot:s", status="COMPLETE", bucket="archive")
# Source: RDS User Guide, "Monitoring snapshot exports".
SAMPLE = '{"skippedTables":[],"skippedObjectives":[],"general":[{"reason":"FAILED_TO_EXTRACT_TABLES_LIST_FOR_DATABASE"}]}'


def archive(**tables: str) -> Memory:
    store = Memory()
    store.bucket = "archive"
    store.put("e1/export_info_e1.json", json.dumps({"exportTaskIdentifier": "e1"}).encode())
    entries = [{"target": name.replace("__", "."), "status": status} for name, status in tables.items()]
    for number, entry in enumerate(entries, 1):
        key = f"e1/export_tables_info_e1_from_{number}_to_{number}.json"
        store.put(key, json.dumps({"perTableStatus": [entry]}).encode())
    return store


@pytest.mark.parametrize(
    ("text", "skipped", "warnings"),
    [
        ("", {}, ()),
        (SAMPLE, {}, ("general: FAILED_TO_EXTRACT_TABLES_LIST_FOR_DATABASE",)),
        (
            '{"skippedTables": [{"tableName": "a.b.c", "reason": "PERMISSIONS_DO_NOT_EXIST"}]}',
            {"a.b.c": "PERMISSIONS_DO_NOT_EXIST"},
            (),
        ),
        ('{"skippedTables": ["a.b.c"], "general": null}', {"a.b.c": "no reason given"}, ("general: null",)),
        ('{"skippedTables": [{"oid": 7}]}', {'{"oid": 7}': "no reason given"}, ()),
        ('{"more": {"x": 1}}', {}, ('more: {"x": 1}',)),
        ("something is wrong", {}, ("something is wrong",)),
        ("[1]", {}, ("[1]",)),
    ],
)
def test_nothing_of_a_warning_is_lost(text: str, skipped: dict[str, str], warnings: tuple[str, ...]) -> None:
    assert exported.warned(text) == (skipped, warnings)


def test_the_tables_of_all_information_files_are_listed() -> None:
    told = exported.read(archive(shop__public__a="COMPLETE", shop__public__b="FAILED"), TASK)
    assert told.tables == {"shop.public.a": "COMPLETE", "shop.public.b": "FAILED"}
    assert told.unwritten() == {"shop.public.b": "status FAILED"}


def test_an_export_without_its_information_is_not_one() -> None:
    with pytest.raises(Broken) as refused:
        exported.read(archive(), TASK.model_copy(update={"id": "e2"}))
    assert refused.value.message == (
        "export 'e2' left no information of its own below 'e2' in bucket 'archive'"
    )


def test_information_of_another_task_is_none() -> None:
    store = archive()
    store.put("e2/export_info_e2.json", b'{"exportTaskIdentifier": "e1"}')
    with pytest.raises(Broken, match="left no information of its own"):
        exported.read(store, TASK.model_copy(update={"id": "e2"}))


def test_information_that_is_no_json_is_told_by_its_key() -> None:
    store = archive()
    store.put("e1/export_info_e1.json", b"<html>")
    with pytest.raises(Broken) as refused:
        exported.read(store, TASK)
    assert refused.value.message == "'e1/export_info_e1.json' in bucket 'archive' is not a JSON object"


@pytest.mark.parametrize("layout", ["1/part-00000-u.gz.parquet", "part-00000-u.gz.parquet", "7/x/y.parquet"])
def test_all_files_of_a_table_are_read_however_they_are_named(layout: str) -> None:
    store = archive()
    store.put(f"p/e1/shop/public.a/{layout}", b"rows")
    store.put("p/e1/shop/public.a/1/_SUCCESS", b"")
    store.put("p/e1/shop/public.another/1/part-00000.parquet", b"rows of another")
    prefixed = TASK.model_copy(update={"prefix": "p/"})
    assert list(exported.files(store, prefixed, exported.folder("shop", "public", "a"))) == [b"rows"]


def test_awkward_characters_are_underscores_in_a_folder() -> None:
    assert exported.folder("Year-End", 'a "b"', "c\\d`e") == "Year-End/a__b_.c_d_e"
