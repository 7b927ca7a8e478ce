"""The quota that the plan needs is asked for, in both regions, and only where the default is too little."""

from quotas import SPARE, needed
from settings import load
from tests.infra.program import SETTINGS, Run

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
