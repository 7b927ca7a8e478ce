import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.errors import PlanError
from pgdrill.plan import Plan, duration, spelled
from pgdrill.sections import LONGEST_LEASE
from tests.unit.plans import SMALL

TEXT = """
[stack]
suffix = "lab"
[tags]
Environment = "test"
Owner = "dba"
CostCenter = "42"
[[database]]
name = "shop"
instance = "shop-production"
secret = "pgdrill/shop"
"""
CELL = """
[{cell}]
region = "{region}"
evidence_bucket = "evidence-{cell}"
mac_key = "alias/mac"
storage_key = "alias/storage"
[{cell}.place]
subnet_group = "drill-subnets"
security_groups = ["sg-1"]
parameter_group = "drill-parameters"
"""
TEXT += CELL.format(cell="primary", region="ap-southeast-1") + CELL.format(cell="dr", region="ap-northeast-1")


def load(folder: Path, text: str) -> Plan:
    path = folder / "pgdrill.toml"
    path.write_text(text)
    return Plan.load(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(PlanError) as refused:
        load(folder, text)
    return refused.value.message.removeprefix(f"plan {str(folder / 'pgdrill.toml')!r} is not valid: ")


def test_a_small_plan_has_the_objectives_that_were_asked_for(tmp_path: Path) -> None:
    plan = load(tmp_path, TEXT)
    assert plan.objectives.rto == timedelta(hours=4)
    assert (plan.points.every, plan.points.keep, plan.points.pitr) == (
        timedelta(hours=6),
        timedelta(days=30),
        timedelta(days=7),
    )


def test_the_temporary_instance_is_named_for_suffix_and_database(tmp_path: Path) -> None:
    plan = load(tmp_path, TEXT)
    assert plan.temporary(plan.database(None)) == "pgdrill-lab-drill-shop"
    assert plan.point_prefix(plan.database("shop")) == "pgdrill-lab-shop-"


def test_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    assert refusal(tmp_path, TEXT.replace('suffix = "lab"', 'suffix = "lab"\ncolour = "red"')) == (
        "stack.colour: unknown key"
    )


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    text = TEXT.replace('Owner = "dba"\n', "").replace('"lab"', '"Lab-"')
    assert refusal(tmp_path, text) == (
        "stack.suffix: 'Lab-' must be 1 to 15 lower-case letters and digits, a letter first, no hyphens;"
        " tags.Owner: missing"
    )


def test_a_suffix_has_no_hyphen_so_that_no_name_can_be_read_as_that_of_two(tmp_path: Path) -> None:
    assert refusal(tmp_path, TEXT.replace('suffix = "lab"', 'suffix = "a-b"')) == (
        "stack.suffix: 'a-b' must be 1 to 15 lower-case letters and digits, a letter first, no hyphens"
    )


def test_a_database_that_is_wrong_is_not_also_one_too_few(tmp_path: Path) -> None:
    assert refusal(tmp_path, TEXT.replace('name = "shop"', 'name = "Shop"')) == (
        "database.0.name: 'Shop' must be 1 to 25 lower-case letters, digits and single hyphens, a letter first,"
        " no hyphen last"
    )


def test_an_instance_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    text = TEXT + '[drill]\ninstance_class = "db.m5.large"\n'
    assert refusal(tmp_path, text) == (
        "drill: instance_class 'db.m5.large' is larger than db.t3.medium, the largest allowed"
    )


def test_a_lease_that_outlives_the_machine_of_a_drill_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, TEXT + '[drill]\nlease = "661m"\n') == (
        "drill: lease 11:01:00 must be 11:00:00 at most; the state machine of a drill ends after 12 hours"
    )
    assert refusal(tmp_path, TEXT + '[drill]\nlease = "2d"\n') == (
        "drill: lease 2 days, 0:00:00 must be 11:00:00 at most; the state machine of a drill ends after 12 hours"
    )
    assert load(tmp_path, TEXT + '[drill]\nlease = "11h"\n').drill.lease == LONGEST_LEASE


