"""What is done to a deployed system so that each alarm speaks: as a person, an outage or a broken part would do it.

Told in chapters, in the order of time: what one leaves behind the next one finds. Data and deeds; `test_alarms.py`
has them done.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill.lab.deploy import deploy
from tests.integration.deployed import until
from tests.integration.scene import DAY, EVERY, HOUR, MINUTE, Scene

SECOND = timedelta(seconds=1)
# The lab's quota of manual snapshots; the alarm wants a day's points to be free, four.
QUOTA = 20
REFUSED = {"code": "KMSKeyNotAccessibleFault", "message": "the source snapshot KMS key is not enabled"}
HANGING = {"stuck": [{"identifier": "*-drill-*", "status": "creating"}]}


def settings() -> dict[str, Any]:
    """Return what is deployed: as ever, with a freeze of drills from next week on."""
    begins = datetime.now(UTC) + 9 * DAY
    freeze = {
        "begins": begins.isoformat(),
        "ends": (begins + 30 * DAY).isoformat(),
        "reason": "a freeze of changes",
    }
    return deploy.settings() | {"drill": {"freeze": [freeze]}}


@dataclass(frozen=True)
class Cause:
    """What makes an alarm speak: in words, for docs/alerting.md.

    `of` is the alarm's database, function or machine. `metric` says that the alarm's metric alone was published, and why nothing else was done.
    """

    alarm: str
    words: str
    of: str = ""
    cell: str = "primary"
    metric: str = ""

    @property
    def name(self) -> str:
        return f"{self.alarm}-{self.of}" if self.of else self.alarm


@dataclass(frozen=True)
class Chapter:
    """`happens` returns from when the minutes of its alarms count. `also` are alarms that speak besides, by cell.

    Of cells that are `apart` nobody is asked what else speaks there: in silence every alarm follows the watch's.
    `lasts` is how long is looked at. `over` undoes it; then those of `heals` tell that all is well again.
    """

    title: str
    happens: Callable[[Scene], datetime]
    causes: tuple[Cause, ...]
    also: frozenset[tuple[str, str]] = frozenset()
    lasts: timedelta = 11 * MINUTE
    apart: frozenset[str] = frozenset()
    over: Callable[[Scene], None] | None = None
    heals: frozenset[tuple[str, str]] = frozenset()


# What people do -----------------------------------------------------------------------------------------------


def meddled(scene: Scene) -> datetime:
    """Everything that somebody may do to it in a bad quarter of an hour."""
    rds, kms = scene.primary.client("rds"), scene.primary.client("kms")
    rds.modify_db_instance(
        DBInstanceIdentifier=scene.instance, BackupRetentionPeriod=3, ApplyImmediately=True
    )
    kms.disable_key(KeyId=scene.primary["MacKeyArn"])
    scene.primary.client("secretsmanager").delete_secret(SecretId="shop/pgdrill", RecoveryWindowInDays=7)
    schedule(scene, "DISABLED")
    scene.dr.client("iam").put_role_policy(
        RoleName=watching_role(scene),
        PolicyName="mistake",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*/canary/*"}
                ],
            }
        ),
    )
    filled(scene, 3)
    return scene.now


def mended(scene: Scene) -> None:
    rds, kms = scene.primary.client("rds"), scene.primary.client("kms")
    rds.modify_db_instance(
        DBInstanceIdentifier=scene.instance, BackupRetentionPeriod=7, ApplyImmediately=True
    )
    kms.enable_key(KeyId=scene.primary["MacKeyArn"])
    scene.primary.client("secretsmanager").restore_secret(SecretId="shop/pgdrill")
    schedule(scene, "ENABLED")
    scene.dr.client("iam").delete_role_policy(RoleName=watching_role(scene), PolicyName="mistake")
    emptied(scene)


def watching_role(scene: Scene) -> str:
    return scene.dr["WatchRoleArn"].rpartition("/")[2]


def schedule(scene: Scene, state: str) -> None:
    scheduler, name = scene.primary.client("scheduler"), scene.name("retain")
    found = scheduler.get_schedule(Name=name, GroupName=scene.primary["ScheduleGroup"])
    kept = {
        key: found[key]
        for key in ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target", "KmsKeyArn")
        if key in found
    }
    scheduler.update_schedule(**kept, State=state)


def foreign(scene: Scene) -> list[str]:
    found = scene.primary.pages("rds", "describe_db_snapshots", "DBSnapshots", SnapshotType="manual")
    return [
        one["DBSnapshotIdentifier"] for one in found if one["DBSnapshotIdentifier"].startswith("somebodys-")
    ]


def filled(scene: Scene, free: int) -> None:
    """Let somebody else take snapshots until so many more fit."""
    rds = scene.primary.client("rds")
    there = list(scene.primary.pages("rds", "describe_db_snapshots", "DBSnapshots", SnapshotType="manual"))
    names = [f"somebodys-{n}-{scene.now:%H%M}" for n in range(QUOTA - free - len(there))]
    for name in names:
        available(scene)
        rds.create_db_snapshot(DBSnapshotIdentifier=name, DBInstanceIdentifier=scene.instance)
    available(scene)


def described(scene: Scene) -> Any:
    rds = scene.primary.client("rds")
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=scene.instance)["DBInstances"]
    return found


def available(scene: Scene) -> None:
    until(lambda: bool(described(scene)["DBInstanceStatus"] == "available"))


def emptied(scene: Scene) -> None:
    available(scene)
    for name in foreign(scene):
        scene.primary.client("rds").delete_db_snapshot(DBSnapshotIdentifier=name)


def locked(scene: Scene) -> datetime:
    """Nothing that is stored can be read any more; what tells of it does not rest on the same key."""
    scene.primary.client("kms").disable_key(KeyId=scene.primary["StorageKeyArn"])
    return scene.now


def unlocked(scene: Scene) -> None:
    scene.primary.client("kms").enable_key(KeyId=scene.primary["StorageKeyArn"])


# What breaks --------------------------------------------------------------------------------------------------


def broken(scene: Scene) -> datetime:
    """A function that nobody lets run, and one that RDS refuses again and again."""
    functions = scene.primary.client("lambda")
    name = scene.name("export")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    scene.fire("export")
    functions.delete_function_concurrency(FunctionName=name)
    refusal = {"action": "DescribeDBInstances", "code": "AccessDenied", "message": "nobody may", "times": 6}
    scene.lab.door.set_faults({"failures": [refusal]})
    for _ in range(6):
        scene.fire("reap")
    scene.lab.door.clear_faults()
    return scene.now


def slow(scene: Scene) -> datetime:
    scene.primary.client("cloudwatch").put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "Duration",
                "Dimensions": [{"Name": "FunctionName", "Value": scene.name("retain")}],
                "Value": 58_000,
                "Unit": "Milliseconds",
            }
        ],
    )
    stem = f"pgdrill-{scene.deployment.suffix}"
    for space, name, about in (
        ("AWS/Scheduler", "TargetErrorCount", {"Name": "ScheduleGroup", "Value": stem}),
        (
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"Name": "QueueName", "Value": f"{stem}-dead-letters"},
        ),
    ):
        scene.primary.client("cloudwatch").put_metric_data(
            Namespace=space, MetricData=[{"MetricName": name, "Dimensions": [about], "Value": 1}]
        )
    return scene.now


def rewound(scene: Scene) -> datetime:
    """Somebody puts production back to where it was some beats ago."""
    for _ in range(3):
        scene.fire("beat")
    scene.sql(
        "postgres",
        "DELETE FROM pgdrill.ledger WHERE sequence > (SELECT max(sequence) - 2 FROM pgdrill.ledger)",
    )
    scene.fire("beat")
    return scene.now


def lost_rows(scene: Scene) -> datetime:
    """A backup that is damaged, and an export that leaves out a table."""
    point = scene.take()
    scene.fire("export")
    until(lambda: all(task["Status"] == "COMPLETE" for task in exports(scene)))
    scene.fire("export")
    assert exports(scene)
    scene.lab.door.sabotage(point, "zeroed-file", region=scene.primary.region, database="shop")
    scene.ended(scene.start("Drill", drill(scene, point)))
    return scene.now


def exports(scene: Scene) -> list[Any]:
    return list(scene.primary.pages("rds", "describe_export_tasks", "ExportTasks"))


def drill(scene: Scene, point: str = "latest") -> dict[str, str]:
    return {"due_at": f"{scene.now:%Y-%m-%dT%H:%M:%SZ}", "database": "shop", "wanted": point}


# Drills -------------------------------------------------------------------------------------------------------


def hangs(scene: Scene) -> datetime:
    """A restore that does not become available."""
    scene.take()
    scene.lab.door.set_faults(HANGING)
    scene.hanging = True
    scene.start("Drill", drill(scene))
    until(lambda: scene.temporary() == "creating")
    objective = scene.now + 4 * HOUR
    scene.jump(objective - 4 * MINUTE)
    scene.passes(3 * MINUTE)
    return objective


def comes(scene: Scene) -> datetime:
    """It does, hours late."""
    scene.lab.door.clear_faults()
    scene.hanging = False
    scene.quiet()
    return scene.now


def deleted_meanwhile(scene: Scene) -> datetime:
    scene.take()
    execution = scene.start("Drill", drill(scene))
    until(lambda: scene.temporary() == "available")
    rds = scene.primary.client("rds")

    def deleted() -> bool:
        """RDS refuses while the drill's password is being set."""
        try:
            rds.delete_db_instance(
                DBInstanceIdentifier=scene.plan.temporary(scene.plan.databases[0]), SkipFinalSnapshot=True
            )
        except rds.exceptions.InvalidDBInstanceStateFault:
            return False
        return True

    until(deleted)
    scene.ended(execution)
    return scene.now


