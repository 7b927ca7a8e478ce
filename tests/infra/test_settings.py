"""Settings are plain, refused with key, value and remedy when they cannot be, and become the deployed plan."""

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml  # type: ignore[import-untyped] # Pulumi brings it, without types
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pgdrill.errors import PlanError
from pgdrill.plan import Plan, Points
from pgdrill.planning import timing
from settings import Settings, hold, load
from tests.infra.program import ACCOUNT, ADOPTED, SETTINGS, Run
from windows import windows

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 22, tzinfo=UTC)
NETWORK = ADOPTED["primary"]
SHOP = SETTINGS["database"][0]


def refusal(changes: dict[str, Any]) -> str:
    with pytest.raises(PlanError) as caught:
        load(SETTINGS | changes)
    assert caught.value.hint == "correct the keys named above; docs/deploy.md lists them all"
    return caught.value.message.removeprefix("pgdrill:plan is not valid: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour: unknown key"),
        ({"tags": {"Environment": "test", "Owner": "dba"}}, "tags.CostCenter: missing"),
        (
            {"stack": {"suffix": "a-b"}},
            "stack.suffix: 'a-b' must be 1 to 15 lower-case letters and digits, a letter first, no hyphens",
        ),
        (
            {"primary": {"region": "us-gov-west-1"}},
            "primary.region: 'us-gov-west-1' is not a region of the partition aws, such as ap-southeast-1",
        ),
        (
            {"primary": {"zones": ["ap-southeast-1a", "ap-southeast-1a"]}},
            ("primary: zones ap-southeast-1a, ap-southeast-1a are not two of ap-southeast-1;"
            " write ap-southeast-1a and ap-southeast-1b"),
        ),
        (
            {"dr": {"zones": ["ap-northeast-1a", "ap-southeast-1c"]}},
            ("dr: zones ap-northeast-1a, ap-southeast-1c are not two of ap-northeast-1;"
            " write ap-northeast-1a and ap-northeast-1b"),
        ),
        (
            {"dr": {"region": "ap-southeast-1"}},
            "plan: primary and dr are both in 'ap-southeast-1'; the loss of a region is what dr is for",
        ),
        (
            {"primary": {"clients": ["0.0.0.0/0"]}},
            ("primary.clients.0: '0.0.0.0/0' is not private;"
            " production is reached from networks of your own alone"),
        ),
        (
            {"primary": {"clients": ["10.1.0.1/16"]}},
            "primary.clients.0: '10.1.0.1/16' is not a CIDR block; write one such as 10.0.0.0/16",
        ),
        (
            {"operators": ["dba"]},
            "operators.0: 'dba' is not the ARN of a role or user; write arn:aws:iam::111122223333:role/name",
        ),
        (
            {"database": [SHOP | {"instance_class": "db.r5.large"}]},
            "database.0: instance_class 'db.r5.large' is larger than db.t3.medium, the largest allowed",
        ),
        (
            {"database": [SHOP | {"instance": "mine"}]},
            "plan: database 'shop' is created and named 'pgdrill-test-production-shop'; leave its instance out",
        ),
        (
            {"database": [{"name": "shop", "origin": "created", "secret": "shop/pgdrill"}]},
            ("plan: database 'shop' is created and needs master_secret:"
            " an existing entry with username and password"),
        ),
        (
            {"database": [SHOP | {"host": "shop.example"}]},
            "plan: database 'shop' has a host; leave it out, the deployment knows it",
        ),
        (
            {"database": ADOPTED["database"]},
            "plan: an adopted database needs primary.network: vpc, subnets and security_group",
        ),
        ({"primary": NETWORK}, "plan: primary.network is that of an adopted database; a created one gets its own"),
        (
            {"database": [SHOP, ADOPTED["database"][0] | {"name": "old"}], "primary": NETWORK},
            ("plan: some databases are created and some adopted, but beat and seal run in one network;"
            " deploy the adopted ones under a suffix of their own"),
        ),
        (
            {"points": {"every": "1h", "offset": "0m"}, "objectives": {"usable_after": "45m"}},
            ("plan: points.every 1h leaves RDS no half hour for its own backup, 45m after a slot;"
            " take points less often, or let objectives.usable_after be shorter"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_key_value_and_remedy(changes: dict[str, Any], message: str) -> None:
    assert refusal(changes) == message


def test_a_created_instance_is_named_for_suffix_and_database() -> None:
    (shop,) = load(SETTINGS).databases
    assert shop.instance == "pgdrill-test-production-shop"
    # Written out as it would be, it is the same.
    assert load(SETTINGS | {"database": [SHOP | {"instance": shop.instance}]}) == load(SETTINGS)


def test_the_defaults_are_those_of_the_requirements() -> None:
    settings = load(SETTINGS)
    (shop,) = settings.databases
    assert (settings.primary.region, settings.dr.region) == ("ap-southeast-1", "ap-northeast-1")
    assert (shop.instance_class, shop.multi_az) == ("db.t3.medium", True)
    assert settings.points.pitr == timedelta(days=7)
    assert (settings.protect, settings.replicate_automated_backups) == (False, False)
    assert settings.platform == "linux_aarch64"


def test_a_plan_that_cannot_work_is_refused_with_its_remedy() -> None:
    hold(load(SETTINGS), NOW)
    with pytest.raises(PlanError) as caught:
        hold(load(SETTINGS | {"cost": {"ceiling": 100}}), NOW)
    assert caught.value.message.startswith("pgdrill:plan cannot work: cost.ceiling = 100.00: the plan costs ")
    assert caught.value.hint == (
        "see every line with: pgdrill plan explain; then plan less or raise cost.ceiling"
    )


def test_a_region_of_which_no_authority_is_shipped_needs_a_bundle() -> None:
    elsewhere = SETTINGS | {"dr": {"region": "il-central-1"}}
    with pytest.raises(PlanError) as refused:
        hold(load(elsewhere), NOW)
    assert refused.value.message == (
        "pgdrill:plan has no ca_bundle, and of il-central-1 no authority of RDS is shipped"
    )
    assert refused.value.hint == (
        "docs/decisions/0009-certificates-of-rds.md says where AWS has them; name the file in ca_bundle"
    )
    hold(load(elsewhere | {"ca_bundle": "global-bundle.pem"}), NOW)


@given(
    every=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]),
    offset=st.integers(0, 24 * 60 - 1),
    busy=st.integers(1, 180),
)
def test_windows_are_clear_of_every_slot_and_of_each_other(every: int, offset: int, busy: int) -> None:
    hours = timedelta(hours=every)
    points = Points(every=hours, offset=timedelta(minutes=offset) % hours)
    usable_after = timedelta(minutes=busy)
    try:
        backup, maintenance = windows(points, usable_after)
    except ValueError:
        # Two half hours that begin at a quarter need an hour and the rest of two quarters, at most.
        assert hours - usable_after < timedelta(minutes=45)
        return
    opened = [*timing.opening(backup), *timing.opening(maintenance)]
    assert len(opened) == 8
    assert all(end - begin == timedelta(minutes=30) for begin, end in opened)
    for begin, end in opened:
        for number in range(timedelta(days=8) // hours):
            slot = points.offset + (number - 24 // every) * hours
            assert end <= slot or slot + usable_after <= begin
    ours = sorted(opened)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(ours))


def test_by_default_rds_works_at_night_between_two_slots() -> None:
    assert windows(Points(), timedelta(minutes=15)) == ("18:00-18:30", "sun:20:00-sun:20:30")


def test_the_deployed_plan_knows_where_everything_is(ground: Run) -> None:
    plan: Plan = ground.result
    assert plan.databases[0].host == "pgdrill-test-production-shop.example.ap-southeast-1.rds.amazonaws.com"
    assert plan.databases[0].port == 5432
    for cell, region, name in (
        (plan.primary, "ap-southeast-1", "primary"),
        (plan.dr, "ap-northeast-1", "dr"),
    ):
        assert cell.region == region
        assert cell.evidence_bucket == f"pgdrill-test-evidence-{ACCOUNT}-{region}"
        assert cell.archive_bucket == f"pgdrill-test-archive-{ACCOUNT}-{region}"
        assert cell.mac_key == f"arn:aws:kms:{region}:{ACCOUNT}:key/key-{name}-mac"
        assert cell.storage_key == f"arn:aws:kms:{region}:{ACCOUNT}:key/key-{name}-storage"
        assert cell.messages_key == f"arn:aws:kms:{region}:{ACCOUNT}:key/key-{name}-messages"
        assert cell.signing_key == f"arn:aws:kms:{region}:{ACCOUNT}:key/key-{name}-signing"
        assert cell.place.subnet_group == cell.place.parameter_group == "pgdrill-test-drill"
        assert cell.place.security_groups == (f"securitygroup-{name}-drill-databases",)
        assert cell.recovery is not None
        assert cell.recovery.security_groups == (f"securitygroup-{name}-production-databases",)
        assert cell.backups_topic == f"arn:aws:sns:{region}:{ACCOUNT}:pgdrill-test-backups"
    assert plan.primary.export_role == f"arn:aws:iam::{ACCOUNT}:role/pgdrill-test-rds-export-ap-southeast-1"
    assert plan.dr.export_role is None
    # What functions read is what `Plan` itself accepts.
    assert Plan.model_validate_json(plan.to_json()) == plan


def test_an_adopted_database_gives_the_place_of_a_recovered_one(adopted: Run) -> None:
    plan: Plan = adopted.result
    assert plan.databases[0].host == "shop-production.old.example"
    assert plan.primary.recovery is not None
    assert plan.primary.recovery.model_dump() == {
        "subnet_group": "old-subnets",
        "security_groups": ("sg-database",),
        "parameter_group": "old-parameters",
    }


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        parts = [field.annotation, *get_args(field.annotation)]
        nested = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        if nested:
            yield from _keys(nested[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _spelled(default: object) -> str:
    if default is None or default is PydanticUndefined or default == ():
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_every_setting_that_is_not_the_plans_is_documented_with_its_default() -> None:
    shared = set(Plan.model_fields) - {"primary", "dr"}
    own = {key: _spelled(field.default) for key, field in _keys(Settings) if key.split(".")[0] not in shared}
    text = (ROOT / "docs/deploy.md").read_text()
    assert dict(re.findall(r"^\| `([a-z_.]+)` \| (.+?) \|", text, re.MULTILINE)) == own


def test_the_example_of_the_settings_is_one_that_can_be_deployed() -> None:
    (example,) = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE | re.DOTALL
    )
    settings = load(yaml.safe_load(example)["config"]["pgdrill:plan"])
    hold(settings, NOW)
    assert settings.protect
