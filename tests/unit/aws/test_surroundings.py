from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.aws.surroundings import Caller, Network, Surroundings
from pgdrill.errors import Unavailable
from tests.unit.clients import scripted

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def caller(arn: str) -> Caller:
    return Caller(arn=arn, account="123456789012", aws_now=NOW)


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        ("arn:aws:iam::123456789012:root", None),
        ("arn:aws:iam::123456789012:user/ops/ann", "arn:aws:iam::123456789012:user/ops/ann"),
        (
            "arn:aws:sts::123456789012:assumed-role/pgdrill-control/session",
            "arn:aws:iam::123456789012:role/pgdrill-control",
        ),
    ],
)
def test_a_caller_is_named_as_iam_knows_it(arn: str, principal: str | None) -> None:
    assert caller(arn).principal == principal


def test_who_calls_is_told_with_the_clock_of_aws() -> None:
    client, script = scripted("sts")
    answer: dict[str, Any] = {
        "Arn": "arn:aws:iam::123456789012:root",
        "Account": "123456789012",
        "ResponseMetadata": {"HTTPHeaders": {"date": "Sun, 22 Nov 2026 06:00:00 GMT"}},
    }
    script.add_response("get_caller_identity", answer)
    assert Surroundings(lambda _: client).caller() == caller("arn:aws:iam::123456789012:root")


def test_actions_are_reckoned_with_on_a_thing_with_our_tags() -> None:
    client, script = scripted("iam")
    results = [
        {"EvalActionName": "rds:DeleteDBInstance", "EvalDecision": "implicitDeny"},
        {"EvalActionName": "rds:ModifyDBInstance", "EvalDecision": "allowed"},
        {"EvalActionName": "s3:PutObject", "EvalDecision": "explicitDeny"},
    ]
    actions = [str(result["EvalActionName"]) for result in results]
    script.add_response(
        "simulate_principal_policy",
        {"EvaluationResults": results},
        {
            "PolicySourceArn": "arn:aws:iam::123456789012:role/r",
            "ActionNames": actions,
            "ResourceArns": ["arn:aws:rds:x"],
            "ContextEntries": [
                {
                    "ContextKeyName": f"aws:{kind}/ManagedBy",
                    "ContextKeyValues": ["pgdrill"],
                    "ContextKeyType": "string",
                }
                for kind in ("ResourceTag", "RequestTag")
            ],
        },
    )
    denied = Surroundings(lambda _: client).denied(
        "arn:aws:iam::123456789012:role/r", actions, "arn:aws:rds:x", {"ManagedBy": "pgdrill"}
    )
    assert denied == ["rds:DeleteDBInstance", "s3:PutObject"]


def test_the_zones_of_a_subnet_group_are_told_once() -> None:
    client, script = scripted("rds")
    subnets = [{"SubnetAvailabilityZone": {"Name": zone}} for zone in ("b", "a", "b")]
    script.add_response("describe_db_subnet_groups", {"DBSubnetGroups": [{"VpcId": "v", "Subnets": subnets}]})
    assert Surroundings(lambda _: client).network("g") == Network(vpc="v", zones=("a", "b"))


def test_what_is_not_there_is_none() -> None:
    rds, script = scripted("rds")
    script.add_client_error("describe_db_subnet_groups", "DBSubnetGroupNotFoundFault")
    script.add_client_error("describe_db_parameter_groups", "DBParameterGroupNotFound")
    around = Surroundings(lambda _: rds)
    assert around.network("g") is None
    assert around.family("g") is None
    ec2, script = scripted("ec2")
    script.add_client_error("describe_security_groups", "InvalidGroup.NotFound")
    assert Surroundings(lambda _: ec2).security_groups(["sg-1"]) is None


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (
            "AccessDenied",
            "iam:SimulatePrincipalPolicy is not allowed",
            "allow iam:SimulatePrincipalPolicy to who asks; it changes nothing",
        ),
        ("NoSuchEntity", "iam:SimulatePrincipalPolicy failed: NoSuchEntity", "the same call may pass later"),
    ],
)
def test_what_cannot_be_asked_is_not_known(code: str, message: str, hint: str) -> None:
    client, script = scripted("iam")
    script.add_client_error("simulate_principal_policy", code)
    with pytest.raises(Unavailable) as refused:
        Surroundings(lambda _: client).denied(
            "arn:aws:iam::123456789012:role/r", ["a:B"], "arn:aws:rds:x", {}
        )
    assert (refused.value.message, refused.value.hint) == (message, hint)