def stopped(scene: Scene) -> datetime:
    """A drill that somebody stops on its way."""
    scene.take()
    scene.lab.door.set_faults(HANGING)
    execution = scene.start("Drill", drill(scene))
    until(lambda: scene.temporary() == "creating")
    scene.primary.client("stepfunctions").stop_execution(executionArn=execution)
    scene.notes["stopped"] = scene.now
    return scene.now


def left(scene: Scene) -> datetime:
    """Its instance stays, until its lease is over."""
    lease = scene.notes["stopped"] + scene.plan.drill.lease
    scene.jump(lease - 4 * MINUTE)
    scene.passes(3 * MINUTE)
    return lease


def reap_refused(scene: Scene) -> datetime:
    scene.lab.door.set_faults(
        {
            "stuck": [],
            "failures": [{"action": "DeleteDBInstance", "code": "InvalidDBInstanceState", "times": 50}],
        }
    )
    scene.fire("reap")
    scene.lab.door.clear_faults()
    return scene.now


def reaped(scene: Scene) -> datetime:
    scene.fire("reap")
    until(lambda: scene.temporary() == "")
    return scene.now


def unheard(scene: Scene) -> datetime:
    """A queue that is told everything is deleted; the next that is told is the canary."""
    sns, sqs = scene.primary.client("sns"), scene.primary.client("sqs")
    url = sqs.create_queue(QueueName="deskbell")["QueueUrl"]
    asked = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
    queue = sqs.get_queue_attributes(**asked)["Attributes"]["QueueArn"]
    for topic in topics(scene):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    sqs.delete_queue(QueueUrl=url)
    scene.fly()
    return scene.now


