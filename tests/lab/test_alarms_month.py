"""A month of looks in which all is well, and every alarm of both cells at each of them: nobody is woken."""

import pytest

from tests.unit.snapshots import AWAY, HOME
from tests.unit.watching.watchman import watch
from tests.unit.watching.world import PLAN


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_a_month_in_which_all_is_well_is_silent(region: str) -> None:
    assert watch(PLAN, region, 31) == {}
