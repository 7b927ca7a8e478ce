"""A look finds what the store and KMS hold, remembers what will not change, and names what nobody answers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from pgdrill import ledger
from pgdrill.aws.export_tasks import ExportTask
from pgdrill.aws.keys import Keys
from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Quota
from pgdrill.cell import Cell
from pgdrill.errors import Broken, NotRunnable, Unavailable
from pgdrill.exporting import exports
from pgdrill.exporting.conclusion import Conclusion
from pgdrill.model import Beat, Damage, Finding, Lease, Verdict
from pgdrill.plan import Plan
from pgdrill.points.inventory import Inventory
from pgdrill.watching.ages import measure
from pgdrill.watching.look import Asked, look
from pgdrill.watching.sighting import Archived, Ended, Running, Sighting, Watched
from tests.unit import cells
from tests.unit.instances import instance
from tests.unit.memory import Memory
from tests.unit.plans import SMALL, plan
from tests.unit.snapshots import AWAY, HOME

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLAN = plan()
SECOND = {"name": "crm", "instance": "crm-production", "secret": "pgdrill/crm"}


class Described:
    """KMS, as far as it is asked: states by key, or what asking ends in."""

    def __init__(self, **states: Any) -> None:
        self.asked: list[str] = []
        self._states = states

    def state(self, key: str) -> str:
        self.asked.append(key)
        state = self._states.get(key.rpartition("/")[2], "Enabled")
        if isinstance(state, Exception):
            raise state
        return str(state)


class Counted(Memory):
    """A bucket that counts what it is asked, and refuses what a test says."""

    def __init__(self, refused: str = "nothing") -> None:
        super().__init__()
        self.got: list[str] = []
        self.written: list[str] = []
        self._mute = refused

    def get(self, key: str) -> bytes | None:
        self.got.append(key)
        return super().get(key)

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:
        self.written.append(key)
        super().put(key, body, content_type=content_type)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        if prefix.startswith(self._mute):
            raise Unavailable(f"cannot list {prefix!r}", hint="later")
        return super().keys(prefix, after)


def cell(store: Memory, which: Plan = PLAN, *, dr: bool = False, keys: Described | None = None) -> Cell:
    return replace(cells.cell(which, store, dr=dr)[0], keys=cast("Keys", keys or Described()))


def own(region: str) -> Inventory:
    return Inventory(region=region, suffix="lab", made_at=NOW, quota=Quota(used=0, limit=100))


def looked(where: Cell, now: datetime = NOW, *instances: Instance, asked: Asked | None = None) -> Sighting:
    return look(where, own(where.place.region), instances, asked or Asked(), now)


def one(where: Cell, now: datetime = NOW, *instances: Instance) -> Watched:
    (watched,) = looked(where, now, *instances).databases
    return watched


# Since when -------------------------------------------------------------------------------------------------


def test_a_cell_is_watched_since_its_first_look_and_a_new_database_since_its_own() -> None:
    store = Memory()
    assert looked(cell(store), NOW).since == NOW
    more = Plan.model_validate(SMALL | {"database": [*SMALL["database"], SECOND]})
    later = looked(cell(store, more), NOW + DAY)
    assert later.since == NOW
    assert {watched.database: watched.since for watched in later.databases} == {
        "shop": NOW,
        "crm": NOW + DAY,
    }


def test_nothing_is_written_where_nothing_is_new() -> None:
    store = Counted()
    looked(cell(store))
    looked(cell(store), NOW + 5 * MINUTE)
    assert store.written == [f"watch/{HOME}.json"]


def test_what_cannot_be_remembered_does_not_begin_anew_in_silence() -> None:
    store = Memory()
    store.put(f"watch/{HOME}.json", b"{}")
    with pytest.raises(Broken) as refused:
        looked(cell(store))
    assert refused.value.message == (
        f"'watch/{HOME}.json' cannot be read, so nobody knows since when this cell is watched"
    )


# Drills -----------------------------------------------------------------------------------------------------


def point(recovers_to: datetime, kind: str = "snapshot", region: str = HOME) -> dict[str, Any]:
    about = {"region": region, "kind": kind, "recovers_to": recovers_to.isoformat()}
    return about | {"a_key_of": "another version"}


def drill(began: datetime, **changes: Any) -> dict[str, Any]:
    """Return the state of a drill that passed: asked for a minute after it began, answering 20 minutes later."""
    stages = {"requested": began + MINUTE, "first_query": began + 21 * MINUTE}
    return {
        "id": f"{began:%Y%m%dt%H%M%S}000z-shop",
        "next": "done",
        "started_at": began.isoformat(),
        "point": point(began),
        "stages": {name: moment.isoformat() for name, moment in stages.items()},
        "verdict": "passed",
        "evidence_sha256": "0" * 64,
    } | changes


def keep(store: Memory, *drills: dict[str, Any]) -> None:
    for state in drills:
        store.put(f"drills/shop/{state['id']}/drill.json", json.dumps(state).encode())
        store.put(f"drills/shop/{state['id']}/facts/rows.json", b"not read")


def temporary(state: dict[str, Any]) -> Instance:
    name = "pgdrill-lab-drill-shop"
    lease = Lease(instance=name, drill=state["id"], database="shop", expires_at=NOW)
    return instance(id=name, tags=lease.tags())


def test_a_drill_that_passed_is_known_by_when_it_began_and_what_it_took() -> None:
    keep(store := Memory(), drill(NOW - DAY))
    watched = one(cell(store))
    assert (watched.passed_at, watched.running) == (NOW - DAY, None)
    assert watched.ended == Ended(drill=drill(NOW - DAY)["id"], verdict=Verdict.PASSED, rto=1200.0)


def test_one_that_failed_does_not_hide_when_one_passed() -> None:
    failed = drill(NOW - DAY, verdict="failed", stages={})
    keep(store := Memory(), drill(NOW - 8 * DAY), failed)
    watched = one(cell(store))
    assert watched.passed_at == NOW - 8 * DAY
    assert watched.ended == Ended(drill=failed["id"], verdict=Verdict.FAILED)


def test_a_verdict_without_evidence_is_no_pass() -> None:
    keep(store := Memory(), drill(NOW - DAY, evidence_sha256=""))
    assert one(cell(store)).passed_at is None


PENDING: dict[str, Any] = {"verdict": None, "evidence_sha256": "", "stages": {}}
ASKED = PENDING | {"stages": {"requested": (NOW - HOUR).isoformat()}}
NEWEST, OLDEST = NOW - 3 * DAY, NOW - 30 * DAY


@pytest.mark.parametrize(
    ("following", "failed"),
    [
        ([], 1),
        ([{"point": point(OLDEST)}], 1),
        ([{"point": point(OLDEST)}, {"point": point(NOW, "pitr")}], 1),
        ([{"point": point(NOW)} | PENDING], 1),
        ([{"point": point(NOW), "evidence_sha256": ""}], 1),
        ([{"point": point(NOW), "verdict": "inconclusive"}], 1),
        ([{"point": point(OLDEST), "verdict": "failed"}, {"point": point(OLDEST)}], 1),
        ([{"point": point(OLDEST, "pitr"), "verdict": "failed"}], 2),
        ([{"point": point(NEWEST)}], 0),
        ([{"point": point(NOW)}], 0),
        ([{"point": point(NOW)}, {"point": point(OLDEST, "pitr"), "verdict": "failed"}], 1),
    ],
)
@pytest.mark.parametrize("settled", [True, False])
def test_a_point_that_failed_stays_so_until_one_as_new_of_its_kind_passes(
    following: list[dict[str, Any]], failed: int, *, settled: bool
) -> None:
    """An older one that passes, as the alarm itself has it drilled and the rotation does, mends nothing."""
    began = NOW - 2 * DAY if settled else NOW - HOUR
    keep(store := Memory(), drill(began, verdict="failed", point=point(NEWEST)))
    assert one(cell(store)).failed == 1
    keep(store, *(drill(began + MINUTE * (1 + n), **changes) for n, changes in enumerate(following)))
    assert [one(cell(store), NOW + MINUTE * n).failed for n in range(2)] == [failed, failed]


@pytest.mark.parametrize(
    ("state", "running"),
    [
        (drill(NOW - HOUR, next="restore", **PENDING), {}),
        (drill(NOW - HOUR, next="observe", **ASKED), {"requested_at": NOW - HOUR}),
        (drill(NOW - HOUR, next="destroy", verdict="failed", stages=ASKED["stages"]), {}),
        (
            drill(NOW - HOUR, next="examine", verdict=None),
            {"requested_at": NOW - 59 * MINUTE, "queried_at": NOW - 39 * MINUTE},
        ),
    ],
    ids=["chosen", "waiting", "judged", "examining"],
)
def test_a_drill_runs_until_nothing_is_left_of_it(state: dict[str, Any], running: dict[str, Any]) -> None:
    keep(store := Memory(), state)
    watched = one(cell(store), NOW, temporary(state))
    assert watched.running == Running(drill=state["id"], started_at=NOW - HOUR, **running)
    assert (watched.ended is not None) == (state["verdict"] is not None)


def test_a_drill_is_stuck_as_long_as_it_has_its_instance_and_then_it_proved_nothing() -> None:
    stuck = drill(NOW - 7 * HOUR, next="examine", **ASKED)
    keep(store := Memory(), stuck)
    hung = one(cell(store), NOW, temporary(stuck))
    assert hung.running is not None
    assert hung.ended is None
    dead = one(cell(store), NOW + MINUTE)
    assert dead.running is None
    assert dead.ended == Ended(drill=stuck["id"], verdict=Verdict.INCONCLUSIVE)


def test_a_drill_that_found_the_place_taken_says_nothing() -> None:
    running = drill(NOW - 2 * HOUR, next="examine", verdict=None)
    refused = drill(NOW - HOUR, next="restore", **PENDING)
    keep(store := Memory(), running, refused)
    watched = one(cell(store), NOW, temporary(running))
    assert watched.running is not None
    assert watched.running.drill == running["id"]
    assert one(cell(store), NOW + 6 * HOUR, temporary(running)).ended is None


@pytest.mark.parametrize(
    "changes", [{"point": point(NOW, region=AWAY)}, {"purpose": "recovery"}, {"point": None, **PENDING}]
)
@pytest.mark.parametrize("following", ["done", "examine"])
def test_what_is_no_drill_of_this_cell_is_not_seen(changes: dict[str, Any], following: str) -> None:
    keep(store := Memory(), drill(NOW - HOUR, next=following, **changes))
    watched = one(cell(store))
    assert (watched.passed_at, watched.ended, watched.running) == (None, None, None)


def test_drills_that_are_settled_are_not_read_again() -> None:
    past = [drill(NOW - days * DAY) for days in (3, 2, 1)]
    keep(store := Counted(), *past)
    first = one(cell(store))
    store.got.clear()
    assert one(cell(store), NOW + MINUTE) == first
    assert [key for key in store.got if key.startswith("drills/")] == []


def test_a_drill_that_is_stored_after_a_younger_one_is_seen() -> None:
    """The other cell's may come along while this one's is still being chosen."""
    theirs = drill(NOW - 10 * MINUTE, point=point(NOW - DAY, region=AWAY))
    keep(store := Memory(), theirs)
    assert one(cell(store)).running is None
    keep(store, drill(NOW - 11 * MINUTE, next="restore", **PENDING))
    assert one(cell(store), NOW + MINUTE).running is not None


# The rest of a database -------------------------------------------------------------------------------------


def test_skipped_drills_are_counted_since_the_last_that_ran() -> None:
    keep(store := Memory(), drill(NOW - 10 * DAY))
    for days in (17, 3, 1):
        store.put(f"skipped/shop/{NOW - days * DAY:%Y%m%dT%H%M%SZ}.json", b"not read")
    assert one(cell(store)).skipped == 2


def beat(store: Memory, sequence: int, at: datetime, digest: str) -> None:
    made = Beat(sequence=sequence, beat_at=at, done_at=at, digest=digest * 64)
    store.put(ledger.witness_key("shop", made), b"")


def test_numbers_of_the_ledger_that_were_beaten_again_are_shown_for_a_day() -> None:
    store = Memory()
    for sequence in (5, 6, 7):
        beat(store, sequence, NOW - HOUR + sequence * MINUTE, "a")
    assert one(cell(store)).forks == 0
    beat(store, 6, NOW - 50 * MINUTE, "b")
    assert one(cell(store)).forks == 1
    assert one(cell(store), NOW + DAY).forks == 0
    assert one(cell(store, dr=True)).forks is None


def concluded(store: Memory, point: str, verdict: Verdict, missing: int = 0) -> None:
    where, database = cell(store), PLAN.databases[0]
    damage = tuple(Damage(database="shop", object=f"t{n}", what="skipped") for n in range(missing))
    finding = Finding(check="export", verdict=verdict, reason="why", damage=damage[:1], damaged=missing)
    name = f"pgdrill-lab-shop-{point}"
    task = ExportTask(id=name, source=f"a:b:c:d:e:snapshot:{name}", status="COMPLETE", bucket="b")
    exports._renew(
        where,
        database,
        Conclusion(task=task, database="shop", concluded_at=NOW, finding=finding),
    )


def test_the_newest_export_says_what_is_missing_and_the_newest_that_passed_since_when() -> None:
    store = Memory()
    assert one(cell(store)).archived == Archived()
    slot = datetime(2026, 11, 20, 1, tzinfo=UTC)
    concluded(store, "2026-11-20t01z", Verdict.PASSED)
    assert one(cell(store)).archived == Archived(passed_of=slot)
    concluded(store, "2026-11-21t01z", Verdict.FAILED, missing=30)
    assert one(cell(store)).archived == Archived(passed_of=slot, missing=30)
    concluded(store, "2026-11-19t01z", Verdict.PASSED)
    assert one(cell(store)).archived == Archived(passed_of=slot, missing=30)
    concluded(store, "2026-11-22t01z", Verdict.PASSED)
    assert one(cell(store)).archived == Archived(passed_of=slot + 2 * DAY)


def test_where_nothing_is_exported_nothing_is_said_of_it() -> None:
    assert one(cell(Memory(), plan(exports={"schedule": "off"}))).archived is None
    assert one(cell(Memory(), dr=True)).archived is None


def test_production_is_seen_where_it_is() -> None:
    production = instance()
    assert one(cell(Memory()), NOW, production, instance(id="another")).instance == production
    assert one(cell(Memory())).instance is None
    assert one(cell(Memory(), dr=True), NOW, production).instance is None


# The cell ---------------------------------------------------------------------------------------------------


def test_keys_that_cannot_be_used_are_named_and_those_that_nobody_tells_of_are_unseen() -> None:
    signing = SMALL["primary"] | {"signing_key": "alias/signing"}
    keys = Described(
        mac="PendingDeletion",
        storage="not there",
        signing=NotRunnable("key 'alias/signing' cannot be used: AccessDeniedException", hint="look"),
        k=Unavailable("key 'k' cannot be used: ThrottlingException", hint="later"),
    )
    where = cell(Memory(), plan(primary=signing), keys=keys)
    seen = looked(where, NOW, instance(), instance(id="another", kms_key="another"))
    assert seen.unusable_keys == ("key 'alias/storage' is not there", "key 'alias/mac' is PendingDeletion")
    assert seen.unseen == {
        "key alias/signing: key 'alias/signing' cannot be used: AccessDeniedException",
        "key k: key 'k' cannot be used: ThrottlingException",
    }
    assert keys.asked == ["alias/storage", "alias/mac", "alias/signing", "k"]


def test_each_key_is_asked_about_once() -> None:
    more = SMALL["primary"] | {"signing_key": "alias/signing", "messages_key": "alias/messages"}
    keys = Described()
    looked(cell(Memory(), plan(primary=more), keys=keys), NOW, instance(kms_key="alias/storage"))
    assert keys.asked == ["alias/storage", "alias/mac", "alias/signing", "alias/messages"]


def test_what_the_state_machine_asked_is_taken_over() -> None:
    asked = Asked(secrets=("pgdrill/shop",), schedules=("take",), unseen=("the schedules",))
    seen = looked(cell(Memory()), asked=asked)
    assert (seen.unusable_secrets, seen.disabled_schedules) == (("pgdrill/shop",), ("take",))
    assert seen.unseen == {"the schedules"}


@pytest.mark.parametrize(
    ("mute", "hidden"),
    [
        ("drills/shop/", {"DrillAge", "DrilledPointsFailed", "LastDrillInconclusive", "DrillsSkippedInTurn"}),
        ("skipped/shop/", {"DrillsSkippedInTurn"}),
        ("witness/shop/", {"LedgerForks"}),
    ],
)
def test_what_of_a_database_cannot_be_seen_hides_nothing_else(mute: str, hidden: set[str]) -> None:
    more = Plan.model_validate(SMALL | {"database": [*SMALL["database"], SECOND]})
    well = told(looked(cell(Counted(), more)), more)
    looked(cell(store := Counted(mute), more))
    store.objects[f"canary/{HOME}.json"] = json.dumps({"due_at": NOW.isoformat()}).encode()
    seen = looked(cell(store, more))
    missing = hidden | ({"DrillRunning", "RecoveryRunning"} if "DrillAge" in hidden else set())
    assert well - told(seen, more) == {(name, "shop") for name in missing}
    assert seen.unseen == {f"database shop: cannot list {mute!r}"}
    assert seen.canary_at == NOW


def told(seen: Sighting, plan_: Plan) -> set[tuple[str, str]]:
    return {(metric.name, metric.dimensions.get("Database", "")) for metric in measure(seen, plan_)}


def test_what_was_learnt_of_drills_outlives_a_look_that_saw_none() -> None:
    keep(store := Counted(), drill(NOW - DAY))
    assert one(cell(store)).passed_at == NOW - DAY
    store._mute = "drills/"
    assert not one(cell(store)).drilled
    store._mute = "nothing"
    assert one(cell(store)).passed_at == NOW - DAY


@pytest.mark.parametrize(
    ("key", "unseen"),
    [
        ("exports/_newest/shop.json", "what is known of the exports of 'shop' cannot be read"),
        ("witness/shop/2026/11/22/x", "'witness/shop/2026/11/22/x' is not a key of the witness"),
    ],
)
def test_what_another_left_there_is_unseen(key: str, unseen: str) -> None:
    store = Memory()
    store.put(key, b"[]")
    assert looked(cell(store)).unseen == {f"database shop: {unseen}"}


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_canary_that_cannot_be_read_is_unseen(body: bytes) -> None:
    store = Memory()
    store.put(f"canary/{HOME}.json", body)
    seen = looked(cell(store))
    assert seen.canary_at is None
    assert seen.unseen == {f"the canary: 'canary/{HOME}.json' cannot be read"}


def test_a_drill_that_cannot_be_read_is_unseen_and_hides_no_other() -> None:
    broken = f"{NOW - 2 * DAY:%Y%m%dt%H%M%S}000z-shop"
    keep(store := Memory(), drill(NOW - 3 * DAY), drill(NOW - HOUR, verdict="failed"))
    store.put(f"drills/shop/{broken}/drill.json", b"{}")
    seen = looked(cell(store))
    (watched,) = seen.databases
    assert (watched.passed_at, watched.failed) == (NOW - 3 * DAY, 1)
    assert seen.unseen == {
        f"drill 'drills/shop/{broken}/drill.json' cannot be read: another pgdrill wrote it"
    }
    assert looked(cell(store), NOW + MINUTE).unseen == seen.unseen
    assert looked(cell(store), NOW + 6 * HOUR).unseen == seen.unseen
    assert looked(cell(store), NOW + 7 * HOUR).unseen == set()