def unsubscribed(scene: Scene) -> None:
    sns = scene.primary.client("sns")
    for topic in topics(scene):
        for one in scene.primary.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic):
            if one["Endpoint"].endswith(":deskbell"):
                sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])


def topics(scene: Scene) -> list[str]:
    found = scene.primary.client("sns").list_topics()["Topics"]
    return [one["TopicArn"] for one in found if one["TopicArn"].endswith(("-backups", "-drills"))]


# What does not happen -----------------------------------------------------------------------------------------


def nothing_taken(scene: Scene) -> datetime:
    """The schedule of points fires no more."""
    due = scene.slot(1) + scene.plan.objectives.usable_after
    scene.takes = False
    scene.jump(due - 4 * MINUTE)
    scene.passes(3 * MINUTE)
    return due


def taken_again(scene: Scene) -> None:
    scene.takes = True
    scene.take()


def copies_refused(scene: Scene) -> datetime:
    """RDS refuses every copy, since the source's key was disabled; points are taken as ever."""
    scene.lab.door.set_faults({"failures": [REFUSED | {"action": "CopyDBSnapshot", "times": 10_000}]})
    scene.jump(scene.slot(1) + MINUTE)
    late = scene.now + scene.plan.copies.late_after
    scene.jump(late - 4 * MINUTE)
    scene.passes(3 * MINUTE)
    return late


