from pathlib import Path

from pgdrill.lab.rds.records import SubnetGroup, Table


def group(identifier: str, region: str = "ap-southeast-1") -> SubnetGroup:
    return SubnetGroup(
        region=region, identifier=identifier, description="d", subnets=("subnet-1", "subnet-2")
    )


def test_records_are_there_after_they_are_read_again(tmp_path: Path) -> None:
    table = Table(tmp_path, SubnetGroup)
    kept = [table.put(group("b")), table.put(group("a.b:c", "ap-northeast-1"))]
    table.remove(table.put(group("gone")))
    again = Table(tmp_path, SubnetGroup)
    again.load()
    assert again.all() == sorted(kept, key=lambda record: record.region)
    assert again.all("ap-southeast-1") == [group("b")]


def test_the_last_record_of_a_name_is_the_one(tmp_path: Path) -> None:
    table = Table(tmp_path, SubnetGroup)
    table.put(group("a"))
    table.put(group("a").model_copy(update={"description": "new"}))
    again = Table(tmp_path, SubnetGroup)
    again.load()
    assert [record.description for record in again.all()] == ["new"]


def test_names_are_apart_by_region(tmp_path: Path) -> None:
    table = Table(tmp_path, SubnetGroup)
    table.put(group("a"))
    assert table.get("ap-southeast-1", "a") == group("a")
    assert table.get("ap-northeast-1", "a") is None


def test_a_half_written_file_is_not_read(tmp_path: Path) -> None:
    table = Table(tmp_path, SubnetGroup)
    table.put(group("a"))
    (tmp_path / "ap-southeast-1" / "b.tmp").write_text('{"region":')
    again = Table(tmp_path, SubnetGroup)
    again.load()
    assert again.all() == [group("a")]
