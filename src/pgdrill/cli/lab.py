"""The commands of the lab. Thin; what they do stands in pgdrill.lab, which needs the extra `lab` and loads late."""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from pgdrill.cli import deployment
from pgdrill.cli.context import JsonOption, err, out, print_json, print_table
from pgdrill.cli.lab_context import DirectoryOption, RegionOption, open_lab
from pgdrill.errors import NotRunnable
from pgdrill.lab.faults import Setting

if TYPE_CHECKING:
    from pgdrill.lab.calls import Call
    from pgdrill.lab.lab import Lab

NOT_RUNNING = 3

app = typer.Typer(help="An AWS on this machine, with real PostgreSQL behind its RDS.", no_args_is_help=True)
fault = typer.Typer(help="What the lab does wrong on purpose.", no_args_is_help=True)
app.add_typer(fault, name="fault")
app.add_typer(deployment.app)


@app.command()
def up(
    directory: DirectoryOption = None,
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh/--keep-state", help="Discard what an earlier lab kept, or go on with it.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; a free one unless given.")
    ] = None,
    amcheck: Annotated[
        Literal["granted", "refused"] | None,
        typer.Option(help="Whether the master user may run amcheck; granted unless given."),
    ] = None,
    archive_every: Annotated[
        float | None,
        typer.Option(help="Seconds between archived WAL segments; 1 unless given, 300 in AWS.", min=0.1),
    ] = None,
    auth: Annotated[
        bool | None,
        typer.Option("--auth/--no-auth", help="Enforce IAM policies, as AWS does; not unless given."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start a lab: an AWS endpoint on loopback with two regions, networks, keys, buckets and a plan.

    A lab that runs already stays as it is.
    """
    lab = open_lab(directory)
    from pgdrill.lab.record import Settings  # noqa: PLC0415 # the product installs without the lab

    asked = {"port": port, "amcheck": amcheck, "archive_every": archive_every, "auth": auth}
    given = {name: value for name, value in asked.items() if value is not None}
    with err.status("starting the lab"):
        began = lab.up(Settings.model_validate(given), fresh=fresh)
    if as_json:
        print_json({"began": began, "environment": lab.environment})
        return
    err.print(f"{'lab is up' if began else 'lab is up already'} in {lab.directory}", soft_wrap=True)
    for name, value in lab.environment.items():
        typer.echo(f"{name}={value}")
    err.print(f"use it:  set -a; . {lab.environment_path}; set +a", soft_wrap=True)
    err.print("end it:  pgdrill lab down", soft_wrap=True)


@app.command()
def down(
    directory: DirectoryOption = None,
    *,
    keep_state: Annotated[
        bool, typer.Option("--keep-state", help="Leave databases, snapshots and objects for the next `up`.")
    ] = False,
) -> None:
    """End the lab and everything of it that runs, also after a crash; remove its directory."""
    lab = open_lab(directory)
    with err.status("ending the lab"):
        ran = lab.down(keep=keep_state)
    state = "state kept" if keep_state else "nothing left"
    err.print(f"{'lab is down' if ran else 'no lab ran'} in {lab.directory}: {state}", soft_wrap=True)


@app.command()
def status(directory: DirectoryOption = None, *, as_json: JsonOption = False) -> None:
    """Tell what runs. Exit status 0 when the lab runs, 3 when it does not."""
    lab = open_lab(directory)
    record = lab.running()
    if record is None:
        if as_json:
            print_json({"running": False, "directory": str(lab.directory)})
        else:
            out.print(f"no lab runs in {lab.directory}; start one with: pgdrill lab up", soft_wrap=True)
        raise typer.Exit(NOT_RUNNING)
    told = {
        "running": True,
        "directory": str(lab.directory),
        "endpoint": lab.environment["AWS_ENDPOINT_URL"],
        "pid": record.pid,
        "regions": [_inventory(lab, region) for region in record.regions],
        "faults": lab.door.faults(),
    }
    if as_json:
        print_json(told)
    else:
        _print_status(told)


def _inventory(lab: "Lab", region: str) -> dict[str, Any]:
    rds = lab.client("rds", region)
    instances = rds.describe_db_instances()["DBInstances"]
    snapshots = rds.describe_db_snapshots()["DBSnapshots"]
    return {
        "region": region,
        "instances": [
            {
                "id": instance["DBInstanceIdentifier"],
                "status": instance["DBInstanceStatus"],
                "port": instance.get("Endpoint", {}).get("Port"),
            }
            for instance in instances
        ],
        "snapshots": [
            {
                "id": snapshot["DBSnapshotIdentifier"],
                "status": snapshot["Status"],
                "type": snapshot["SnapshotType"],
                "created": snapshot.get("SnapshotCreateTime"),
            }
            for snapshot in snapshots
        ],
    }


def _print_status(told: dict[str, Any]) -> None:
    out.print(
        f"lab is up at {told['endpoint']}, process {told['pid']}, in {told['directory']}", soft_wrap=True
    )
    table = Table("REGION", "KIND", "IDENTIFIER", "STATUS", "", box=None, pad_edge=False)
    for region in told["regions"]:
        for instance in region["instances"]:
            port = f"127.0.0.1:{instance['port']}" if instance["port"] else ""
            table.add_row(region["region"], "instance", instance["id"], instance["status"], port)
        for snapshot in region["snapshots"]:
            created = snapshot["created"]
            when = (
                created.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
                if isinstance(created, datetime)
                else ""
            )
            kind = f"{snapshot['type']} snapshot"
            table.add_row(region["region"], kind, snapshot["id"], snapshot["status"], when)
    if table.row_count:
        print_table(table)
    else:
        out.print("no instances, no snapshots")
    usual = Setting().model_dump(mode="json")
    faults = {name: value for name, value in told["faults"].items() if value != usual.get(name)}
    out.print(f"faults: {json.dumps(faults)}" if faults else "no faults set", soft_wrap=True, markup=False)


@app.command()
def sabotage(
    snapshot: Annotated[
        str, typer.Argument(help="The snapshot to damage; for a hole in the WAL archive, the instance.")
    ] = "",
    kind: Annotated[str, typer.Argument(help="The damage; --list tells them.")] = "",
    directory: DirectoryOption = None,
    *,
    database: Annotated[str | None, typer.Option(help="Where; the lab chooses unless given.")] = None,
    table: Annotated[str | None, typer.Option(help="What, as schema.name; the lab chooses.")] = None,
    other: Annotated[str | None, typer.Option(help="The snapshot that a swap takes its data from.")] = None,
    region: RegionOption = None,
    as_list: Annotated[bool, typer.Option("--list", help="List the kinds of damage.")] = False,
) -> None:
    """Damage a snapshot, so that a drill can be seen to find it."""
    lab = open_lab(directory)
    if as_list:
        _print_kinds()
        return
    if not snapshot or not kind:
        raise typer.BadParameter("name a snapshot and a kind of damage; --list tells the kinds")
    damage = lab.door.sabotage(snapshot, kind, region=region, database=database, table=table, other=other)
    out.print(damage, soft_wrap=True, markup=False)


def _print_kinds() -> None:
    from pgdrill.lab import sabotage as damage  # noqa: PLC0415 # the product installs without the lab

    table = Table(box=None, pad_edge=False)
    table.add_column("KIND", no_wrap=True)
    table.add_column("WHAT IT DOES")
    for kind in damage.ALL:
        table.add_row(kind.name, kind.what)
    out.print(table)


@app.command()
def backup(
    instance: Annotated[str, typer.Argument(help="Which instance.")],
    directory: DirectoryOption = None,
    *,
    region: RegionOption = None,
) -> None:
    """Let an instance's daily automated snapshot be taken now, instead of in its backup window."""
    open_lab(directory).door.back_up(instance, region=region)
    err.print(f"{instance} is backing up; see it with: pgdrill lab status", markup=False)


@fault.command("set")
def set_faults(
    faults: Annotated[str, typer.Argument(help="A JSON object; '-' reads it from standard input.")],
    directory: DirectoryOption = None,
) -> None:
    """Set faults, each kind named replacing what was set of it.

    Example: pgdrill lab fault set '{"latency": {"restore": 20}}'
    """
    text = sys.stdin.read() if faults == "-" else faults
    try:
        change = json.loads(text)
    except ValueError as error:
        raise NotRunnable(
            f"faults are not JSON: {error}", hint='write, for one: {"latency": {"restore": 20}}'
        ) from error
    print_json(open_lab(directory).door.set_faults(change))


@fault.command("clear")
def clear_faults(directory: DirectoryOption = None) -> None:
    """Let the lab do everything right again."""
    print_json(open_lab(directory).door.clear_faults())


@fault.command("list")
def list_faults(directory: DirectoryOption = None) -> None:
    """Print what is set, as JSON."""
    print_json(open_lab(directory).door.faults())


@app.command()
def fire(
    name: Annotated[str, typer.Argument(help="Which schedule.")],
    directory: DirectoryOption = None,
    *,
    due_at: Annotated[
        datetime | None,
        typer.Option(
            help="The occasion, in UTC; now unless given.", formats=["%Y-%m-%dT%H:%M:%SZ"], show_default=False
        ),
    ] = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fire a schedule as Scheduler does on an occasion, whether it is due or not; print what it started.

    Example: pgdrill lab fire pgdrill-main-take-shop --due-at 2026-11-22T06:00:00Z
    """
    occasion = due_at.replace(tzinfo=UTC) if due_at else datetime.now(UTC)
    fired = open_lab(directory).door.fire(name, occasion, region=region)
    if as_json:
        print_json(fired)
    elif fired["undelivered"]:
        raise NotRunnable(
            f"schedule {name!r} started nothing: {fired['undelivered']}",
            hint="look at its role, its target and its dead-letter queue",
        )
    else:
        for execution in fired["executions"]:
            typer.echo(execution)


@app.command()
def calls(
    directory: DirectoryOption = None,
    *,
    role: Annotated[str | None, typer.Option(help="Of roles whose name contains this.")] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Only what was refused.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what each role has asked of AWS since the lab began, and whether it was allowed.

    There is a record only in a lab that enforces policies, as one does that the stack is deployed in.
    """
    lab = open_lab(directory)
    from pgdrill.lab import calls as record  # noqa: PLC0415 # the product installs without the lab

    _see_that_there_is_one(lab, record.FILE)
    recorded = list(record.read(lab.directory))
    of_role = [call for call in recorded if role is None or role in call.role]
    wanted = [call for call in of_role if not (denied and call.allowed)]
    if not wanted:
        err.print(_why_no_call(lab, recorded, of_role, role), markup=False, soft_wrap=True)
    if as_json:
        print_json([call.model_dump(mode="json") for call in wanted])
        return
    if not wanted:
        return
    table = Table("ROLE", "ACTION", "RESOURCE", "TIMES", "", box=None, pad_edge=False)
    for name, action, resource, allowed, count in record.distinct(wanted):
        table.add_row(name, action, resource, str(count), "" if allowed else "DENIED")
    print_table(table)


def _why_no_call(lab: "Lab", recorded: "list[Call]", of_role: "list[Call]", role: str | None) -> str:
    from pgdrill.lab.record import Record  # noqa: PLC0415 # the product installs without the lab

    if of_role:
        return "no such call was refused"
    if recorded:
        others = len({call.role for call in recorded})
        return f"no role whose name contains {role!r} asked for anything; {others} did: pgdrill lab calls"
    began = Record.read(lab.directory)
    if began is None or began.settings.auth:
        return "no role has asked for anything yet"
    return (
        "nothing is recorded, since this lab enforces no policies;"
        " one that does: pgdrill lab down, then: pgdrill lab up --auth"
    )


def _see_that_there_is_one(lab: "Lab", file: str) -> None:
    """See that a lab runs, unless one that has ended left what is asked for.

    Raises:
        NotRunnable: neither.
    """
    if not (lab.directory / file).exists():
        _ = lab.environment


@app.command()
def inbox(
    directory: DirectoryOption = None,
    *,
    topic: Annotated[str | None, typer.Option(help="Of topics whose name contains this.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what topics were told since the lab began, and who would have got it by mail, text or otherwise."""
    lab = open_lab(directory)
    from pgdrill.lab.cloudwatch import inbox as record  # noqa: PLC0415 # the product installs without the lab

    _see_that_there_is_one(lab, record.FILE)
    every = list(record.Inbox(lab.directory).letters())
    letters = [each for each in every if topic is None or topic in each.topic.rpartition(":")[2]]
    if not letters:
        topics = ", ".join(sorted({each.topic.rpartition(":")[2] for each in every}))
        others = f"no topic whose name contains {topic!r} was told anything; those that were: {topics}"
        err.print(others if every else "no topic was told anything", markup=False, soft_wrap=True)
    if as_json:
        print_json([letter.model_dump(mode="json") for letter in letters])
        return
    for letter in letters:
        when = letter.when.strftime("%Y-%m-%d %H:%M:%S UTC")
        name = letter.topic.rpartition(":")[2]
        told = [f"{when}  {letter.region}  {name}", letter.subject or "(no subject)"]
        told += [f"    {line}" for line in letter.words.splitlines()]
        told += [f"    {each}: {value}" for each, value in sorted(letter.attributes.items())]
        told += [
            f"    to {each.protocol} {each.endpoint}{'' if each.confirmed else ' (not confirmed)'}"
            for each in letter.recipients
        ]
        out.print("\n".join(told) + "\n", soft_wrap=True, markup=False)
