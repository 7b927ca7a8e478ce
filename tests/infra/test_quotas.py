"""The quota that the plan needs is asked for, in both regions, and only where the account has less."""

import pulumi
import pytest

from naming import Names
from quotas import SPARE, needed, raise_quota
from settings import load
from tests.infra.program import ACCOUNT, SETTINGS, Run, run

QUOTA = "aws:servicequotas/serviceQuota:ServiceQuota"


def test_what_thirty_days_of_every_slot_need_is_asked_for_in_both_regions(whole: Run) -> None:
    assert {one.inputs["value"] for one in whole.of(QUOTA)} == {4 * 30 + SPARE}
    assert {(one.inputs["serviceCode"], one.inputs["quotaCode"]) for one in whole.of(QUOTA)} == {
        ("rds", "L-272F1212")
    }
    assert len({one.inputs["region"] for one in whole.of(QUOTA)}) == 2


def test_each_region_needs_what_its_own_rules_keep() -> None:
    thinned = load(SETTINGS | {"points": {"daily_after": "7d"}})
    assert needed(thinned, primary=True) < 100 < needed(thinned, primary=False)
    databases = [SETTINGS["database"][0] | {"name": name} for name in ("a", "b")]
    assert needed(load(SETTINGS | {"database": databases}), primary=True) == 2 * 4 * 30 + SPARE


@pytest.mark.parametrize(
    ("region", "settings", "asked"),
    [
        ("ap-southeast-1", SETTINGS, [140]),
        # As many as are wanted, and more.
        ("eu-west-1", SETTINGS, []),
        ("eu-central-1", SETTINGS, []),
        ("ap-southeast-1", SETTINGS | {"points": {"daily_after": "7d"}}, []),
        ("eu-west-1", SETTINGS | {"points": {"keep": "60d"}}, [260]),
    ],
)
def test_no_more_is_asked_for_where_the_account_has_it(
    region: str, settings: dict[str, object], asked: list[int]
) -> None:
    names = Names("test", region, ACCOUNT)
    opts = pulumi.ResourceOptions()
    done = run(lambda: raise_quota("here", load(settings), names, primary=True, opts=opts))
    assert [one.inputs["value"] for one in done.of(QUOTA)] == asked
    assert [given["region"] for token, given in done.calls if "getServiceQuota" in token] == [region]
