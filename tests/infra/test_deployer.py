"""The deployer's policies cover every type that is registered, and give nobody what the system keeps to itself."""

import json

import pytest

from deployer import ACTIONS, BY_TAG, OPTIONAL, WIDE, policies
from policies import Document
from tests.infra import deployer
from tests.infra.deployer import CELLS
from tests.infra.evaluation import ALLOW, Call
from tests.infra.linting import findings
from tests.infra.program import ACCOUNT, Run
from tests.infra.provider import CALLS
from tests.infra.roles import HOME

DOCUMENTS = policies(CELLS, ["shop/master"])
ADOPTING = policies(CELLS, adopted=["shop-production"])
OURS = {"aws:ResourceTag/EnvironmentSuffix": "test"}
# What a managed policy may have, white space not counted.
MOST = 6144
# What the linter says of the deployer, and why it stands.
EXPLAINED = {
    "RESOURCE_STAR": "see WIDE",
    "AlarmMuteRule": "newer than the linter; botocore knows them",
    "does allow s3:PutBucketPolicy": "buckets have policies, and who deploys writes them",
}
# With settings that are off by default.
NOT_BY_DEFAULT = {
    "aws:cloudwatch/alarmMuteRule:AlarmMuteRule",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
}


def may(action: str, resource: str, documents: dict[str, Document] = DOCUMENTS, /, **keys: str) -> bool:
    call = Call(action, resource, keys, HOME)
    return any(call.decided(policy) == ALLOW for policy in documents.values())


def test_every_type_that_is_registered_is_covered_and_no_other(whole: Run) -> None:
    registered = {one.typ for one in whole.managed()}
    assert registered | NOT_BY_DEFAULT == {*ACTIONS, *BY_TAG}
    assert registered & OPTIONAL.keys() == set()


def test_what_is_adopted_or_protected_registers_no_type_that_is_not_covered(found: Run, guarded: Run) -> None:
    lock = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
    for run, without, more in ((found, "aws:rds/instance:Instance", set()), (guarded, None, {lock})):
        registered = {one.typ for one in run.managed()}
        assert registered <= {*ACTIONS, *BY_TAG}
        assert without not in registered
        assert more <= registered


@pytest.mark.parametrize("typ", CALLS)
def test_a_types_actions_are_what_the_provider_asks(typ: str) -> None:
    _, actions = ACTIONS[typ]
    assert sorted(actions) == sorted(CALLS[typ][1])


