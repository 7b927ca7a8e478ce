"""The status: well only where a recovery is possible now, within its objectives, and proved lately; else why not."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pgdrill.cli import app
from pgdrill.errors import NotRunnable, Unavailable
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence, Purpose, Summary
from pgdrill.model import PointKind, Rto, Verdict
from pgdrill.watching import status
from pgdrill.watching.status import Kind, Seen, Way
from tests.unit.evidence.drills import KEY, START, Shelf, damaged, drilled
from tests.unit.instances import instance
from tests.unit.plans import plan

NOW = START + timedelta(days=1)
PLAN = plan()


def ways() -> dict[Kind, Way]:
    ago = {Kind.MOMENT: 5, Kind.SNAPSHOT: 180, Kind.COPY: 240}
    regions = {Kind.COPY: "ap-northeast-1"}
    return {
        kind: Way(
            kind=kind,
            region=regions.get(kind, "ap-southeast-1"),
            point="a-point",
            recovers_to=NOW - timedelta(minutes=minutes),
        )
        for kind, minutes in ago.items()
    }


def of_copy(**changes: Any) -> Summary:
    point = drilled().point.model_copy(update={"kind": PointKind.COPY, "region": "ap-northeast-1"})
    return Summary.of(drilled(6, point=point, **changes))


def seen(**changes: Any) -> Seen:
    told: dict[str, Any] = {
        "database": "shop",
        "ways": tuple(ways().values()),
        "past": (of_copy(), Summary.of(drilled(7))),
    }
    return Seen.model_validate(told | changes)


def test_a_database_that_was_drilled_lately_and_has_points_in_both_regions_stands_well() -> None:
    made = status.standing(seen(), PLAN, NOW)
    assert made.verdict is Verdict.PASSED
    assert made.reasons == ()
    assert [way.kind for way in made.ways] == [Kind.MOMENT, Kind.SNAPSHOT, Kind.COPY]
    snapshot = made.ways[1]
    assert (snapshot.expected, snapshot.proved_at, snapshot.last) == (15.3, START, Verdict.PASSED)
    assert made.ways[0].last is Verdict.NOT_ASKED


def test_nothing_to_recover_from_is_the_worst_there_is() -> None:
    made = status.standing(seen(ways=()), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == ("there is nothing to recover from",)


def test_a_region_that_does_not_answer_is_unknown_and_never_well() -> None:
    made = status.standing(seen(unknown=("the points in ap-southeast-1: no answer",)), PLAN, NOW)
    assert made.verdict is Verdict.INCONCLUSIVE
    assert made.reasons == ("nobody could tell the points in ap-southeast-1: no answer",)


def test_nothing_found_where_nobody_answered_is_unknown_too() -> None:
    made = status.standing(seen(ways=(), unknown=("the points: no answer",)), PLAN, NOW)
    assert made.verdict is Verdict.INCONCLUSIVE


def test_data_older_than_the_objective_is_told_with_its_age() -> None:
    old = ways()[Kind.COPY].model_copy(update={"recovers_to": NOW - timedelta(hours=9)})
    made = status.standing(seen(ways=(old,)), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == ("the newest data to recover is 9 h old, objective 7 h",)


def test_a_failed_drill_is_told_with_its_reason() -> None:
    bad = Summary.of(damaged(drill="20261123t010000z-shop"))
    made = status.standing(seen(past=(of_copy(), Summary.of(drilled(7)), bad)), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == (f"the last drill of a snapshot, 20261123t010000z-shop, failed: {bad.reason}",)


def of_moment(made: Evidence) -> Summary:
    point = made.point.model_copy(update={"kind": PointKind.PITR})
    return Summary.of(made.model_copy(update={"point": point}))


def test_a_failed_drill_of_one_way_is_told_although_one_of_another_passed_after_it() -> None:
    bad = of_moment(damaged(drill="20261121t010000z-shop"))
    made = status.standing(seen(past=(of_copy(), bad, Summary.of(drilled(7)))), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == (f"the last drill of a moment, 20261121t010000z-shop, failed: {bad.reason}",)
    mended = of_moment(drilled(7, drill="20261122t010000z-shop"))
    made = status.standing(seen(past=(of_copy(), bad, mended, Summary.of(drilled(7)))), PLAN, NOW)
    assert (made.verdict, made.reasons) == (Verdict.PASSED, ())


def test_a_failed_drill_of_the_newest_point_is_told_although_one_of_an_older_passed_after_it() -> None:
    bad = Summary.of(damaged(drill="20261122t010000z-shop"))

    def again(after: timedelta) -> Summary:
        point = drilled().point.model_copy(update={"recovers_to": bad.recovers_to + after})
        return Summary.of(drilled(7, point=point))

    made = status.standing(seen(past=(of_copy(), bad, again(-timedelta(hours=6)))), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == (
        f"drill {bad.drill} of a snapshot failed, and none of a point as new has passed since: {bad.reason}",
    )
    assert {way.kind: way.last for way in made.ways}[Kind.SNAPSHOT] is Verdict.FAILED
    for after in (timedelta(0), timedelta(hours=6)):
        mended = status.standing(seen(past=(of_copy(), bad, again(after))), PLAN, NOW)
        assert (mended.verdict, mended.reasons) == (Verdict.PASSED, ())
        assert {way.kind: way.last for way in mended.ways}[Kind.SNAPSHOT] is Verdict.PASSED


def test_a_drill_of_one_way_that_came_to_no_conclusion_is_told() -> None:
    unclear = of_moment(drilled(6, verdict=Verdict.INCONCLUSIVE, verdict_reason="RDS was slow"))
    made = status.standing(seen(past=(of_copy(), unclear, Summary.of(drilled(7)))), PLAN, NOW)
    assert made.verdict is Verdict.INCONCLUSIVE
    assert made.reasons == (
        f"the last drill of a moment, {unclear.drill}, came to no conclusion: RDS was slow",
    )


def test_a_failed_drill_of_what_is_no_longer_there_is_told_only_where_that_is_unknown() -> None:
    bad = of_moment(damaged(drill="20261121t010000z-shop"))
    there = tuple(way for way in ways().values() if way.kind is not Kind.MOMENT)
    past = (of_copy(), bad, Summary.of(drilled(7)))
    assert status.standing(seen(ways=there, past=past), PLAN, NOW).verdict is Verdict.PASSED
    unknown = status.standing(seen(ways=there, past=past, unknown=("the PITR window: no",)), PLAN, NOW)
    assert unknown.verdict is Verdict.FAILED


def older(kind: Kind, **age: float) -> tuple[Way, ...]:
    """Return the ways with that of one kind so old."""
    made = ways()
    return tuple(
        (made | {kind: made[kind].model_copy(update={"recovers_to": NOW - timedelta(**age)})}).values()
    )


def test_new_data_of_a_kind_that_no_drill_proved_does_not_meet_the_rpo() -> None:
    made = status.standing(seen(ways=older(Kind.SNAPSHOT, days=25)), PLAN, NOW)
    assert made.verdict is Verdict.PASSED  # there is the copy, of four hours ago
    here = tuple(way for way in older(Kind.SNAPSHOT, days=25) if way.kind is not Kind.COPY)
    old_copy = older(Kind.COPY, hours=8)[-1]
    made = status.standing(seen(ways=(*here, old_copy)), PLAN, NOW)
    assert made.verdict is Verdict.INCONCLUSIVE
    assert made.reasons == ("the newest data of a kind that passed a drill is 8 h old, objective 7 h",)
    proved = (of_copy(), of_moment(drilled(6)), Summary.of(drilled(7)))
    assert status.standing(seen(ways=(*here, old_copy), past=proved), PLAN, NOW).verdict is Verdict.PASSED


def test_what_is_there_is_not_proved_by_drills_of_another_kind() -> None:
    made = status.standing(
        seen(ways=(ways()[Kind.MOMENT], ways()[Kind.COPY]), past=(Summary.of(drilled(7)),)), PLAN, NOW
    )
    assert made.verdict is Verdict.INCONCLUSIVE
    assert made.reasons == (
        "nothing that is there is of a kind that passed a drill",
        "no drill of a copy has been made",
    )


def test_a_copy_is_late_after_a_slot_and_what_the_plan_gives_a_copy() -> None:
    assert status.standing(seen(ways=older(Kind.COPY, hours=12)), PLAN, NOW).verdict is Verdict.PASSED
    made = status.standing(seen(ways=older(Kind.COPY, hours=13)), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == ("the newest copy in ap-northeast-1 is 13 h old, and the next was due at 12 h",)


def test_a_drill_that_is_overdue_proves_nothing_any_more() -> None:
    later = NOW + timedelta(days=11)
    fresh = tuple(way.model_copy(update={"recovers_to": later}) for way in ways().values())
    made = status.standing(seen(ways=fresh), PLAN, later)
    assert made.verdict is Verdict.INCONCLUSIVE
    assert made.reasons == (
        "the last drill was on 2026-11-22 06:05:00 UTC, 12 d ago, and one is due every 7 d",
    )


def test_no_drill_at_all_is_not_proved() -> None:
    made = status.standing(seen(past=()), PLAN, NOW)
    assert made.verdict is Verdict.INCONCLUSIVE
    assert made.reasons == ("no drill has been made", "no drill of a copy has been made")


def test_no_copy_is_a_failure_since_the_region_may_be_lost() -> None:
    here = tuple(way for way in ways().values() if way.kind is not Kind.COPY)
    made = status.standing(seen(ways=here), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == ("there is no copy in ap-northeast-1: the loss of ap-southeast-1 would be final",)


def test_a_recovery_that_takes_too_long_is_told_with_its_time() -> None:
    slow = Summary.of(drilled(rto=Rto(usable=20000, verified=None, objective=28800)))
    made = status.standing(seen(past=(of_copy(), slow)), PLAN, NOW)
    assert made.verdict is Verdict.FAILED
    assert made.reasons == ("a recovery from the snapshot takes 5 h 33 min, objective 4 h",)


# --------------------------------------------------------------------------------------------- looking


def refuses(*_: object) -> Any:
    raise Unavailable("RDS did not answer", hint="ask again")


def state(of: str) -> Callable[[str], Any]:
    return lambda _: SimpleNamespace(state=of)


ENABLED = state("Enabled")


def cell(
    region: str,
    points: Callable[..., Any],
    shelf: Shelf,
    *,
    describe: Callable[[str], Any] = ENABLED,
    runs: bool = True,
) -> Any:
    """A cell whose PITR window is of the instance, or where none runs of the backups that outlived it."""
    place = PLAN.dr if region == PLAN.dr.region else PLAN.primary
    backup = SimpleNamespace(
        window=(NOW - timedelta(days=7), NOW),
        resource=instance().resource_id,
        status="active" if runs else "retained",
        kms_key=KEY,
    )
    return SimpleNamespace(
        plan=PLAN,
        place=place,
        rds=SimpleNamespace(instance=lambda _: instance(kms_key=KEY) if runs else None, region=region),
        backups=SimpleNamespace(of=lambda _: [backup]),
        keys=SimpleNamespace(describe=describe),
        store=shelf,
        points=points,
    )


def test_a_look_asks_both_cells_and_goes_on_where_one_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pgdrill.points.choice.usable", lambda cell, _: cell.points())
    shelf = Shelf()
    archive.save(shelf, drilled(1))
    found = drilled().point
    cells = [cell("ap-southeast-1", refuses, shelf), cell("ap-northeast-1", lambda: [found], shelf)]
    made = status.look(cells, PLAN.databases[0])
    assert made.unknown == ("the points in ap-southeast-1: RDS did not answer",)
    assert {way.kind for way in made.ways} == {Kind.MOMENT, Kind.COPY}
    assert [one.drill for one in made.past] == [drilled(1).drill]


@pytest.mark.parametrize("runs", [True, False], ids=["the instance's", "what outlived the instance"])
def test_the_window_is_that_which_a_recovery_would_choose_from(
    monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    monkeypatch.setattr("pgdrill.points.choice.usable", lambda *_: [])
    made = status.look([cell("ap-southeast-1", list, Shelf(), runs=runs)], PLAN.databases[0])
    (way,) = made.ways
    assert (way.kind, way.since, way.recovers_to, way.key) == (
        Kind.MOMENT,
        NOW - timedelta(days=7),
        NOW,
        KEY,
    )


def looked(monkeypatch: pytest.MonkeyPatch, describe: Callable[[str], Any]) -> Seen:
    """Look at cells that have a window, a snapshot and a copy, whose keys are as described."""
    points = {
        place.region: drilled().point.model_copy(
            update={"region": place.region, "recovers_to": NOW - timedelta(hours=1)}
        )
        for place in (PLAN.primary, PLAN.dr)
    }
    monkeypatch.setattr("pgdrill.points.choice.usable", lambda cell, _: [points[cell.place.region]])
    cells = [cell(region, list, Shelf(), describe=describe) for region in points]
    return status.look(cells, PLAN.databases[0])


def test_what_is_encrypted_with_a_key_that_works_can_be_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    made = looked(monkeypatch, ENABLED)
    assert [(way.kind, way.key, way.locked) for way in made.ways] == [
        (Kind.SNAPSHOT, KEY, ""),
        (Kind.MOMENT, KEY, ""),
        (Kind.COPY, KEY, ""),
    ]
    assert made.unknown == ()


@pytest.mark.parametrize("of", ["Disabled", "PendingDeletion"])
def test_what_is_encrypted_with_a_key_that_does_not_work_cannot_be_restored(
    monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    made = looked(monkeypatch, state(of))
    assert {way.locked for way in made.ways} == {f"key {KEY!r} is {of}"}
    told = status.standing(seen(ways=made.ways), PLAN, NOW)
    assert told.verdict is Verdict.FAILED
    assert told.reasons[:3] == (
        f"the moment in ap-southeast-1 cannot be restored: key {KEY!r} is {of}",
        f"the snapshot in ap-southeast-1 cannot be restored: key {KEY!r} is {of}",
        f"the copy in ap-northeast-1 cannot be restored: key {KEY!r} is {of}",
    )


def test_a_key_that_is_not_there_is_as_bad_as_one_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(key: str) -> Any:
        raise NotRunnable(f"key {key!r} cannot be used: NotFoundException", hint="check that it exists")

    made = looked(monkeypatch, gone)
    assert {way.locked for way in made.ways} == {f"key {KEY!r} cannot be used: NotFoundException"}


def test_a_key_of_which_kms_says_nothing_is_unknown_and_hides_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    made = looked(monkeypatch, refuses)
    assert [way.locked for way in made.ways] == ["", "", ""]
    assert made.unknown == (
        "the key of the snapshot in ap-southeast-1: RDS did not answer",
        "the key of the moment in ap-southeast-1: RDS did not answer",
        "the key of the copy in ap-northeast-1: RDS did not answer",
    )
    assert status.standing(made, PLAN, NOW).verdict is Verdict.INCONCLUSIVE


def test_data_whose_key_does_not_work_does_not_meet_the_rpo() -> None:
    fresh = ways()[Kind.SNAPSHOT].model_copy(update={"locked": "key 'k' is Disabled"})
    old = ways()[Kind.COPY].model_copy(update={"recovers_to": NOW - timedelta(hours=9)})
    made = status.standing(seen(ways=(fresh, old)), PLAN, NOW)
    assert made.reasons == (
        "the snapshot in ap-southeast-1 cannot be restored: key 'k' is Disabled",
        "the newest data to recover is 9 h old, objective 7 h",
    )


def test_a_recovery_alone_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgdrill.points.choice.usable", lambda *_: [])
    shelf = Shelf()
    archive.save(shelf, drilled(1, purpose=Purpose.RECOVERY))
    made = status.look([cell("ap-southeast-1", list, shelf)], PLAN.databases[0])
    assert made.past == ()
    assert "no drill has been made" in status.standing(made, PLAN, NOW).reasons


def test_the_command_prints_the_ways_and_ends_as_the_worst_database_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pgdrill.cli.status.Plan.load", lambda _: PLAN)
    monkeypatch.setattr("pgdrill.cli.status.Cell.open", lambda *_: None)
    monkeypatch.setattr("pgdrill.cli.status.clock", lambda: SimpleNamespace(now=NOW))
    monkeypatch.setattr("pgdrill.watching.status.look", lambda *_: seen())
    well = CliRunner().invoke(app, ["status"])
    assert well.exit_code == 0
    assert "✓ shop  recoverable" in well.stdout
    assert "any moment in ap-southeast-1" in well.stdout
    assert "5 min ago" in well.stdout
    assert "✓  snapshot in ap-southeast-1" in well.stdout
    locked = tuple(way.model_copy(update={"locked": "key 'k' is Disabled"}) for way in ways().values())
    monkeypatch.setattr("pgdrill.watching.status.look", lambda *_: seen(ways=locked))
    closed = CliRunner().invoke(app, ["status"])
    assert closed.exit_code == 1
    assert "✗  snapshot in ap-southeast-1" in closed.stdout
    monkeypatch.setattr("pgdrill.watching.status.look", lambda *_: seen(ways=()))
    ill = CliRunner().invoke(app, ["status"])
    assert ill.exit_code == 1
    assert "✗ shop  not recoverable as planned\n  There is nothing to recover from\n" in ill.stdout
