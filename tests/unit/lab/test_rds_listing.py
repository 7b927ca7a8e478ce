import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.lab.rds import listing
from pgdrill.lab.rds.wire import RdsError


@pytest.mark.parametrize("name", ["a", "shop-1", "Shop", "a" * 63])
def test_an_identifier_of_rdss_form_is_taken_in_lower_case(name: str) -> None:
    assert listing.identifier({"Id": name}, "Id") == name.lower()


@pytest.mark.parametrize(
    "name", ["", "1shop", "-shop", "shop-", "sh--op", "sh_op", "sh op", "a" * 64, "shöp", "a\n"]
)
def test_any_other_is_refused(name: str) -> None:
    with pytest.raises(RdsError) as refused:
        listing.identifier({"Id": name}, "Id")
    assert refused.value.code == "InvalidParameterValue"
    assert refused.value.message.startswith("The parameter Id is not a valid identifier.")


def test_a_snapshot_may_have_a_longer_one() -> None:
    assert listing.identifier({"Id": "a" * 255}, "Id", longest=255) == "a" * 255


def test_an_arn_names_what_the_identifier_names() -> None:
    arn = "arn:aws:rds:ap-southeast-1:000000000000:snapshot:rds:Shop-2026-11-23-06-00"
    assert listing.name_of(arn) == listing.name_of("rds:shop-2026-11-23-06-00") == "rds:shop-2026-11-23-06-00"


@given(st.integers(0, 250), st.integers(20, 100))
def test_pages_put_together_are_the_whole(count: int, size: int) -> None:
    items, seen, request = list(range(count)), [], {"MaxRecords": size}
    while True:
        result = listing.page(request, "Items", items, lambda item: item)
        assert len(result["Items"]) <= size
        seen += result["Items"]
        if "Marker" not in result:
            break
        request = {"MaxRecords": size, "Marker": result["Marker"]}
    assert seen == items


@pytest.mark.parametrize("size", [0, 19, 101])
def test_a_page_has_20_to_100_entries(size: int) -> None:
    with pytest.raises(RdsError) as refused:
        listing.page({"MaxRecords": size}, "Items", [], lambda item: item)
    assert refused.value.message == f"Invalid value {size} for MaxRecords. Must be between 20 and 100"


@pytest.mark.parametrize("marker", ["nonsense", "ZnJvbTp4", "%%%"])
def test_a_marker_that_is_none_of_ours_is_refused(marker: str) -> None:
    with pytest.raises(RdsError) as refused:
        listing.page({"Marker": marker}, "Items", [], lambda item: item)
    assert refused.value.message == f"The request cannot be processed: Marker {marker!r} is invalid"


def test_an_item_stays_that_matches_each_filter_by_any_value() -> None:
    request = {"Filters": [{"Name": "size", "Values": ["S", "m"]}, {"Name": "colour", "Values": ["red"]}]}
    items = [("s", "red"), ("m", "blue"), ("l", "red")]
    filters = {"size": lambda item: item[0], "colour": lambda item: item[1]}
    assert listing.filtered(request, items, filters) == [("s", "red")]


def test_a_filter_that_rds_does_not_have_is_refused() -> None:
    with pytest.raises(RdsError) as refused:
        listing.filtered({"Filters": [{"Name": "smell", "Values": ["sweet"]}]}, ["x"], {})
    assert refused.value.message == "Unrecognized filter name: smell"


def test_tags_are_read_and_shown_in_order() -> None:
    tags = listing.given_tags({"Tags": [{"Key": "b", "Value": "2"}, {"Key": "a"}]})
    assert listing.shown_tags(tags) == [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([{"Key": "AWS:x"}], "Tag keys cannot start with the reserved prefix 'aws:': AWS:x"),
        ([{"Key": "a"}, {"Key": "a"}], "Duplicate tag keys found: a"),
        ([{"Key": "a", "Value": "v" * 257}], "Tag 'a': a key has 1 to 128 characters, a value up to 256"),
        ([{"Value": "v"}], "Tag '': a key has 1 to 128 characters, a value up to 256"),
    ],
)
def test_tags_that_aws_would_not_take_are_refused(tags: list[dict[str, str]], message: str) -> None:
    with pytest.raises(RdsError) as refused:
        listing.given_tags({"Tags": tags})
    assert refused.value.message == message
