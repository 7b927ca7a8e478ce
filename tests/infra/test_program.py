"""The whole program: what it registers hangs together in both regions, and for a database that was found."""

import json
from collections import Counter

import pytest

from pgdrill.build import zips
from pgdrill.errors import PlanError
from tests.infra.program import REGIONS, SETTINGS, Run, program

# What has no region: IAM.
GLOBAL = {"aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"}
# The input that names a thing in AWS, where it is not `name`.
NAMED_BY = {
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "alarmName",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:rds/instance:Instance": "identifier",
}
# Named within what they belong to.
WITHIN = {"aws:iam/rolePolicy:RolePolicy"}


def test_everything_that_has_a_region_says_which(whole: Run) -> None:
    assert [one.name for one in whole.managed() if one.typ not in GLOBAL and "region" not in one.inputs] == []
    assert {one.inputs["region"] for one in whole.managed() if "region" in one.inputs} == set(REGIONS)


def test_whatever_is_asked_for_is_asked_of_a_region(whole: Run) -> None:
    silent = [token for token, given in whole.calls if "region" not in given]
    assert silent == ["aws:index/getCallerIdentity:getCallerIdentity"]


def test_no_name_is_given_twice_and_each_carries_the_suffix(whole: Run) -> None:
    names = _named(whole)
    assert [name for name, times in Counter(names).items() if times > 1] == []
    assert [name for _, _, name in names if "pgdrill-test" not in name] == []
    assert len(names) > 200


def _named(run: Run) -> list[tuple[str, str, str]]:
    """Return type, region and name of all that has a name of its own in AWS."""
    return [
        (one.typ, str(one.inputs.get("region")), str(one.inputs[key]))
        for one in run.managed()
        if (key := NAMED_BY.get(one.typ, "name")) in one.inputs and one.typ not in WITHIN
    ]


def test_a_found_database_is_no_resource_and_its_network_is_left_alone(found: Run) -> None:
    assert found.of("aws:rds/instance:Instance") == []
    assert [given["dbInstanceIdentifier"] for token, given in found.calls if "getInstance" in token] == [
        "shop-production"
    ]
    beat = found.one("aws:lambda/function:Function", "primary-beat").inputs
    assert beat["vpcConfig"] == {"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-old"]}
    changed = json.dumps([one.inputs for one in found.managed() if one.typ.startswith("aws:ec2")])
    assert "vpc-old" not in changed


def test_the_masters_password_goes_to_the_database_alone(whole: Run) -> None:
    told = [one.inputs for one in whole.managed() if one.typ != "aws:rds/instance:Instance"]
    assert "not-in-state" not in json.dumps([told, whole.exports], default=str)


def test_whoever_builds_zips_after_the_program_ran_gets_real_ones(whole: Run) -> None:
    assert whole.exports
    assert zips.build.__module__ == "pgdrill.build.zips"


def test_wrong_settings_are_an_error_at_preview() -> None:
    with pytest.raises(PlanError) as raised:
        program(SETTINGS | {"points": {"evry": "6h"}})
    assert raised.value.message == "pgdrill:plan is not valid: points.evry: unknown key"
    assert raised.value.hint == "correct the keys named above; docs/deploy.md lists them all"
