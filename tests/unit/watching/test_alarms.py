"""Every alarm fires on its cause within a quarter of an hour, and no alarm in a month in which all is well."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from pgdrill import slots
from pgdrill.aws.snapshots import Mark, Quota, Snapshot
from pgdrill.model import Verdict
from pgdrill.plan import Copies, Notify
from pgdrill.watching import alarms
from pgdrill.watching.ages import measure
from pgdrill.watching.alarms import ALARMS, BY_NAME, LONGEST_DESCRIPTION, TOLD_WITHIN, Subject
from pgdrill.watching.sighting import Archived, Ended, Running, Sighting
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME, snapshot
from tests.unit.watching.watchman import FUNCTIONS, MACHINES, Watchman, watch
from tests.unit.watching.world import DAY, FIRST, HOUR, MINUTE, PLAN, Change, look, same

SLOT = FIRST + 19 * DAY + 13 * HOUR
X = SLOT + 2 * HOUR + timedelta(seconds=1)
WATCH = 5 * MINUTE
LAMBDA, STATES = "AWS/Lambda", "AWS/States"


@dataclass(frozen=True)
class Case:
    """What happens from `begins` on, from when the minutes of the alarm count, and what else it sets off."""

    alarm: str
    change: Change = same
    counted: datetime = X
    begins: datetime = X
    region: str = HOME
    put: tuple[Any, ...] = ()
    also: frozenset[str] = field(default_factory=frozenset)
    looks: bool = True


def owning(seen: Sighting, **changes: Any) -> Sighting:
    return seen.model_copy(update={"own": seen.own.model_copy(update=changes)})


def watching(**changes: Any) -> Change:
    """Return what changes the one database that is watched."""

    def change(seen: Sighting) -> Sighting:
        one = seen.databases[0].model_copy(update=changes)
        return seen.model_copy(update={"databases": (one,)})

    return change


def seeing(**changes: Any) -> Change:
    return lambda seen: seen.model_copy(update=changes)


def without_points(since: datetime) -> Change:
    """Return what leaves out this region's points of a slot and all after it."""

    def change(seen: Sighting) -> Sighting:
        kept = tuple(one for one in seen.own.snapshots if slot(one) < since)
        return owning(seen, snapshots=kept)

    return change


def slot(point: Snapshot) -> datetime:
    assert point.mark is not None
    assert point.mark.slot is not None
    return slots.named(point.mark.slot)


def offering(*created: datetime) -> Change:
    """Return what has the other cell tell of points out of turn that are not copied."""

    def change(seen: Sighting) -> Sighting:
        assert seen.heard is not None
        mark = Mark(suffix="lab", database="shop", resource="db-1")
        made = tuple(
            snapshot(SLOT, created_at=at, recovers_to=at, tags=mark.tags(), id=f"pgdrill-lab-shop-now-{n}")
            for n, at in enumerate(created)
        )
        heard = seen.heard.model_copy(update={"snapshots": seen.heard.snapshots + made})
        return seen.model_copy(update={"heard": heard})

    return change


def instance(**changes: Any) -> Change:
    def change(seen: Sighting) -> Sighting:
        found = seen.databases[0].instance
        assert found is not None
        return watching(instance=found.model_copy(update=changes))(seen)

    return change


def silent(seen: Sighting) -> Sighting:
    assert seen.heard is not None
    return seen.model_copy(update={"heard": seen.heard.model_copy(update={"made_at": X})})


def still(seen: Sighting) -> Sighting:
    beat = seen.own.ledger["shop"].model_copy(update={"done_at": X})
    return owning(seen, ledger={"shop": beat})


def drilling(**since: datetime) -> Change:
    return watching(running=Running(drill="d", **since))


def ended(verdict: Verdict, rto: float | None = None) -> Change:
    return watching(ended=Ended(drill="d", verdict=verdict, rto=rto))


def own(name: str, **about: str) -> tuple[Any, ...]:
    return "pgdrill", name, {"Suffix": "lab", **about}, 1


