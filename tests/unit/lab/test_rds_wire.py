"""The wire is held against botocore's own serializer and parser: what boto3 sends and understands."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.lab.rds import wire
from pgdrill.lab.rds.wire import RdsError

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  made aware
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
TAGS = st.lists(st.fixed_dictionaries({"Key": TEXT, "Value": TEXT}), max_size=4)


def sent(action: str, request: dict[str, Any]) -> dict[str, list[str]]:
    """Return the parameters as boto3 puts them into the body of its request."""
    operation = wire.model().operation_model(action)
    body = create_serializer("query").serialize_to_request(request, operation)["body"]
    return parse_qs(urlencode(body), keep_blank_values=True)


def understood(action: str, response: wire.Response) -> Any:
    """Return what boto3 makes of a response, without its metadata."""
    status, headers, body = response
    shape = wire.model().operation_model(action).output_shape
    answer = {"status_code": status, "headers": headers, "body": body}
    parsed = create_parser("query").parse(answer, shape)  # type: ignore[arg-type]  # None is an action without a result
    assert re.fullmatch(r"[0-9a-f-]{36}", parsed.pop("ResponseMetadata")["RequestId"])
    return parsed


@given(st.lists(TEXT, min_size=1, max_size=3), TAGS, st.booleans(), st.integers(0, 35))
def test_a_request_arrives_as_boto3_was_given_it(
    groups: list[str], tags: list[dict[str, str]], multi: bool, retention: int
) -> None:
    request = {
        "DBInstanceIdentifier": "copy",
        "VpcSecurityGroupIds": groups,
        "Tags": tags,
        "MultiAZ": multi,
        "BackupRetentionPeriod": retention,
    }
    assert (
        wire.parse("RestoreDBInstanceFromDBSnapshot", sent("RestoreDBInstanceFromDBSnapshot", request))
        == request
    )


@given(MOMENTS)
def test_a_moment_arrives_in_utc(moment: datetime) -> None:
    request = {"TargetDBInstanceIdentifier": "copy", "RestoreTime": moment}
    assert (
        wire.parse("RestoreDBInstanceToPointInTime", sent("RestoreDBInstanceToPointInTime", request))
        == request
    )


def test_nested_lists_arrive() -> None:
    request = {
        "Filters": [{"Name": "engine", "Values": ["postgres", "mysql"]}, {"Name": "domain", "Values": ["x"]}]
    }
    assert wire.parse("DescribeDBInstances", sent("DescribeDBInstances", request)) == request


def test_a_list_written_with_member_arrives_too() -> None:
    params = {"DBInstanceIdentifier": ["copy"], "VpcSecurityGroupIds.member.1": ["sg-1"]}
    assert wire.parse("ModifyDBInstance", params)["VpcSecurityGroupIds"] == ["sg-1"]


def test_the_protocols_own_parameters_are_not_the_requests() -> None:
    params = {
        "Action": ["DescribeDBInstances"],
        "Version": ["2014-10-31"],
        "X-Amz-Date": ["20261123T000000Z"],
    }
    assert wire.parse("DescribeDBInstances", params) == {}


@pytest.mark.parametrize(
    ("action", "params", "message"),
    [
        (
            "DeleteDBSnapshot",
            {},
            "MissingParameter: The request must contain the parameter DBSnapshotIdentifier",
        ),
        (
            "DescribeDBInstances",
            {"Filters.Filter.1.Name": ["engine"]},
            "MissingParameter: The request must contain the parameter Filters.Filter.1.Values",
        ),
        (
            "RestoreDBInstanceFromDBSnapshot",
            {"DBInstanceIdentifier": ["copy"], "KmsKeyId": ["key"]},
            "MalformedInput: Unknown parameter: KmsKeyId",
        ),
        (
            "DescribeDBInstances",
            {"MaxRecords": ["many"]},
            "InvalidParameterValue: Invalid value 'many' for MaxRecords: not of type integer",
        ),
        (
            "RebootDBInstance",
            {"DBInstanceIdentifier": ["copy"], "ForceFailover": ["perhaps"]},
            "InvalidParameterValue: Invalid value 'perhaps' for ForceFailover: not of type boolean",
        ),
        (
            "RestoreDBInstanceToPointInTime",
            {"TargetDBInstanceIdentifier": ["copy"], "RestoreTime": ["soon"]},
            "InvalidParameterValue: Invalid value 'soon' for RestoreTime: not of type timestamp",
        ),
    ],
)
def test_a_wrong_request_is_refused(action: str, params: dict[str, list[str]], message: str) -> None:
    with pytest.raises(RdsError) as refused:
        wire.parse(action, params)
    assert str(refused.value) == message
    assert refused.value.status == 400


@given(TAGS, MOMENTS, st.booleans(), TEXT)
def test_a_response_is_understood_as_it_was_meant(
    tags: list[dict[str, str]], moment: datetime, encrypted: bool, name: str
) -> None:
    result = {
        "DBSnapshots": [
            {
                "DBSnapshotIdentifier": name,
                "SnapshotCreateTime": moment,
                "Encrypted": encrypted,
                "PercentProgress": 42,
                "FullSnapshotSizeInBytes": 2**40,
                "TagList": tags,
            }
        ],
        "Marker": "next",
    }
    assert understood("DescribeDBSnapshots", wire.success("DescribeDBSnapshots", result)) == result


def test_what_is_none_is_left_out() -> None:
    result = {"DBInstance": {"DBInstanceIdentifier": "shop", "Endpoint": None, "Iops": None}}
    assert understood("CreateDBInstance", wire.success("CreateDBInstance", result)) == {
        "DBInstance": {"DBInstanceIdentifier": "shop"}
    }


def test_an_action_without_a_result_answers_all_the_same() -> None:
    assert understood("DeleteDBSubnetGroup", wire.success("DeleteDBSubnetGroup", {})) == {}


def test_a_key_that_the_model_does_not_know_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="DBInstance has no member 'Colour'"):
        wire.success("CreateDBInstance", {"DBInstance": {"Colour": "red"}})


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("DBInstanceNotFound", 404),
        ("InvalidDBInstanceState", 400),
        ("KMSKeyNotAccessibleFault", 400),
        ("DBSubnetGroupNotFoundFault", 404),
        ("ThrottlingException", 400),
    ],
)
def test_an_error_has_the_status_that_the_model_gives_its_code(code: str, status: int) -> None:
    answer = wire.failure(RdsError(code, "a <message> & more"))
    assert answer[0] == status
    assert understood("DescribeDBInstances", answer) == {
        "Error": {"Type": "Sender", "Code": code, "Message": "a <message> & more"}
    }


def test_an_internal_error_is_the_receivers() -> None:
    answer = wire.failure(RdsError("InternalFailure", "sorry", status=500))
    assert understood("DescribeDBInstances", answer)["Error"]["Type"] == "Receiver"


def test_times_are_written_with_milliseconds() -> None:
    assert wire.timestamp(datetime(2026, 11, 23, 6, 0, 0, 1999, tzinfo=UTC)) == "2026-11-23T06:00:00.001Z"
