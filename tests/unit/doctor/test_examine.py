"""What an answer says of what a question found, and how the answers end the command."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from pgdrill.aws.surroundings import Caller, Surroundings
from pgdrill.cell import Cell
from pgdrill.doctor import databases, regions
from pgdrill.doctor.examine import answer, examine, exit_status
from pgdrill.doctor.patient import Answer, Patient, Question, Status
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


@pytest.mark.parametrize(
    ("question", "lost"),
    [
        ("mac key", "no drill can log in to what it restored"),
        ("signing key", "no evidence is signed"),
        ("storage key", "what it encrypted cannot be restored"),
        ("messages key", "nothing can be told to the topics"),
    ],
)
def test_a_key_that_is_off_is_told_with_what_goes_without_it(cell: Cell, question: str, lost: str) -> None:
    off = SimpleNamespace(describe=lambda _: SimpleNamespace(state="Disabled"))
    place = cell.place.model_copy(update={"signing_key": "alias/s", "messages_key": "alias/m"})
    made = SimpleNamespace(place=place, plan=cell.plan, keys=off)
    found = answer(question, regions.QUESTIONS[question], patient(cast("Cell", made), Ruled()))
    assert (found.status, found.hint) == (
        Status.PROBLEM,
        f"enable it, or cancel its deletion; {lost} while it is off",
    )


def test_the_root_of_an_account_is_not_asked_about(cell: Cell) -> None:
    around = Ruled(arn="arn:aws:iam::123456789012:root")
    found = answer("permissions", regions.QUESTIONS["permissions"], patient(cell, around))
    assert (found.status, around.asked) == (Status.OK, {})


def test_a_region_that_is_down_is_asked_once_and_the_other_one_whole(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def question(name: str, *, raised: BaseException | None = None) -> Question:
        def ask(patient: Patient) -> str:
            region = patient.cell.place.region
            asked.append((region, name))
            if raised and region == "ap-southeast-1":
                raise Unavailable(f"{name} failed", hint="later") from raised
            return "well"

        return ask

    down = ClientError(
        {"Error": {"Code": "503"}, "ResponseMetadata": {"HTTPStatusCode": 503}},  # type: ignore[typeddict-item] # as much as is read
        "DescribeKey",
    )
    throttled = ClientError({"Error": {"Code": "ThrottlingException"}}, "GetCallerIdentity")
    of_region = {
        "caller": question("caller", raised=throttled),
        "key": question("key", raised=down),
        "bucket": question("bucket"),
    }
    monkeypatch.setattr(regions, "QUESTIONS", of_region)
    monkeypatch.setattr(databases, "QUESTIONS", {"ledger": question("ledger")})
    monkeypatch.setattr(databases, "OF_PRODUCTION", {})
    other = replace(cell, place=cell.plan.dr)
    answers = list(examine([cell, other], cell.plan.databases, Clock(NOW, lambda: 60.0, 60.0)))

    assert [(a.status, a.value, a.hint) for a in answers[:4]] == [
        (Status.UNKNOWN, "caller failed", "later"),
        (Status.UNKNOWN, "key failed", "later"),
        *[
            (
                Status.UNKNOWN,
                "not asked, since a service in ap-southeast-1 does not answer",
                "see the answer about key",
            )
        ]
        * 2,
    ]
    assert {a.status for a in answers[4:]} == {Status.OK}
    assert asked == [
        ("ap-southeast-1", "caller"),
        ("ap-southeast-1", "key"),
        *[("ap-northeast-1", name) for name in ("caller", "key", "bucket", "ledger")],
    ]


@pytest.mark.parametrize(
    "cause", [EndpointConnectionError(endpoint_url="x"), ReadTimeoutError(endpoint_url="x")]
)
def test_what_does_not_answer_is_unknown_whatever_the_error(cell: Cell, cause: Exception) -> None:
    def question(_: Patient) -> str:
        raise NotRunnable("cannot read", hint="look") from cause

    given = answer("bucket", question, patient(cell, Ruled()))
    assert (given.status, given.down) == (Status.UNKNOWN, True)
