"""What the program asks about what is there already is answered by what the lab has."""

from pgdrill.lab.deploy.invokes import Answers
from pgdrill.lab.lab import Lab
from tests.lab.test_bends_quotas import DR, SNAPSHOTS

HOME = "ap-southeast-1"
QUOTA = "aws:servicequotas/getServiceQuota:getServiceQuota"


def test_a_quota_is_told_as_it_is_in_the_region_that_is_asked_for(lab: Lab) -> None:
    answers = Answers(lab.client, HOME)
    asked = {"serviceCode": "rds", "quotaCode": "L-272F1212"}
    lab.client("service-quotas", HOME).request_service_quota_increase(**SNAPSHOTS, DesiredValue=140)
    assert answers(QUOTA, asked)["value"] == 100.0
    lab.door.grant_quota(HOME)
    there, elsewhere = (answers(QUOTA, asked | {"region": region}) for region in (HOME, DR))
    assert (there["defaultValue"], there["value"], elsewhere["value"]) == (100.0, 140.0, 100.0)
