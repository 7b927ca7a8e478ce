"""What an answer says of what a question found, and how the answers end the command."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgdrill.aws.surroundings import Caller, Surroundings
from pgdrill.cell import Cell
from pgdrill.doctor import regions
from pgdrill.doctor.examine import answer, exit_status
from pgdrill.doctor.patient import Answer, Patient, Status
from pgdrill.errors import Broken, DrillError, NotRunnable, PlanError, Unavailable
from pgdrill.model import Clock
from tests.unit.plans import plan

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/operator"


class Ruled(Surroundings):
    """Surroundings in which some actions are denied; remembers what was asked."""

    def __init__(self, *forbidden: str, arn: str = ROLE) -> None:
        super().__init__(lambda service: pytest.fail(f"{service} was called"))
        self.forbidden = forbidden
        self.arn = arn
        self.asked: dict[str, dict[str, str]] = {}

    def caller(self) -> Caller:
        return Caller(arn=self.arn, account="123456789012", aws_now=NOW)

    def denied(self, principal: str, actions: object, resource: str, tags: dict[str, str]) -> list[str]:
        assert principal == ROLE
        assert isinstance(actions, list)
        self.asked |= {f"{action} {resource}": tags for action in actions}
        return [action for action in actions if action in self.forbidden]


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Cell.open(plan())


def patient(cell: Cell, around: Surroundings) -> Patient:
    return Patient(cell, around, Clock(now=NOW, remaining=lambda: 60.0, budget=60.0))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotRunnable, Status.PROBLEM),
        (PlanError, Status.PROBLEM),
        (Unavailable, Status.UNKNOWN),
        (Broken, Status.UNKNOWN),
    ],
)
def test_an_error_is_a_problem_or_leaves_it_unknown(
    cell: Cell, error: type[DrillError], status: Status
) -> None:
    def question(_: Patient) -> str:
        raise error("the key is off", hint="enable it")

    assert answer("key", question, patient(cell, Ruled())) == Answer(
        region="ap-southeast-1",
        database=None,
        question="key",
        status=status,
        value="the key is off",
        hint="enable it",
    )


def test_a_bug_is_no_answer(cell: Cell) -> None:
    def question(_: Patient) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answer("key", question, patient(cell, Ruled()))


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([Status.OK, Status.OK], 0),
        ([Status.OK, Status.UNKNOWN], 3),
        ([Status.UNKNOWN, Status.PROBLEM], 1),
    ],
)
def test_the_worst_answer_decides_how_it_ends(given: list[Status], status: int) -> None:
    answers = [Answer(region="r", database=None, question="q", status=one, value="") for one in given]
    assert exit_status(answers) == status


def test_each_denied_action_is_named_once(cell: Cell) -> None:
    around = Ruled("rds:DeleteDBInstance", "rds:AddTagsToResource")
    found = answer("permissions", regions.QUESTIONS["permissions"], patient(cell, around))
    assert (found.status, found.value) == (
        Status.PROBLEM,
        f"{ROLE} may not: rds:DeleteDBInstance, rds:AddTagsToResource",
    )
    assert found.hint == (
        "docs/permissions.md lists what each step calls; let its policies allow them on pgdrill's own names"
    )


def test_permissions_are_asked_for_on_what_is_ours_and_where_it_is_called(cell: Cell) -> None:
    here, there = Ruled(), Ruled()
    asked = regions.QUESTIONS["permissions"]
    found = answer("permissions", asked, patient(cell, here))
    assert (found.status, found.value) == (Status.OK, f"10 actions allowed to {ROLE}, by IAM's own reckoning")
    deleted = "rds:DeleteDBInstance arn:aws:rds:ap-southeast-1:123456789012:db:pgdrill-lab-drill-shop"
    assert here.asked[deleted] == {
        "ManagedBy": "pgdrill",
        "PgDrillRole": "drill",
        "Environment": "test",
        "Owner": "dba",
        "CostCenter": "42",
    }
    answer("permissions", asked, patient(replace(cell, place=cell.plan.dr), there))

    def actions(around: Ruled) -> set[str]:
        return {name.split()[0] for name in around.asked}

    assert actions(here) - actions(there) == {"rds:CreateDBSnapshot", "rds:RestoreDBInstanceToPointInTime"}
    assert actions(there) - actions(here) == {"rds:CopyDBSnapshot"}


def test_the_root_of_an_account_is_not_asked_about(cell: Cell) -> None:
    around = Ruled(arn="arn:aws:iam::123456789012:root")
    found = answer("permissions", regions.QUESTIONS["permissions"], patient(cell, around))
    assert (found.status, around.asked) == (Status.OK, {})