PASSED = FIRST + 14 * DAY + 2 * HOUR
CASES = (
    Case("snapshot-late", without_points(SLOT), SLOT + 15 * MINUTE, SLOT),
    Case("backups-shortened", instance(retention_days=6)),
    Case("restorable-late", instance(restorable_to=X), X + 15 * MINUTE),
    Case("quota-near", lambda seen: owning(seen, quota=Quota(used=97, limit=100))),
    Case("retention-shortened", put=own("PointsDeletedForRoom", Region=HOME)),
    Case(
        "copy-late",
        without_points(SLOT),
        SLOT + 6 * HOUR,
        SLOT,
        AWAY,
        also=frozenset({"copy-waiting"}),
    ),
    Case("copy-waiting", offering(X - 6 * HOUR), region=AWAY),
    Case("copies-queue", offering(X, X, X), region=AWAY),
    Case("export-late", watching(archived=Archived(passed_of=SLOT - 36 * HOUR)), SLOT, SLOT - 9 * HOUR),
    Case("export-incomplete", watching(archived=Archived(passed_of=SLOT - 12 * HOUR, missing=2))),
    Case(
        "recovery-running-long",
        drilling(started_at=X - MINUTE, requested_at=X),
        X + 4 * HOUR,
    ),
    Case("recovery-too-slow", ended(Verdict.PASSED, 14_401)),
    Case("drill-failed", ended(Verdict.FAILED)),
    Case("drill-inconclusive", ended(Verdict.INCONCLUSIVE)),
    Case(
        "drill-overdue",
        watching(passed_at=PASSED, running=None),
        PASSED + 7 * DAY + 5 * HOUR,
        PASSED + 7 * DAY,
    ),
    Case(
        "drill-stuck",
        drilling(started_at=X, requested_at=X + MINUTE, queried_at=X + HOUR),
        X + 6 * HOUR,
    ),
    Case("drill-skipped", watching(skipped=2)),
    Case("reaper-acted", put=own("InstancesReaped", Database="shop")),
    Case("reaper-failed", put=own("ReapsFailed", Database="shop")),
    Case("ledger-silent", still, X + MINUTE),
    Case("ledger-forked", watching(forks=1)),
    Case("key-unusable", seeing(unusable_keys=("storage",))),
    Case("secret-unusable", seeing(unusable_secrets=("pgdrill/shop",))),
    Case("schedule-disabled", seeing(disabled_schedules=("pgdrill-lab-take-shop",))),
    Case("function-errors", put=(LAMBDA, "Errors", {"FunctionName": "take"}, 6)),
    Case("function-throttled", put=(LAMBDA, "Throttles", {"FunctionName": "take"}, 1)),
    Case("function-slow", put=(LAMBDA, "Duration", {"FunctionName": "take"}, 57_001)),
    Case("machine-failed", put=(STATES, "ExecutionsAborted", {"StateMachineArn": "drill"}, 1)),
    Case("other-cell-silent", silent, X + WATCH, region=AWAY),
    Case("storage-dear", seeing(dollars=501.0)),
    Case(
        "canary-missing",
        seeing(canary_at=FIRST + 19 * DAY + 9 * HOUR),
        FIRST + 20 * DAY + 9 * HOUR + 15 * MINUTE,
        FIRST + 20 * DAY + 9 * HOUR,
    ),
    Case("unseen", seeing(unseen=frozenset({"the schedules"}))),
    Case("watch-silent", counted=SLOT, begins=SLOT, looks=False),
)


def counted(case: Case, phase: timedelta) -> datetime:
    """Return the moment that counts; a look that is missing is one that would have been made then."""
    return case.counted + (timedelta(0) if case.looks else phase)


def happen(case: Case, phase: timedelta) -> Watchman:
    """Let all be well for half an hour before what counts, then the case, until it must have been told."""
    man = Watchman(PLAN, case.region, case.counted - 30 * MINUTE)
    until = counted(case, phase) + BY_NAME[case.alarm].told_after(PLAN)
    start = case.counted - 30 * MINUTE
    now = start.replace(second=0) - start.minute % 5 * MINUTE
    published = False
    while now < until:
        at = now + phase
        if now.minute % 5 == 0 and (case.looks or at < case.begins):
            seen = look(case.region, at)
            man.look(case.change(seen) if at >= case.begins else seen)
        if case.put and not published and now + MINUTE > case.begins:
            namespace, name, about, value = case.put
            man.put(namespace, name, about, value, case.begins)
            published = True
        now += MINUTE
        man.evaluate(now - timedelta(seconds=1))
    return man


