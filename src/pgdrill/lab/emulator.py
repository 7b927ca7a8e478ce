"""The lab's one daemon process: ministack for every AWS service but RDS, RDS on real PostgreSQL, and the lab's door.

It serves a listening socket that `lab up` has bound to loopback and hands over, and is configured by its
environment, since ministack reads its own when it is imported. It ends on SIGTERM or SIGINT, keeping its state.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app as ministack
from ministack.core.responses import get_region, request_scope
from ministack.services import ec2, eventbridge
from ministack.services import rds as record_only_rds

from pgdrill import __version__
from pgdrill.errors import NotRunnable
from pgdrill.lab import bends, bytecode, clock, cluster, daemon, postgres, sabotage, tls
from pgdrill.lab.bends import executions, schedules, sidecars, watch
from pgdrill.lab.clock import LabClock
from pgdrill.lab.cloudwatch.inbox import Inbox
from pgdrill.lab.door import Doorway, Handler
from pgdrill.lab.faults import Faults
from pgdrill.lab.neighbours import Emulated
from pgdrill.lab.rds.service import Rds
from pgdrill.lab.rds.state import LabSettings
from pgdrill.lab.record import Record
from pgdrill.lab.regions import LostRegions
from pgdrill.model import JSON

# Seconds after which a thread lets another one run: requests wait behind executions that reckon, ten times as long by
# default.
SWITCH = 0.0005


def main(directory: Path, listener: int) -> None:
    """Serve until told to end. `listener` is the descriptor of the listening socket."""
    bytecode.release()
    sys.setswitchinterval(SWITCH)
    record = _record(directory)
    account = os.environ["MINISTACK_ACCOUNT_ID"]
    binaries = postgres.find()
    faults = Faults()
    lab_clock = LabClock(directory / clock.FILE)
    rds = Rds(
        directory / "rds",
        binaries,
        tls.Authority(directory / "tls"),
        faults,
        account=account,
        publish=lambda region, event: _publish(account, region, event),
        default_region=record.regions[0],
        settings=LabSettings(
            amcheck=record.settings.amcheck == "granted",
            archive_every=record.settings.archive_every,
            manual_snapshots=record.settings.manual_snapshots,
        ),
        vpc_of=lambda region, subnet: _vpc_of(account, region, subnet),
        neighbours=Emulated(account, record.regions[0]),
        clock=lab_clock,
    )
    try:
        rds.load()
        _put_in_place(rds)
        if record.settings.bends:
            bends.apply(rds)
        services = LostRegions(ministack, lambda: faults.setting.lost)
        asyncio.run(_serve(listener, Doorway(services, _handlers(record, rds, faults, binaries, lab_clock))))
        sidecars.write()
    finally:
        rds.close(keep=True)
        cluster.kill_orphans(directory)
    record = _record(directory)  # `lab up` has written to it since
    record.model_copy(update={"kept": record.ready, "pid": None}).write(directory)


def _record(directory: Path) -> Record:
    record = Record.read(directory)
    if record is None:
        raise FileNotFoundError(f"no lab in {directory}")
    return record


def _put_in_place(rds: Rds) -> None:
    """Let our actions, and no other, answer in RDS's name: what only keeps records would answer wrongly."""
    actions = record_only_rds._ACTION_MAP  # noqa: SLF001 # ministack has no other place to put actions
    actions.clear()
    for name in rds.ACTIONS:
        actions[name] = _action(rds, name)


def _action(rds: Rds, name: str) -> Callable[[dict[str, list[str]]], tuple[int, dict[str, str], bytes]]:
    return lambda params: rds.handle(get_region(), name, params)


def _publish(account: str, region: str, event: dict[str, Any]) -> None:
    """Put an event on the region's default bus, as AWS's own services do; clients may not use `aws.*` sources."""
    with request_scope(account, region):
        eventbridge._put_events(  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own emitters do
            {"Entries": [event]}, allow_aws_source=True
        )


def _vpc_of(account: str, region: str, subnet: str) -> str | None:
    """Return the VPC that the emulator's EC2 has a subnet in; None where it knows no such subnet."""
    with request_scope(account, region):
        found = ec2._subnets.get(subnet)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
    return found["VpcId"] if found else None


def _handlers(
    record: Record, rds: Rds, faults: Faults, binaries: postgres.Binaries, lab_clock: LabClock
) -> dict[str, Handler]:
    home = record.regions[0]
    account = os.environ["MINISTACK_ACCOUNT_ID"]

    def status(_: JSON) -> JSON:
        return {"version": __version__, "pid": os.getpid(), "regions": list(record.regions)}

    def back_up(asked: JSON) -> JSON:
        return {"instance": rds.back_up(asked.get("region") or home, asked["instance"])}

    def damage(asked: JSON) -> JSON:
        return {"damage": _damage(rds, binaries, asked.get("region") or home, asked)}

    def fire(asked: JSON) -> JSON:
        due_at = datetime.fromisoformat(asked["due_at"])
        if due_at.tzinfo is None:
            raise ValueError(f"due_at has no time zone: {asked['due_at']}")
        fired = schedules.fire(account, asked.get("region") or home, asked["name"], due_at.astimezone(UTC))
        return {"executions": fired.executions, "undelivered": fired.undelivered}

    def hold(asked: JSON) -> JSON:
        schedules.hold(held=bool(asked["held"]))
        return asked

    def move_clock(asked: JSON) -> JSON:
        lab_clock.move(timedelta(seconds=asked["ahead"]))
        schedules.hold(held=True)  # they go by the real time, which nothing else that AWS tells does any more
        return {"ahead": asked["ahead"], "now": lab_clock.now().isoformat()}

    def inbox(_: JSON) -> JSON:
        return [letter.model_dump(mode="json") for letter in Inbox(Path(os.environ[daemon.MARK])).letters()]

    def grant(asked: JSON) -> JSON:
        region = asked.get("region") or home
        return {"region": region, "manual_snapshots": rds.quotas.grant(region)}

    return {
        "alarms/evaluate": watch.evaluate,
        "alarms/live": watch.go_on,
        "inbox": inbox,
        "quotas/grant": grant,
        "status": status,
        "faults/list": lambda _: faults.get(),
        "faults/set": faults.set,
        "faults/clear": lambda _: faults.clear(),
        "sabotage": damage,
        "backup": back_up,
        "clock/set": move_clock,
        "executions/settle": lambda asked: executions.settle(asked["timeout"]),
        "schedules/fire": fire,
        "schedules/hold": hold,
    }


def _damage(rds: Rds, binaries: postgres.Binaries, region: str, asked: JSON) -> str:
    kind = sabotage.by_name(asked["kind"])
    other = asked.get("other")
    if kind.needs_other and not other:
        raise NotRunnable(
            f"sabotage {kind.name!r} takes data from another snapshot, and none is named",
            hint="name one with --other",
        )
    place = rds.archive_directory if kind.of == "archive" else rds.snapshot_directory
    target = sabotage.Target(
        database=asked.get("database") or "",
        table=asked.get("table") or "",
        other=rds.snapshot_directory(region, other) if other else None,
    )
    return kind.apply(place(region, asked["snapshot"]), binaries, target)


async def _serve(listener: int, doorway: Doorway) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5  # idle connections of clients that stay alive are not waited for
    config.accesslog = None
    config.loglevel = "WARNING"
    await serve(doorway, config, shutdown_trigger=stop.wait, mode="asgi")  # type: ignore[arg-type] # ASGI, as plain dicts


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
