import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.planning import pace
from tests.unit.plans import SMALL, plan

CLASSES = ("db.t3.micro", "db.t3.small", "db.t3.medium", "db.t4g.medium")
sizes = st.integers(20, 65536)


@pytest.mark.parametrize(
    ("storage_gb", "instance_class", "least", "most"),
    [
        # 100 GB are 107,374 MB: at 131 MB/s of the volume, and at 43.4 MB/s of the instance.
        (100, "db.t3.medium", 107_374 / 131.072, 107_374 / 43.375),
        # Half an hour of bursts reads 235,930 MB, the rest comes at the lasting rate.
        (1000, "db.t3.medium", 1800 + (1_073_742 - 260.625 * 1800) / 43.375, 1_073_742 / 43.375),
        (100, "db.t3.micro", 107_374 / 131.072, 107_374 / 10.875),
    ],
)
def test_reading_takes_what_volume_and_instance_allow(
    storage_gb: int, instance_class: str, least: float, most: float
) -> None:
    assert pace.reading(storage_gb, instance_class) == pytest.approx((least, most), rel=1e-4)


@given(sizes, sizes, st.sampled_from(CLASSES))
def test_more_is_never_read_sooner_except_for_the_faster_volume(one: int, other: int, name: str) -> None:
    small, large = sorted((one, other))
    if (small < 400) == (large < 400):
        assert pace.reading(small, name).least <= pace.reading(large, name).least
    assert pace.reading(small, name).most <= pace.reading(large, name).most


@given(sizes)
def test_a_larger_class_reads_no_slower(storage_gb: int) -> None:
    spans = [pace.reading(storage_gb, name) for name in CLASSES[:3]]
    assert [span.least for span in spans] == sorted((span.least for span in spans), reverse=True)
    assert [span.most for span in spans] == sorted((span.most for span in spans), reverse=True)


@given(sizes, st.sampled_from(CLASSES))
def test_a_good_day_is_never_longer_than_a_bad_one(storage_gb: int, name: str) -> None:
    for span in (pace.reading(storage_gb, name), pace.copying(storage_gb)):
        assert 0 < span.least <= span.middle <= span.most


def test_a_drill_that_reads_nothing_ends_with_the_restore() -> None:
    quick = plan(checks={"skip": ["rows", "heap"]})
    assert pace.verifying(quick, quick.database(None)) == pace.RESTORE


@pytest.mark.parametrize("skipped", [[], ["rows"], ["heap"]])
def test_one_of_the_full_reads_is_enough_to_read_everything(skipped: list[str]) -> None:
    full = plan(checks={"skip": skipped}, database=[SMALL["database"][0] | {"storage_gb": 100}])
    read = pace.reading(100, "db.t3.medium")
    assert pace.verifying(full, full.database(None)) == pace.RESTORE.plus(read)
    assert pace.drilling(full, full.database(None)) == pace.RESTORE.plus(read).plus(pace.DELETE)
