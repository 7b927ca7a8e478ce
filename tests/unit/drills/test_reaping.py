from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill.drills import reaping
from pgdrill.messages import Reply
from pgdrill.model import Lease
from tests.unit import cells
from tests.unit.aws.test_rds import described
from tests.unit.plans import plan

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
PLAN = plan()


def lease(database: str, *, hours: int) -> Lease:
    return Lease(
        instance=f"pgdrill-lab-drill-{database}",
        drill=f"d-{database}",
        database=database,
        expires_at=NOW + timedelta(hours=hours),
    )


def instance(held: Lease, **changes: Any) -> Any:
    return described(held.tags(), held.instance, **changes)["DBInstances"][0]


def test_only_expired_leases_are_reaped_each_whatever_becomes_of_the_others() -> None:
    cell, rds = cells.cell(PLAN)
    dead, busy, alive, going = (
        lease("dead", hours=0),
        lease("busy", hours=-1),
        lease("alive", hours=1),
        lease("going", hours=-2),
    )
    listed = [
        instance(busy),
        instance(dead),
        instance(alive),
        instance(going, DBInstanceStatus="deleting"),
        instance(lease("x", hours=-1), TagList=[]),
    ]
    rds.add_response("describe_db_instances", {"DBInstances": listed}, {})
    about = {"DBInstanceIdentifier": busy.instance}
    rds.add_response("describe_db_instances", {"DBInstances": [instance(busy)]}, about)
    rds.add_client_error("delete_db_instance", "InvalidDBInstanceState", "it is being created")
    rds.add_response(
        "describe_db_instances", {"DBInstances": [instance(dead)]}, {"DBInstanceIdentifier": dead.instance}
    )
    rds.add_response(
        "delete_db_instance",
        {},
        {
            "DBInstanceIdentifier": dead.instance,
            "SkipFinalSnapshot": True,
            "DeleteAutomatedBackups": True,
        },
    )
    reply = reaping.reap(cell, NOW)
    rds.assert_no_pending_responses()
    assert [(message.topic, message.kind.value, message.text) for message in reply.messages] == [
        (
            "instance not reaped",
            "drills",
            "cannot delete 'pgdrill-lab-drill-busy': InvalidDBInstanceState: it is being created",
        ),
        (
            "instance reaped",
            "drills",
            (
                "instance 'pgdrill-lab-drill-dead' of drill d-dead outlived its lease, which ended at 2026-11-22 06:00 UTC;"
                " its deletion is asked for"
            ),
        ),
    ]
    assert [(metric.name, metric.dimensions["Database"]) for metric in reply.metrics] == [
        ("ReapsFailed", "busy"),
        ("InstancesReaped", "dead"),
    ]


def test_nothing_to_reap_is_nothing_to_tell() -> None:
    cell, rds = cells.cell(PLAN)
    rds.add_response("describe_db_instances", {"DBInstances": []}, {})
    assert reaping.reap(cell, NOW) == Reply()