def test_patience_longer_than_the_lease_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, TEXT + '[drill]\npatience = "7h"\n') == (
        "drill: patience 7:00:00 must be shorter than lease 6:00:00"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('every = "5h"', "every 5:00:00 does not divide a day; write 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h"),
        (
            'every = "48h"',
            "every 2 days, 0:00:00 does not divide a day; write 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h",
        ),
        ('every = "30m"', "every 0:30:00 does not divide a day; write 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h"),
        ('offset = "6h"', "offset 6:00:00 must be shorter than every 6:00:00"),
        ('offset = "90s"', "offset 0:01:30 must be whole minutes, which is what a slot's name holds"),
        ('pitr = "36d"', "pitr 36 days, 0:00:00 must be 1 to 35 whole days, which is what RDS keeps"),
        ('pitr = "36h"', "pitr 1 day, 12:00:00 must be 1 to 35 whole days, which is what RDS keeps"),
        ('keep = "23h"', "keep 23:00:00 must be a day at least"),
        (
            'daily_after = "30d"',
            "daily_after 30 days, 0:00:00 must be a day at least and shorter than keep 30 days, 0:00:00",
        ),
        (
            'daily_after = "23h"',
            "daily_after 23:00:00 must be a day at least and shorter than keep 30 days, 0:00:00",
        ),
    ],
)
def test_points_that_cannot_be_are_refused(tmp_path: Path, keys: str, said: str) -> None:
    assert refusal(tmp_path, f"{TEXT}[points]\n{keys}\n") == f"points: {said}"


def test_copies_are_kept_by_rules_of_the_same_kind(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path, f'{TEXT}[copies]\nkeep = "1h"\n') == "copies: keep 1:00:00 must be a day at least"
    )
    assert refusal(tmp_path, f'{TEXT}[copies]\ndaily_after = "1h"\n') == (
        "copies: daily_after 1:00:00 must be a day at least and shorter than keep 30 days, 0:00:00"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "checks.assertions.0: assertion 'paid' cannot fail; give expect, at_least or at_most"),
        (
            "expect = 1\nat_least = 1",
            "checks.assertions.0: assertion 'paid' has both expect and a range; give one of them",
        ),
    ],
)
def test_an_assertion_must_decide_one_thing(tmp_path: Path, keys: str, said: str) -> None:
    text = f'{TEXT}[[checks.assertions]]\nname = "paid"\ndatabase = "shop"\nsql = "SELECT 1"\n{keys}\n'
    assert refusal(tmp_path, text) == said


def test_a_plan_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as refused:
        Plan.load(tmp_path / "none.toml")
    assert refused.value.message == f"no plan at {str(tmp_path / 'none.toml')!r}"
    assert refused.value.hint == "name one with --plan, or start a lab with: pgdrill lab up"


def test_a_plan_that_is_not_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, "[stack\n")
    assert refused.value.message == (
        f"plan {str(tmp_path / 'pgdrill.toml')!r} cannot be read:"
        " Expected ']' at the end of a table declaration (at line 1, column 7)"
    )


def test_a_database_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    second = '[[database]]\nname = "crm"\ninstance = "crm-production"\nsecret = "pgdrill/crm"\n[primary]'
    plan = load(tmp_path, TEXT.replace("[primary]", second))
    assert plan.database("crm").instance == "crm-production"
    with pytest.raises(PlanError) as refused:
        plan.database(None)
    assert (refused.value.message, refused.value.hint) == (
        "several databases in the plan",
        "name one of them with --database: shop, crm",
    )
    with pytest.raises(PlanError) as unknown:
        plan.database("hr")
    assert unknown.value.message == "database 'hr' is not in the plan"


