"""Every name obeys its service's rules for any legal suffix, and no suffix's patterns hold another's things."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from naming import Names
from pgdrill.values import Name, Suffix
from settings import created
from tests.infra.program import SETTINGS, Resource, Run, program

LONGEST_SUFFIX, LONGEST_DATABASE = "a23456789012345", "a234567890123456789012345"
LONGEST_REGION = "ap-southeast-1"  # no region of the partition aws has a longer name
SUFFIXES = st.from_regex(r"[a-z][a-z0-9]{0,14}", fullmatch=True)
DATABASES = st.from_regex(r"[a-z](?:[a-z0-9]|-(?!-)){0,24}(?<!-)", fullmatch=True)
REGIONS = st.sampled_from([LONGEST_REGION, "ap-northeast-1", "eu-west-1", "us-east-1"])
THINGS = st.sampled_from(["evidence", "archive", "logs"])

# What a service takes for a name: the input that holds it, and the form. Sources stand in infra/naming.py.
FORMS = {
    "aws:iam/role:Role": ("name", r"[\w+=,.@-]{1,64}"),
    "aws:iam/rolePolicy:RolePolicy": ("name", r"[\w+=,.@-]{1,128}"),
    "aws:s3/bucket:Bucket": ("bucket", r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "aws:kms/alias:Alias": ("name", r"alias/(?!aws/)[\w/-]{1,249}"),
    "aws:lambda/function:Function": ("name", r"[\w-]{1,64}"),
    "aws:sfn/stateMachine:StateMachine": ("name", r"[\w-]{1,80}"),
    "aws:scheduler/schedule:Schedule": ("name", r"[\w.-]{1,64}"),
    "aws:scheduler/scheduleGroup:ScheduleGroup": ("name", r"[\w.-]{1,64}"),
    "aws:sqs/queue:Queue": ("name", r"[\w-]{1,80}"),
    "aws:sns/topic:Topic": ("name", r"[\w-]{1,256}"),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": ("alarmName", r"[!-~]{1,255}"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("name", r"[!-~]{1,255}"),
    "aws:cloudwatch/eventBus:EventBus": ("name", r"[\w./-]{1,256}"),
    "aws:cloudwatch/eventRule:EventRule": ("name", r"[\w.-]{1,64}"),
    "aws:cloudwatch/eventArchive:EventArchive": ("name", r"[\w.-]{1,48}"),
    "aws:cloudwatch/logGroup:LogGroup": ("name", r"[\w./#-]{1,512}"),
    "aws:ec2/securityGroup:SecurityGroup": ("name", r"(?!sg-)[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}"),
    "aws:rds/instance:Instance": ("identifier", r"[a-z](?:[a-z0-9]|-(?!-)){0,62}(?<!-)"),
    "aws:rds/subnetGroup:SubnetGroup": ("name", r"[a-z0-9][a-z0-9 _.-]{0,254}"),
    "aws:rds/parameterGroup:ParameterGroup": ("name", r"[a-z](?:[a-z0-9]|-(?!-)){0,254}(?<!-)"),
}


@pytest.fixture(scope="module")
def longest() -> Run:
    """The whole program with the longest legal suffix and database name."""
    database = SETTINGS["database"][0] | {"name": LONGEST_DATABASE}
    return program(SETTINGS | {"stack": {"suffix": LONGEST_SUFFIX}, "database": [database]})


def named(run: Run) -> Iterator[tuple[Resource, str]]:
    for resource in run.managed():
        if resource.typ in FORMS:
            yield resource, resource.inputs[FORMS[resource.typ][0]]


def legal(typ: str, name: str) -> bool:
    return re.fullmatch(FORMS[typ][1], name, re.ASCII) is not None


def test_the_longest_names_of_the_whole_program_are_taken_by_their_services(longest: Run) -> None:
    wrong = [(one.typ, name) for one, name in named(longest) if not legal(one.typ, name)]
    assert wrong == []
    assert len(list(named(longest))) > 100


def test_no_type_that_takes_a_name_is_left_out(longest: Run) -> None:
    # Pulumi's own names never reach AWS: an input called `name` or `identifier` does.
    unheld = {
        one.typ
        for one in longest.managed()
        if one.typ not in FORMS and {"name", "identifier", "bucketName", "functionName"} & set(one.inputs)
    }
    assert unheld == set()


def test_every_name_carries_the_suffix(longest: Run) -> None:
    stem = f"pgdrill-{LONGEST_SUFFIX}"
    without = [
        name
        for one, name in named(longest)
        if not re.search(rf"{stem}(?![a-z0-9])", name) and one.typ != "aws:iam/rolePolicy:RolePolicy"
    ]
    assert without == []


def test_no_two_things_of_a_type_and_region_have_one_name(longest: Run) -> None:
    names = [
        (one.typ, one.inputs.get("region"), one.inputs.get("role"), name) for one, name in named(longest)
    ]
    assert len(names) == len(set(names))


def test_every_pattern_in_a_policy_ends_the_suffix(longest: Run) -> None:
    stem = f"pgdrill-{LONGEST_SUFFIX}"
    documents = [text for one in longest.managed() for text in policies(one.inputs)]
    mentioned = [match for text in documents for match in re.findall(r"pgdrill-\w+.?", text)]
    assert len(mentioned) > 100
    # Not `pgdrill-a*`, which would hold `pgdrill-ab-...`, and no other suffix's name.
    assert {match for match in mentioned if not re.fullmatch(rf"{stem}[-/\"]", match)} == set()


def policies(inputs: dict[str, Any]) -> Iterator[str]:
    for key in ("policy", "assumeRolePolicy"):
        if isinstance(inputs.get(key), str):
            yield json.dumps(json.loads(inputs[key]))


@given(
    suffix=SUFFIXES, database=DATABASES, region=REGIONS, account=st.from_regex(r"[0-9]{12}", fullmatch=True)
)
def test_any_legal_suffix_and_database_give_legal_names(
    suffix: str, database: str, region: str, account: str
) -> None:
    names = Names(suffix, region, account)
    for thing in ("evidence", "archive", "logs"):
        assert legal("aws:s3/bucket:Bucket", names.bucket(thing))
    for job in ("take", "seal", "drill"):
        assert legal("aws:scheduler/schedule:Schedule", names.schedule(job, database))
    assert legal("aws:rds/instance:Instance", created(suffix, database))
    assert legal("aws:iam/role:Role", names.role("s3-replication"))


@given(one=SUFFIXES, other=SUFFIXES, database=DATABASES, thing=THINGS)
def test_patterns_of_one_suffix_hold_nothing_of_another(
    one: str, other: str, database: str, thing: str
) -> None:
    mine, theirs = (Names(suffix, LONGEST_REGION, "111122223333") for suffix in (one, other))
    things = [
        theirs.thing("take"),
        theirs.role("take"),
        theirs.bucket(thing),
        theirs.schedule("take", database),
        created(other, database),
        f"pgdrill-{other}-drill-{database}",
        f"pgdrill-{other}-{database}-2026-11-22t06z",
    ]
    assert {fnmatchcase(name, f"{mine.stem}-*") for name in things} == {one == other}


@given(text=st.text(max_size=20))
def test_a_suffix_is_legal_or_refused(text: str) -> None:
    legal = re.fullmatch(r"[a-z][a-z0-9]{0,14}", text) is not None
    try:
        TypeAdapter(Suffix).validate_python(text)
    except ValueError:
        assert not legal
    else:
        assert legal


def test_with_hyphens_two_suffixes_could_share_a_name_which_is_why_there_are_none() -> None:
    def point(suffix: str, database: str) -> str:
        return f"pgdrill-{suffix}-{TypeAdapter(Name).validate_python(database)}-2026-11-22t06z"

    assert point("a", "b-c") == point("a-b", "c")
    with pytest.raises(ValueError, match="no hyphens"):
        TypeAdapter(Suffix).validate_python("a-b")
