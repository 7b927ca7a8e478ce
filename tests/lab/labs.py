"""What tests of the whole lab share: databases in it, and a look at its processes."""

import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import psycopg

from pgdrill.lab import daemon
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Record

PASSWORD = "correct-horse-battery"

MakeLab = Callable[[], Lab]


def begin(lab: Lab, name: str) -> None:
    """Ask for a database instance without automated backups."""
    arguments = lab.world().production_instance() | {"BackupRetentionPeriod": 0}
    lab.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        MasterUsername="master",
        MasterUserPassword=PASSWORD,
        DBName="shop",
        **arguments,
    )


def create(lab: Lab, name: str) -> None:
    begin(lab, name)
    await_status(lab, name)


def instance(lab: Lab, name: str, region: str | None = None) -> Any:
    return lab.client("rds", region).describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def await_status(lab: Lab, name: str, status: str = "available") -> None:
    until(lambda: instance(lab, name)["DBInstanceStatus"] == status)


def await_snapshot(lab: Lab, name: str) -> None:
    rds = lab.client("rds")
    until(
        lambda: (
            rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]["Status"] == "available"
        )
    )


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.02)


def connect(lab: Lab, name: str) -> psycopg.Connection[tuple[Any, ...]]:
    endpoint = instance(lab, name)["Endpoint"]
    return psycopg.connect(
        host=endpoint["Address"],
        port=endpoint["Port"],
        user="master",
        password=PASSWORD,
        dbname="shop",
        sslmode="verify-full",
        sslrootcert=lab.environment["PGSSLROOTCERT"],
        autocommit=True,
    )


def daemon_of(lab: Lab) -> psutil.Process:
    record = Record.read(lab.directory)
    assert record is not None
    process = daemon.living(lab.directory, record)
    assert process is not None
    return process


def processes_of(lab: Lab) -> list[psutil.Process]:
    """Return what lives of the lab: the daemon, what it began, and PostgreSQL below the lab's directory."""
    found = []
    for process in psutil.process_iter():
        try:
            below = process.cwd().startswith(str(lab.directory))
            marked = process.environ().get("PGDRILL_LAB_DIRECTORY") == str(lab.directory)
            if (below or marked) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def heed_interrupts() -> None:
    """Let a child be interrupted, also where these tests run in the background of a shell, which cannot be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