@pytest.mark.parametrize("documents", [DOCUMENTS, ADOPTING], ids=["created", "adopted"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_fits_and_the_linter_has_nothing_to_say(name: str, documents: dict[str, Document]) -> None:
    assert len(json.dumps(documents[name], separators=(",", ":"))) <= MOST
    found = [one for one in findings(documents[name]) if not any(known in one for known in EXPLAINED)]
    assert found == []


def test_everything_is_allowed_only_to_look_and_to_make_with_our_tag() -> None:
    wide = {
        statement["Sid"]: statement.get("Condition", {})
        for policy in DOCUMENTS.values()
        for statement in policy["Statement"]
        if "*" in statement["Resource"]
    }
    assert set(wide) == set(WIDE)
    assert wide["Make"]["StringEquals"]["aws:RequestTag/EnvironmentSuffix"] == "test"


def test_what_is_deployed_may_be_made_changed_and_deleted() -> None:
    function = f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:pgdrill-test-take"
    assert may("lambda:CreateFunction", function)
    assert may("rds:CreateDBInstance", f"arn:aws:rds:{HOME}:{ACCOUNT}:db:pgdrill-test-production-shop")
    assert may("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/pgdrill-test-take-{HOME}")
    vpc = f"arn:aws:ec2:{HOME}:{ACCOUNT}:vpc/vpc-1"
    assert may("ec2:DeleteVpc", vpc, **OURS)
    key = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/1"
    assert may("kms:ScheduleKeyDeletion", key, **OURS)


def test_a_definition_is_validated_and_a_quota_looked_at_before_there_is_one() -> None:
    for action in ("states:ValidateStateMachineDefinition", "servicequotas:GetAWSDefaultServiceQuota"):
        assert may(action, "*")


def test_a_protected_database_is_deleted_with_its_final_snapshot_and_no_other_is_taken() -> None:
    for kind in ("db:pgdrill-test-production-shop", "snapshot:pgdrill-test-production-shop-final"):
        assert may("rds:CreateDBSnapshot", f"arn:aws:rds:{HOME}:{ACCOUNT}:{kind}")
    assert not may("rds:CreateDBSnapshot", f"arn:aws:rds:{HOME}:{ACCOUNT}:db:shop-production", ADOPTING)


def test_the_first_database_of_an_account_may_bring_the_role_of_rds_and_nobody_elses() -> None:
    own = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{{0}}.amazonaws.com/AWSServiceRoleFor"
    make, of = "iam:CreateServiceLinkedRole", "iam:AWSServiceName"
    assert may(make, own.format("rds") + "RDS", **{of: "rds.amazonaws.com"})
    assert not may(make, own.format("ecs") + "ECS", **{of: "ecs.amazonaws.com"})


def test_an_adopted_database_and_its_key_are_looked_at_by_who_adopts_alone() -> None:
    theirs = {
        "rds:DescribeDBInstances": f"arn:aws:rds:{HOME}:{ACCOUNT}:db:shop-production",
        "kms:DescribeKey": f"arn:aws:kms:{HOME}:{ACCOUNT}:key/of-the-owner",
    }
    for action, resource in theirs.items():
        assert may(action, resource, ADOPTING)
        assert not may(action, resource)
    payroll = f"arn:aws:rds:{HOME}:{ACCOUNT}:db:payroll"
    assert not may("rds:DescribeDBInstances", payroll, ADOPTING)
    assert not may("rds:ModifyDBInstance", theirs["rds:DescribeDBInstances"], ADOPTING)


def test_what_is_somebody_elses_may_not() -> None:
    assert not may("lambda:UpdateFunctionCode", f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:payroll")
    assert not may("rds:DeleteDBInstance", f"arn:aws:rds:{HOME}:{ACCOUNT}:db:shop-production")
    assert not may("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/Admin")
    assert not may("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/pgdrill-testing-take-{HOME}")
    theirs = {"aws:ResourceTag/EnvironmentSuffix": "another"}
    assert not may("ec2:DeleteVpc", f"arn:aws:ec2:{HOME}:{ACCOUNT}:vpc/vpc-1", **theirs)
    assert not may("kms:ScheduleKeyDeletion", f"arn:aws:kms:{HOME}:{ACCOUNT}:key/1", **theirs)
    to_somebody = {"iam:PassedToService": "ec2.amazonaws.com"}
    assert not may("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/pgdrill-test-take-{HOME}", **to_somebody)


def test_a_deployer_reads_no_record_derives_no_password_and_signs_nothing() -> None:
    evidence = f"arn:aws:s3:::pgdrill-test-evidence-{ACCOUNT}-{HOME}/evidence/shop/1/evidence.json"
    assert not may("s3:GetObject", evidence)
    assert not may("s3:PutObject", evidence)
    key = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/1"
    for action in ("kms:GenerateMac", "kms:Sign", "kms:Decrypt"):
        assert not may(action, key, **OURS)
    secret = f"arn:aws:secretsmanager:{HOME}:{ACCOUNT}:secret:shop/pgdrill-AbCdEf"
    assert not may("secretsmanager:GetSecretValue", secret)
    assert may("secretsmanager:GetSecretValue", secret.replace("shop/pgdrill", "shop/master"))


def test_the_document_is_fresh() -> None:
    assert deployer.DOCUMENT.read_text(encoding="utf-8") == deployer.document(), "run: make docs"