@pytest.mark.parametrize("phase", [timedelta(seconds=0), timedelta(seconds=150), timedelta(seconds=254)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alarm)
def test_an_alarm_fires_on_its_cause_in_time_and_no_other_does(case: Case, phase: timedelta) -> None:
    man = happen(case, phase)
    fired = {name.partition("/")[0] for name in man.fired}
    assert fired == {case.alarm} | case.also
    when = next(at for name, at in man.fired.items() if name.partition("/")[0] == case.alarm)
    since = counted(case, phase)
    assert since <= when <= since + BY_NAME[case.alarm].told_after(PLAN) - MINUTE


def test_every_alarm_has_a_case() -> None:
    assert [case.alarm for case in CASES] == [alarm.name for alarm in ALARMS]


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_days_in_which_all_is_well_are_silent(region: str) -> None:
    """From the deployment on, with a drill; `tests/lab/test_alarms_month.py` lets a month pass."""
    assert watch(PLAN, region, 3) == {}


@pytest.mark.parametrize("datapoints", [1, 2])
def test_the_longest_way_to_a_notification_is_under_fifteen_minutes(datapoints: int) -> None:
    asked = plan(notify=Notify(datapoints=datapoints))
    sums = {alarm.name: alarm.told_after(asked) for alarm in ALARMS}
    assert {name for name, after in sums.items() if after >= TOLD_WITHIN} == set()
    assert max(sums.values()) == 14 * MINUTE


def everything(region: str) -> list[tuple[alarms.Alarm, Subject]]:
    return list(alarms.of_cell(PLAN, region, FUNCTIONS, MACHINES))


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_every_description_tells_a_woken_person_what_to_do_where(region: str) -> None:
    for alarm, subject in everything(region):
        lines = alarm.description(subject).splitlines()
        assert [line.partition(":")[0] for line in lines[1:]] == ["Since", "Means", "Do", "Read"]
        assert lines[0].startswith(subject.name or region) or region in lines[0]
        assert lines[-1] == f"Read: docs/operations.md#{alarm.name}"
        text = "\n".join(lines)
        assert len(text) <= LONGEST_DESCRIPTION
        assert "{" not in text


def test_a_description_has_the_plans_own_figures() -> None:
    asked = plan(copies=Copies(late_after=timedelta(hours=2)))
    described = BY_NAME["copy-late"].description(Subject(asked, AWAY, "shop"))
    assert described.splitlines()[:2] == [
        f"shop: no copy in {AWAY} of a point that should have one.",
        "Since: the value is how old the newest copy's slot is, in seconds; it should be under 8 h",
    ]


def test_each_cell_has_its_own_alarms() -> None:
    names = {region: {alarm.name for alarm, _ in everything(region)} for region in (HOME, AWAY)}
    assert names[AWAY] - names[HOME] == {"copy-late", "copy-waiting", "copies-queue"}
    assert {"snapshot-late", "ledger-silent", "export-late"} <= names[HOME] - names[AWAY]


def test_what_the_plan_does_not_have_is_not_watched() -> None:
    database = {"name": "shop", "instance": "i", "secret": "s", "ledger": "off"}
    asked = plan(database=[database], exports={"schedule": "off"})
    names = {alarm.name for alarm, _ in alarms.of_cell(asked, HOME, {}, ())}
    assert not {name for name in names if name.startswith(("ledger", "export", "function", "machine"))}


def test_a_metric_that_an_alarm_looks_at_is_published_in_the_very_dimensions() -> None:
    for region in (HOME, AWAY):
        seen = look(region, X)
        published = measure(seen, PLAN)
        there = {(one.name, frozenset(({"Suffix": "lab"} | one.dimensions).items())) for one in published}
        elsewhere = {"PointsDeletedForRoom", "InstancesReaped", "ReapsFailed"}
        for alarm, subject in everything(region):
            if alarm.watched and alarm.metrics[0] not in elsewhere:
                assert (alarm.metrics[0], frozenset(alarm.about(subject).items())) in there, alarm.name


def named(kind: str, database: str) -> str:
    return f"{kind}/{database}" if database else kind


def test_a_cell_says_whether_it_could_recover() -> None:
    ((name, rule),) = alarms.recoverable(PLAN, HOME, named)
    assert name == "unrecoverable"
    assert rule == (
        '(ALARM("snapshot-late/shop") AND ALARM("restorable-late/shop")) OR (ALARM("drill-failed/shop"))'
        ' OR ALARM("key-unusable") OR ALARM("watch-silent")'
    )
    ((_, rule),) = alarms.recoverable(PLAN, AWAY, named)
    assert rule.startswith('(ALARM("copy-late/shop")) OR')


def test_many_databases_are_more_alarms_than_one_rule_takes() -> None:
    databases = [{"name": f"d{n}", "instance": f"i{n}", "secret": "s"} for n in range(70)]
    made = alarms.recoverable(plan(database=databases), HOME, named)
    assert [name for name, _ in made] == [
        "unrecoverable-1",
        "unrecoverable-2",
        "unrecoverable-3",
        "unrecoverable",
    ]
    assert all(rule.count("ALARM(") <= alarms.MOST_CHILDREN for _, rule in made)
    assert made[-1][1].startswith('ALARM("unrecoverable-1") OR ALARM("unrecoverable-2") OR')
    assert sum("d69" in rule for _, rule in made) == 1