def still_refused(scene: Scene) -> datetime:
    """Two more points wait for their copies."""
    scene.jump(max(scene.now, scene.slot() + MINUTE))
    scene.jump(scene.slot(1) + MINUTE)
    return scene.now


def copied_again(scene: Scene) -> None:
    scene.lab.door.clear_faults()


def watch_withheld(scene: Scene) -> datetime:
    """The watch of the primary cell does not run any more."""
    after = scene.now + 2 * MINUTE
    # Just after an occasion, so that the other cell misses its telling a while after the watch is missed here.
    scene.jump(after + EVERY - (after - datetime(2026, 1, 1, tzinfo=UTC)) % EVERY + MINUTE)
    scene.watched = {"dr"}
    scene.notes["missing"] = scene.now + 5 * MINUTE
    return scene.notes["missing"]


def still_withheld(scene: Scene) -> datetime:
    return scene.notes["missing"]


def stands_still(scene: Scene) -> datetime:
    """Production is stopped: nothing is archived any more."""
    scene.archives = scene.takes = False
    available(scene)
    rds = scene.primary.client("rds")
    rds.stop_db_instance(DBInstanceIdentifier=scene.instance)
    due: datetime = described(scene)["LatestRestorableTime"] + 5 * MINUTE
    scene.jump(due)
    return due


def starts(scene: Scene) -> None:
    scene.primary.client("rds").start_db_instance(DBInstanceIdentifier=scene.instance)
    available(scene)
    scene.archives = scene.takes = True


def full(scene: Scene) -> datetime:
    """Three points of a day, and somebody else's snapshots up to the quota."""
    filled(scene, 0)
    scene.fire("retain")
    return scene.now


def grows(scene: Scene) -> datetime:
    """Somebody orders far too much. It cannot be taken back, so that little comes after it."""
    scene.primary.client("rds").modify_db_instance(
        DBInstanceIdentifier=scene.instance, AllocatedStorage=40_000, ApplyImmediately=True
    )
    until(lambda: bool(described(scene)["AllocatedStorage"] == 40_000))
    return scene.now


def beats_stop(scene: Scene) -> datetime:
    """The beat fires no more. PostgreSQL's clock is not the lab's: from here on no beat is as young as it should be."""
    scene.fire("beat")
    last = scene.now
    scene.passes(2 * MINUTE)
    return last + MINUTE


def canary_withheld(scene: Scene) -> datetime:
    """The canary flies, and a day later it does not."""
    scene.fly()
    due = scene.now + DAY
    scene.flies = False
    scene.jump(due)
    return due


def canary_again(scene: Scene) -> None:
    scene.flies = True
    scene.fly()


