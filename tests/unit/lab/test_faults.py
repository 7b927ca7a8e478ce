import pytest

from pgdrill.errors import PlanError
from pgdrill.lab.faults import Faults
from pgdrill.model import JSON


def test_without_faults_nothing_fails_or_waits() -> None:
    faults = Faults()
    assert faults.failure("DescribeDBInstances") is None
    assert faults.latency("restore") == 0.0
    assert not faults.stuck("shop", "creating")
    assert faults.doom("shop") is None


def test_the_next_calls_of_an_action_fail_and_then_no_more() -> None:
    faults = Faults()
    faults.set({"failures": [{"action": "CreateDBSnapshot", "times": 2}]})
    failures = [faults.failure("CreateDBSnapshot") for _ in range(3)]
    assert [failure.code if failure else None for failure in failures] == [
        "ThrottlingException",
        "ThrottlingException",
        None,
    ]
    assert faults.get()["failures"] == []


def test_other_actions_do_not_fail() -> None:
    faults = Faults()
    faults.set(
        {"failures": [{"action": "Describe*", "code": "InternalFailure", "message": "x", "status": 500}]}
    )
    assert faults.failure("CreateDBSnapshot") is None
    failure = faults.failure("DescribeDBSnapshots")
    assert failure is not None
    assert (failure.code, failure.message, failure.status) == ("InternalFailure", "x", 500)


def test_a_change_keeps_what_it_does_not_name() -> None:
    faults = Faults()
    faults.set({"latency": {"restore": 3}})
    faults.set({"stuck": [{"identifier": "copy-*", "status": "creating"}]})
    assert faults.latency("restore") == 3.0
    assert faults.stuck("copy-1", "creating")
    assert not faults.stuck("copy-1", "available")
    assert not faults.stuck("shop", "creating")


def test_what_was_read_can_be_set_again() -> None:
    faults = Faults()
    faults.set({"events": {"late": 1.5, "copies": 2}, "doomed": [{"identifier": "*", "status": "failed"}]})
    before = faults.get()
    faults.clear()
    assert faults.doom("copy") is None
    assert faults.set(before) == before
    assert faults.doom("copy") == "failed"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ([], "not a JSON object"),
        ({"earthquake": 9}, "earthquake: Extra inputs are not permitted"),
        ({"latency": {"lunch": 1}}, "latency.lunch.[key]: Input should be 'create', 'restore'"),
        (
            {"failures": [{"action": "*", "times": 0}]},
            "failures.0.times: Input should be greater than or equal to 1",
        ),
    ],
)
def test_what_is_not_understood_is_refused_and_changes_nothing(change: JSON, what: str) -> None:
    faults = Faults()
    before = faults.set({"latency": {"copy": 1}})
    with pytest.raises(PlanError) as refused:
        faults.set(change)
    assert refused.value.message.startswith(f"faults {change!r} not understood: {what}")
    assert refused.value.hint == (
        "give a JSON object with some of: latency, failures, events, stuck, doomed, slow_first_read, lost"
    )
    assert faults.get() == before
