"""What sets off each alarm, as it happens in a deployment that is well otherwise."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pgdrill import slots
from pgdrill.aws.snapshots import Mark, Quota, Snapshot
from pgdrill.model import Verdict
from pgdrill.plan import Plan
from pgdrill.watching.alarms import BY_NAME
from pgdrill.watching.sighting import Archived, Ended, Running, Sighting
from tests.unit.snapshots import AWAY, HOME, snapshot
from tests.unit.watching.watchman import Watchman
from tests.unit.watching.world import DAY, FIRST, HOUR, MINUTE, PLAN, Change, look, same

SLOT = FIRST + 19 * DAY + 13 * HOUR
X = SLOT + 2 * HOUR + timedelta(seconds=1)
WATCH = 5 * MINUTE
LAMBDA, STATES = "AWS/Lambda", "AWS/States"
# When in its five minutes the watch looks.
PHASES = tuple(timedelta(seconds=seconds) for seconds in (0, 150, 254))


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
    Case("restorable-late", instance(restorable_to=X), X + 5 * MINUTE),
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
    Case("drill-failed", watching(failed=1)),
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
    Case("schedule-failing", put=("AWS/Scheduler", "TargetErrorCount", {"ScheduleGroup": "pgdrill-lab"}, 1)),
    Case(
        "undelivered",
        put=(
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": "pgdrill-lab-dead-letters"},
            1,
        ),
    ),
    *(
        Case(
            f"{topic}-unheard",
            put=("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": f"pgdrill-lab-{topic}"}, 1),
        )
        for topic in ("backups", "drills")
    ),
    Case("other-cell-silent", silent, X + WATCH, region=AWAY),
    Case("storage-dear", seeing(dollars=501.0)),
    Case(
        "canary-missing",
        seeing(canary_at=FIRST + 19 * DAY + 9 * HOUR),
        FIRST + 20 * DAY + 9 * HOUR,
        FIRST + 20 * DAY + 9 * HOUR,
    ),
    Case("unseen", seeing(unseen=frozenset({"the schedules"}))),
    Case("watch-silent", counted=SLOT, begins=SLOT, looks=False),
)


def counted(case: Case, phase: timedelta) -> datetime:
    """Return the moment that counts; a look that is missing is one that would have been made then."""
    return case.counted + (timedelta(0) if case.looks else phase)


def happen(case: Case, phase: timedelta, plan: Plan = PLAN) -> Watchman:
    """Let all be well for half an hour before what counts, then the case, until it must have been told."""
    man = Watchman(plan, case.region, case.counted - 30 * MINUTE)
    until = counted(case, phase) + BY_NAME[case.alarm].told_after(plan)
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


def fires(case: Case, phase: timedelta, plan: Plan = PLAN) -> tuple[dict[str, datetime], timedelta]:
    """Return the kinds of alarm that a case sets off, with when, and how long after the moment that counts its own is."""
    man = happen(case, phase, plan)
    fired: dict[str, datetime] = {}
    for name, at in man.fired.items():
        fired.setdefault(name.partition("/")[0], at)
    never = counted(case, phase) + DAY
    return fired, fired.get(case.alarm, never) - counted(case, phase)