def export_withheld(scene: Scene) -> datetime:
    """No export has passed since the watch began to look."""
    due = scene.notes["first"] + DAY + 12 * HOUR
    scene.jump(due - 4 * MINUTE)
    scene.passes(3 * MINUTE)
    return due


def week_passes(scene: Scene) -> datetime:
    """No drill has passed for a week."""
    scene.jump(scene.now + 7 * DAY + 6 * HOUR)
    return scene.now


def frozen(scene: Scene) -> datetime:
    """Two drills in turn are due in a freeze."""
    for _ in range(2):
        scene.jump(scene.now + DAY)
        scene.fire("drill-shop")
        scene.quiet()
    return scene.now


CHAPTERS = (
    Chapter(
        "the beat stops",
        beats_stop,
        (Cause("ledger-silent", "the beat is not fired any more", "shop"),),
    ),
    Chapter(
        "somebody meddles with it",
        meddled,
        (
            Cause("backups-shortened", "somebody has automated backups kept for 3 days", "shop"),
            Cause("key-unusable", "somebody disables the key that passwords of drills are derived with"),
            Cause("secret-unusable", "somebody deletes the sealing role's secret"),
            Cause("schedule-disabled", "somebody disables the schedule of retention"),
            Cause("unseen", "a policy keeps the watch from the object that the canary leaves", cell="dr"),
            Cause("quota-near", "somebody else's snapshots leave room for three"),
        ),
        over=mended,
        heals=frozenset(
            {
                ("primary", "backups-shortened-shop"),
                ("primary", "key-unusable"),
                ("primary", "secret-unusable"),
                ("primary", "schedule-disabled"),
                ("dr", "unseen"),
                ("primary", "quota-near"),
            }
        ),
    ),
    Chapter(
        "all that is stored is locked",
        locked,
        (Cause("key-unusable", "somebody disables the key that everything but messages is encrypted with"),),
        over=unlocked,
        heals=frozenset({("primary", "key-unusable")}),
    ),
    Chapter(
        "production is put back",
        rewound,
        (Cause("ledger-forked", "the last beats are removed from production, and it beats on", "shop"),),
    ),
    Chapter(
        "a backup is damaged",
        lost_rows,
        (
            Cause("drill-failed", "a table's file in the snapshot is zeroed, and it is drilled", "shop"),
            Cause("export-incomplete", "a table has a column whose name RDS does not export", "shop"),
        ),
    ),
    Chapter(
        "functions fail",
        broken,
        (
            Cause("function-errors", "RDS refuses six calls in a row to the function", "reap"),
            Cause("function-throttled", "somebody reserves no concurrency for the function", "export"),
            Cause("machine-failed", "its function is throttled until the execution gives up", "export"),
        ),
        also=frozenset({("primary", "machine-failed-reap")}),
    ),
    Chapter(
        "a function is slow",
        slow,
        (
            Cause(
                "function-slow",
                "a duration of 58 s is published",
                "retain",
                metric="a minute of waiting shows nothing else; that durations are counted, tests of the lab show",
            ),
            Cause(
                "schedule-failing",
                "a failed start is published",
                metric="the lab counts none of the scheduler's; that it sets aside what it cannot start, its tests show",
            ),
            Cause(
                "undelivered",
                "a message in the queue is published",
                metric="the lab publishes nothing of its queues",
            ),
        ),
    ),
    Chapter(
        "somebody is not told",
        unheard,
        (
            Cause("backups-unheard", "a queue that is subscribed to it is deleted, and the canary flies"),
            Cause("drills-unheard", "a queue that is subscribed to it is deleted, and the canary flies"),
        ),
        over=unsubscribed,
    ),
    Chapter(
        "a restore hangs",
        hangs,
        (
            Cause(
                "recovery-running-long",
                "the drill's instance does not become available for four hours",
                "shop",
            ),
        ),
    ),
    Chapter(
        "it comes hours late",
        comes,
        (
            Cause(
                "recovery-too-slow",
                "the drill's instance becomes available after more than four hours",
                "shop",
            ),
        ),
    ),
    Chapter(
        "its instance is deleted",
        deleted_meanwhile,
        (Cause("drill-inconclusive", "somebody deletes the drill's instance meanwhile", "shop"),),
    ),
    Chapter(
        "somebody stops a drill",
        stopped,
        (Cause("machine-failed", "somebody stops an execution", "drill"),),
    ),
    Chapter(
        "its instance stays",
        left,
        (Cause("drill-stuck", "nothing deletes the instance of a drill that was stopped", "shop"),),
        also=frozenset({("primary", "recovery-running-long-shop")}),
    ),
    Chapter(
        "the reaper is refused",
        reap_refused,
        (Cause("reaper-failed", "RDS refuses to delete the instance of a drill that was stopped", "shop"),),
    ),
    Chapter(
        "the reaper acts",
        reaped,
        (Cause("reaper-acted", "the reaper finds the instance of a drill that was stopped", "shop"),),
    ),
    Chapter(
        "no point is taken",
        nothing_taken,
        (Cause("snapshot-late", "the schedule of points does not fire", "shop"),),
        over=taken_again,
        heals=frozenset({("primary", "snapshot-late-shop")}),
    ),
    Chapter(
        "nothing is exported",
        export_withheld,
        (
            Cause(
                "export-late",
                "no export passes: the schedule does not fire, and the one that there was lacks a table",
                "shop",
            ),
        ),
    ),
    Chapter(
        "no canary comes",
        canary_withheld,
        (Cause("canary-missing", "the schedule of the canary does not fire"),),
        lasts=16 * MINUTE,
        also=frozenset({("dr", "canary-missing")}),
        over=canary_again,
        heals=frozenset({("primary", "canary-missing"), ("dr", "canary-missing")}),
    ),
    Chapter(
        "copies are refused",
        copies_refused,
        (
            Cause("copy-waiting", "RDS refuses the copy of a point for six hours", cell="dr"),
            Cause(
                "copy-late",
                "RDS refuses the copies of a slot and the next, so the newest copy is of the one before",
                "shop",
                cell="dr",
            ),
        ),
    ),
    Chapter(
        "and still are",
        still_refused,
        (Cause("copies-queue", "RDS refuses the copies of two more points", cell="dr"),),
        over=copied_again,
        heals=frozenset({("dr", "copy-waiting"), ("dr", "copy-late-shop"), ("dr", "copies-queue")}),
    ),
    Chapter(
        "production stands still",
        stands_still,
        (Cause("restorable-late", "production is stopped, and nothing is archived", "shop"),),
        lasts=16 * MINUTE,
        over=starts,
        heals=frozenset({("primary", "restorable-late-shop")}),
    ),
    Chapter(
        "there is no room left",
        full,
        (Cause("retention-shortened", "somebody else's snapshots use up the quota, and points go for room"),),
        also=frozenset({("primary", "quota-near")}),
        over=emptied,
        heals=frozenset({("primary", "quota-near")}),
    ),
    Chapter(
        "no drill passes",
        week_passes,
        (Cause("drill-overdue", "no drill passes for a week", "shop"),),
    ),
    Chapter(
        "drills are frozen",
        frozen,
        (Cause("drill-skipped", "two drills are due in a freeze", "shop"),),
    ),
    Chapter(
        "production grows",
        grows,
        (Cause("storage-dear", "somebody gives production two thousand times its storage"),),
    ),
    Chapter(
        "the watch is silent",
        watch_withheld,
        (Cause("watch-silent", "the schedule of the watch does not fire"),),
        lasts=12 * MINUTE,
    ),
    Chapter(
        "the other cell hears nothing",
        still_withheld,
        (
            Cause(
                "other-cell-silent",
                "the other cell's watch, which tells what it has, does not fire",
                cell="dr",
            ),
        ),
        lasts=8 * MINUTE,
        apart=frozenset({"primary"}),
    ),
)