@given(st.integers(0, 999_999), st.sampled_from("smhdw"))
def test_durations_are_a_number_and_a_unit(count: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    assert duration(f"{count}{unit}") == timedelta(seconds=count * seconds)


@given(st.integers(0, 999_999), st.sampled_from("smhdw"))
def test_a_duration_is_written_as_it_is_read(count: int, unit: str) -> None:
    value = duration(f"{count}{unit}")
    if value < timedelta(seconds=999_999):
        assert duration(spelled(value)) == value


@pytest.mark.parametrize(
    ("value", "text"), [("90m", "90m"), ("120m", "2h"), ("2w", "14d"), ("61s", "61s"), ("0h", "0d")]
)
def test_a_duration_is_written_in_its_largest_unit(value: str, text: str) -> None:
    assert spelled(duration(value)) == text


def test_a_plan_printed_as_json_is_the_same_plan(tmp_path: Path) -> None:
    plan = load(tmp_path, TEXT)
    printed = plan.model_dump(mode="json", by_alias=True)
    assert printed["points"]["keep"] == "30d"
    assert Plan.model_validate(printed) == plan


@pytest.mark.parametrize("text", ["", "4", "h", "4 hours", "-1h", "1h30m", 4])
def test_anything_else_is_not_a_duration(text: object) -> None:
    with pytest.raises(
        ValueError, match="is not a duration; write a number and a unit: 90s, 15m, 4h, 7d, 2w"
    ):
        duration(text)


def test_a_plan_written_as_json_is_the_same_plan_under_a_key_that_says_what_it_holds(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        TEXT + "[[drill.freeze]]\nbegins = 2026-12-24T00:00:00Z\nends = 2027-01-02T00:00:00Z\n"
        'reason = "the year is being closed"\n',
    )
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json(), encoding="utf-8")
    again = Plan.load(path)
    assert again == plan
    assert plan.key() == f"plan/{hashlib.sha256(path.read_bytes()).hexdigest()}.json"
    assert again.key() == plan.key()
    other = plan.model_copy(update={"cost": plan.cost.model_copy(update={"ceiling": 1.0})})
    assert other.key() != plan.key()


def test_a_plan_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{")
    with pytest.raises(PlanError) as refused:
        Plan.load(path)
    assert refused.value.message == (
        f"plan {str(path)!r} cannot be read: Expecting property name enclosed in double quotes:"
        " line 1 column 2 (char 1)"
    )
    assert refused.value.hint == "the plan is a JSON file in UTF-8"


def test_a_plan_in_json_names_what_is_wrong_as_one_in_toml_does(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"stack": {"suffix": "lab", "colour": "red"}}')
    with pytest.raises(PlanError) as refused:
        Plan.load(path)
    assert "stack.colour: unknown key; tags: missing" in refused.value.message


SILENCE = {"begins": "2026-11-24T20:00:00Z", "ends": "2026-11-24T22:00:00Z", "reason": "storage is exchanged"}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {"ends": "2026-11-24T20:00:00Z"},
            "silence ends 2026-11-24T20:00:00+00:00 before it begins 2026-11-24T20:00:00+00:00",
        ),
        (
            {"ends": "2026-12-09T20:01:00Z"},
            "silence lasts 15 days, 0:01:00, and CloudWatch mutes 15 days, 0:00:00 at most",
        ),
        (
            {"begins": "2026-11-24T20:00:30Z"},
            "silence begins 2026-11-24T20:00:30+00:00, which is no whole minute",
        ),
    ],
)
def test_a_silence_that_cannot_be_is_an_error(changed: dict[str, str], problem: str) -> None:
    with pytest.raises(PlanError) as raised:
        Plan.of(SMALL | {"notify": {"silence": [SILENCE | changed]}}, "test")
    assert raised.value.message == f"plan 'test' is not valid: notify.silence.0: {problem}"


@pytest.mark.parametrize("key", ["ends", "reason"])
def test_no_silence_is_without_an_end_or_a_reason(key: str) -> None:
    silence = {name: value for name, value in SILENCE.items() if name != key}
    with pytest.raises(PlanError) as raised:
        Plan.of(SMALL | {"notify": {"silence": [silence]}}, "test")
    assert raised.value.message == f"plan 'test' is not valid: notify.silence.0.{key}: missing"


def test_a_subscription_filters_on_what_messages_carry() -> None:
    one = {"protocol": "email", "endpoint": "a@example.com", "only": {"colour": ["red"]}}
    with pytest.raises(PlanError, match=r"notify\.subscription\.0\.only\.colour"):
        Plan.of(SMALL | {"notify": {"subscription": [one]}}, "test")
    told = Plan.of(SMALL | {"notify": {"subscription": [one | {"only": {"verdict": ["failed"]}}]}}, "test")
    assert told.notify.subscriptions[0].only == {"verdict": ("failed",)}
