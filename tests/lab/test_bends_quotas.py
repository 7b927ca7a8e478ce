"""More manual snapshots can be asked for; they are there when the request is granted, in that region alone."""

import pytest
from botocore.exceptions import ClientError

from pgdrill.lab import calls
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.labs import MakeLab
from tests.lab.roles import ACCOUNT, Role, allow, refusal

DR = "ap-northeast-1"
SNAPSHOTS = {"ServiceCode": "rds", "QuotaCode": "L-272F1212"}


def most(lab: Lab, region: str | None = None) -> int:
    quotas = lab.client("rds", region).describe_account_attributes()["AccountQuotas"]
    (found,) = (one["Max"] for one in quotas if one["AccountQuotaName"] == "ManualSnapshots")
    return int(found)


def test_a_request_is_pending_until_it_is_granted(lab: Lab) -> None:
    quotas = lab.client("service-quotas")
    assert quotas.get_service_quota(**SNAPSHOTS)["Quota"]["Value"] == most(lab) == 100
    asked = quotas.request_service_quota_increase(**SNAPSHOTS, DesiredValue=140)["RequestedQuota"]
    assert asked["Status"] == "PENDING"
    assert most(lab) == 100
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        quotas.request_service_quota_increase(**SNAPSHOTS, DesiredValue=150)

    assert lab.door.grant_quota() == 140
    found = quotas.get_requested_service_quota_change(RequestId=asked["Id"])["RequestedQuota"]
    assert found["Status"] == "APPROVED"
    assert quotas.get_service_quota(**SNAPSHOTS)["Quota"]["Value"] == most(lab) == 140
    assert quotas.get_aws_default_service_quota(**SNAPSHOTS)["Quota"]["Value"] == most(lab, DR) == 100


def test_what_is_there_already_is_not_asked_for(lab: Lab) -> None:
    with pytest.raises(ClientError, match="IllegalArgumentException"):
        lab.client("service-quotas", DR).request_service_quota_increase(**SNAPSHOTS, DesiredValue=100)


def test_a_quota_that_the_lab_does_not_know_is_an_error(lab: Lab) -> None:
    with pytest.raises(ClientError, match="the lab knows no quota but L-272F1212 of rds"):
        lab.client("service-quotas").get_service_quota(ServiceCode="rds", QuotaCode="L-7B6409FD")


def test_what_a_role_asks_is_evaluated_and_recorded(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.up(Settings(auth=True))
    role = Role(lab, "counts")
    quotas = role.client("service-quotas")
    more = SNAPSHOTS | {"DesiredValue": 140}
    assert "servicequotas:GetServiceQuota" in str(refusal(quotas, "get_service_quota", **SNAPSHOTS))
    role.may(allow("servicequotas:GetServiceQuota"))
    assert refusal(quotas, "get_service_quota", **SNAPSHOTS) is None
    assert "servicequotas:RequestServiceQuotaIncrease" in str(
        refusal(quotas, "request_service_quota_increase", **more)
    )
    quota = f"arn:aws:servicequotas:ap-southeast-1:{ACCOUNT}:rds/{SNAPSHOTS['QuotaCode']}"
    role.may(allow("servicequotas:RequestServiceQuotaIncrease", quota))
    assert refusal(quotas, "request_service_quota_increase", **more) is None
    asked = [
        (one.action, one.resource, one.allowed) for one in calls.read(lab.directory) if one.role == "counts"
    ]
    assert asked == [
        ("servicequotas:GetServiceQuota", "*", False),
        ("servicequotas:GetServiceQuota", "*", True),
        ("servicequotas:RequestServiceQuotaIncrease", quota, False),
        ("servicequotas:RequestServiceQuotaIncrease", quota, True),
    ]


def test_the_bare_emulator_has_no_service_quotas(make_lab: MakeLab) -> None:
    bare = make_lab()
    bare.up(Settings(bends=False))
    with pytest.raises(ClientError):
        bare.client("service-quotas").get_service_quota(**SNAPSHOTS)
