"""Which recovery point is meant, and what is said where there is none."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pgdrill.aws.snapshots import Snapshot
from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable, Unavailable
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence
from pgdrill.model import PointKind, Verdict
from pgdrill.points import choice
from tests.unit.evidence.drills import Shelf, damaged, drilled
from tests.unit.instances import instance
from tests.unit.plans import plan
from tests.unit.snapshots import snapshot

PLAN = plan()
SHOP = PLAN.database(None)
START = datetime(2026, 11, 22, 6, 0, 0, 500_000, tzinfo=UTC)
END = datetime(2026, 11, 23, 5, 54, 59, 900_000, tzinfo=UTC)

OURS = snapshot(datetime(2026, 11, 22, 7, tzinfo=UTC))
OTHER = snapshot(datetime(2026, 11, 22, 13, tzinfo=UTC), suffix="other")
BY_HAND = OTHER.model_copy(update={"id": "before-the-migration", "tags": {}})
AUTOMATED = OTHER.model_copy(update={"id": "rds:shop-production-2026", "tags": {}, "manual": False})


def cell(*snapshots: Snapshot) -> Cell:
    """The primary with these snapshots and a PITR window from `START` to `END`."""
    window = SimpleNamespace(window=(START, END), resource="db-1", arn="a")
    return cast(
        "Cell",
        SimpleNamespace(
            plan=PLAN,
            place=PLAN.primary,
            rds=SimpleNamespace(instance=lambda _: instance(), region="ap-southeast-1"),
            snapshots=SimpleNamespace(of=lambda _: sorted(snapshots, key=lambda one: str(one.recovers_to))),
            backups=SimpleNamespace(of=lambda _: [window]),
        ),
    )


@pytest.mark.parametrize("wanted", ["latest", "oldest"])
@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ((OURS, OTHER, BY_HAND, AUTOMATED), OURS),
        ((OTHER, BY_HAND, AUTOMATED), AUTOMATED),
    ],
    ids=["our own", "an automated one"],
)
def test_latest_and_oldest_mean_our_own_and_else_what_rds_took(
    wanted: str, there: tuple[Snapshot, ...], chosen: Snapshot
) -> None:
    assert choice.choose(cell(*there), SHOP, wanted).id == chosen.id


@pytest.mark.parametrize("wanted", ["latest", "oldest"])
def test_what_others_took_is_not_meant_and_is_said_to_be_there(wanted: str) -> None:
    with pytest.raises(NotRunnable) as refused:
        choice.choose(cell(OTHER, BY_HAND), SHOP, wanted)
    assert refused.value.message == "database 'shop' has no snapshot to restore from in ap-southeast-1"
    assert refused.value.hint == (
        "take one with: pgdrill point take; 2 of others can be chosen by id, see: pgdrill point list"
    )


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("yesterday", "database 'shop' has no available snapshot 'yesterday'"),
        ("a day ago", "'a day ago' is not a recovery point"),
    ],
)
def test_a_word_that_means_no_point_is_answered_with_those_that_do(wanted: str, message: str) -> None:
    with pytest.raises(NotRunnable) as refused:
        choice.choose(cell(OURS), SHOP, wanted)
    assert refused.value.message == message
    assert refused.value.hint == (
        "write latest, oldest, restorable, for a drill also unproved, a UTC time such as 2026-11-22T06:00:00Z,"
        " or the id of a snapshot from: pgdrill point list"
    )


def test_where_there_is_none_at_all_the_hint_is_to_take_one() -> None:
    with pytest.raises(NotRunnable) as refused:
        choice.choose(cell(), SHOP, "latest")
    assert refused.value.hint == "take one with: pgdrill point take"


@pytest.mark.parametrize("named", [OTHER, BY_HAND, AUTOMATED])
def test_by_its_id_a_snapshot_of_anybody_is_chosen(named: Snapshot) -> None:
    assert choice.choose(cell(OURS, OTHER, BY_HAND, AUTOMATED), SHOP, named.id).id == named.id


@pytest.mark.parametrize(
    ("one", "who"),
    [(OURS, "pgdrill"), (OTHER, "pgdrill other"), (BY_HAND, "somebody else"), (AUTOMATED, "RDS")],
)
def test_who_made_a_snapshot_is_told(one: Snapshot, who: str) -> None:
    assert choice.maker(one, PLAN, SHOP) == who


WINDOW = "is outside the PITR window of 'shop-production': 2026-11-22T06:00:01Z to 2026-11-23T05:54:59Z"


@pytest.mark.parametrize(
    ("wanted", "said", "hint"),
    [
        (
            "2026-11-22T07:00:00+02:00",
            "2026-11-22T05:00:00Z",
            "choose a later moment, or an older snapshot from: pgdrill point list",
        ),
        (
            "2026-11-23T06:00:00.75Z",
            "2026-11-23T06:00:00Z",
            "choose an earlier moment, or wait: RDS ships the log every 5 minutes, and the window ends there",
        ),
    ],
    ids=["too early", "too late"],
)
def test_a_moment_outside_the_window_is_told_in_utc_with_what_to_do(
    wanted: str, said: str, hint: str
) -> None:
    with pytest.raises(NotRunnable) as refused:
        choice.choose(cell(), SHOP, wanted)
    assert (refused.value.message, refused.value.hint) == (f"{said} {WINDOW}", hint)


@pytest.mark.parametrize("moment", [START + timedelta(milliseconds=500), END])
def test_the_moments_that_are_told_as_its_ends_lie_in_the_window(moment: datetime) -> None:
    point = choice.choose(cell(), SHOP, moment.isoformat())
    assert point.recovers_to == moment.replace(microsecond=0)


# -------------------------------------------------------------------------------------------- doubted


OLDER = snapshot(datetime(2026, 11, 22, 1, tzinfo=UTC))
BAD = damaged(1, drill="20261122t080000z-shop", point=OURS.point())
DRILL = f"drill 20261122t080000z-shop of {OURS.id!r} failed: {BAD.verdict_reason}"


def doubt(*past: Evidence, there: tuple[Snapshot, ...] = (OLDER, OURS)) -> str | None:
    shelf, asked = Shelf(), cell(*there)
    for one in past:
        archive.save(shelf, one)
    cast("Any", asked).store = shelf
    return choice.doubted(asked, SHOP, OURS.point())


def test_a_point_whose_drill_failed_is_doubted_with_the_newest_that_passed() -> None:
    good = drilled(1, point=OLDER.point())
    assert doubt(good, BAD) == f"{DRILL}; the newest that passed one is {OLDER.id!r}"
    assert doubt(good, BAD, there=(OURS,)) == f"{DRILL}; none that is there has passed one"


def test_a_copy_that_passed_does_not_make_up_for_its_source() -> None:
    copied = OURS.point().model_copy(update={"kind": PointKind.COPY})
    assert doubt(BAD, drilled(7, drill="20261122t090000z-shop", point=copied)) == (
        f"{DRILL}; none that is there has passed one"
    )


def test_what_came_to_no_conclusion_takes_no_doubt_away() -> None:
    unclear = drilled(7, drill="20261122t090000z-shop", point=OURS.point(), verdict=Verdict.INCONCLUSIVE)
    assert doubt(BAD, unclear) == f"{DRILL}; none that is there has passed one"


def test_a_point_is_not_doubted_that_no_drill_failed_or_that_passed_since() -> None:
    assert doubt() is None
    assert doubt(damaged(1, drill="20261122t080000z-shop", point=OLDER.point())) is None
    assert doubt(BAD, drilled(7, drill="20261122t090000z-shop", point=OURS.point())) is None


def test_where_nobody_answers_of_past_drills_that_is_said() -> None:
    def refuses(*_: object) -> None:
        raise Unavailable("S3 did not answer", hint="ask again")

    asked = cell(OURS)
    cast("Any", asked).store = SimpleNamespace(keys=refuses)
    assert choice.doubted(asked, SHOP, OURS.point()) == (
        f"nobody could tell whether a drill of {OURS.id!r} failed: S3 did not answer"
    )
