from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from pgdrill.aws.snapshots import Quota, Snapshot
from pgdrill.cell import Cell
from pgdrill.errors import Broken, NotRunnable
from pgdrill.messages import Level, Message, Reply
from pgdrill.points import copies
from pgdrill.points.copies import Answers, Round
from pgdrill.points.inventory import Actions, Inventory
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, EPOCH, HOME, copied, snapshot

NOW = EPOCH + timedelta(days=1)
PLAN = plan()


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """The DR cell; nothing is called in it here."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Cell.open(PLAN, PLAN.dr)


def inventory(*snapshots: Snapshot, region: str = AWAY) -> Inventory:
    return Inventory(
        region=region, suffix="lab", made_at=NOW, quota=Quota(used=0, limit=100), snapshots=snapshots
    )


def round_(
    *, heard: bool = True, backlog: tuple[Snapshot, ...] = (), flying: int = 0, **answers: Any
) -> Round:
    told = tuple(
        Message(level=Level.ALARM, topic=topic, text=f"{topic} it is", hint="look")
        for topic in ("other cell silent", "copy refused")
    )
    return Round(
        own=inventory(),
        heard=heard,
        backlog=backlog,
        flying=flying,
        answers=Answers(**answers),
        reply=Reply(messages=told),
    )


def test_rounds_end_where_nothing_was_ever_heard(cell: Cell) -> None:
    with pytest.raises(NotRunnable) as ended:
        copies._give_up(cell, round_(heard=False), Counter())
    assert (ended.value.message, ended.value.hint) == ("other cell silent it is", "look")


def test_rounds_end_where_rds_refuses_and_nothing_else_goes_on(cell: Cell) -> None:
    with pytest.raises(NotRunnable) as ended:
        copies._give_up(cell, round_(refused=("a",)), Counter())
    assert ended.value.message == "copy refused it is"
    copies._give_up(cell, round_(refused=("a",), begun=("b",)), Counter(b=1))
    copies._give_up(cell, round_(refused=("a",), flying=1), Counter())


def test_rounds_end_where_a_copy_ends_again_and_again(cell: Cell) -> None:
    copies._give_up(cell, round_(begun=("a",)), Counter(a=3))
    with pytest.raises(Broken) as ended:
        copies._give_up(cell, round_(begun=("a",)), Counter(a=4))
    assert ended.value.message == "the copy of 'a' to ap-northeast-1 ended 3 times without being done"


def test_what_has_no_source_any_more_is_not_missing() -> None:
    one, two = snapshot(EPOCH), snapshot(EPOCH + timedelta(hours=6))
    assert round_(backlog=(one, two), gone=(one.id,)).missing
    assert not round_(backlog=(one, two), gone=(one.id, two.id)).missing


def test_ages_count_from_what_the_data_is_of() -> None:
    done, waiting = snapshot(EPOCH), snapshot(EPOCH + timedelta(hours=6))
    own = inventory(copied(done, NOW))
    heard = inventory(done, waiting, region=HOME).model_copy(update={"made_at": NOW - timedelta(minutes=2)})
    metrics = copies._metrics(own, heard, Actions(backlog=(waiting,)), NOW)
    assert {(metric.name, metric.value) for metric in metrics} == {
        ("CopiesMissing", 1),
        ("OldestCopyMissing", 18 * 3600 - 60),
        ("OtherCellAge", 120),
        ("CopyAge", 86400),
    }
    assert {metric.dimensions["Region"] for metric in metrics} == {AWAY}
