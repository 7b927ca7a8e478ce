"""`pgdrill point`: takes recovery points with their seals, retains them, copies them, lists what there is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from pgdrill import slots
from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    CellOption,
    DatabaseOption,
    JsonOption,
    PlanOption,
    clock,
    err,
    open_cell,
    out,
    print_json,
    print_table,
    publish,
    tick,
)
from pgdrill.cli.progress import Progress
from pgdrill.errors import DrillError, PlanError
from pgdrill.messages import Level, Message, Reply
from pgdrill.points import choice, copies, exchange, taking, telling, upkeep
from pgdrill.points.inventory import Inventory
from pgdrill.points.retention import Deletion

app = typer.Typer(
    help="Recovery points: snapshots with their seals, and the PITR window.", no_args_is_help=True
)

FAILED, INCONCLUSIVE = 1, 3


@app.command()
def take(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    slot: Annotated[
        str | None,
        typer.Option(
            "--slot", help="Which slot, as 2026-11-22T06Z; that of now unless given.", metavar="SLOT"
        ),
    ] = None,
    out_of_turn: Annotated[
        bool, typer.Option("--now", help="Take one out of turn, of no slot, with this moment in its name.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Seal production, take its snapshot for a slot, seal again. Once a slot, however often it is asked for.

    Exit status: 0 taken, 2 refused, 3 not taken, or taken without a seal.
    """
    if out_of_turn and slot:
        raise PlanError("--now and --slot exclude each other", hint="a point out of turn belongs to no slot")
    cell = open_cell(plan)
    now = clock().now
    chosen = None if out_of_turn else slots.named(slot) if slot else taking.slot_now(cell.plan, now)
    begun = taking.begin(cell.plan, cell.plan.database(database), now, chosen)
    try:
        with Progress(err) as progress:
            done = taking.run(begun, cell, ALL, tick, progress.say)
    except DrillError as error:
        reply = telling.failed(begun, error)
        publish(cell, reply)
        if as_json:
            print_json({"point": None, "reply": reply.model_dump(mode="json")})
        raise
    now = clock().now
    reply = telling.taken(done, now) + _told(cell, now)
    publish(cell, reply)
    if as_json:
        print_json(
            {
                "point": done.taken.model_dump(mode="json") if done.taken else None,
                "reply": reply.model_dump(mode="json"),
            }
        )
    elif done.taken:
        out.print(
            f"{done.taken.id}  recovers to {done.taken.recovers_to:%Y-%m-%d %H:%M:%S} UTC", markup=False
        )
    _tell(reply.messages)
    return INCONCLUSIVE if done.unsealed else 0


@app.command()
def retain(
    plan: PlanOption = DEFAULT_PLAN,
    where: CellOption = "primary",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, delete nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Delete the points that the plan does not keep, and make room for the next ones in the quota.

    Never the newest usable point of a database, never one that is in use in either region, never what is not
    pgdrill's own. Exit status: 0 kept as the plan says, 1 the quota shortens what is kept, 3 not all deleted.
    """
    cell = open_cell(plan, where)
    now = clock().now
    kept = upkeep.retain(cell, now, dry_run=dry_run)
    reply = kept.reply if dry_run else kept.reply + _told(cell, now)
    if not dry_run:
        publish(cell, reply)
    if as_json:
        print_json(kept.model_copy(update={"reply": reply}))
    else:
        _print_deletions(kept.deleted, dry_run=dry_run)
    _tell(reply.messages)
    return INCONCLUSIVE if kept.left else _status(reply)


@app.command()
def copy(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> int:
    """Copy what is missing to the DR region, oldest first, and wait until nothing is.

    What the primary has, it tells by its evidence bucket. Exit status: 0 all is there, 1 later than planned.
    """
    cell = open_cell(plan, "dr")
    with err.status("comparing both regions", spinner="line") as status:
        copied, reply = copies.run(cell, tick, status.update)
    publish(cell, reply)
    if as_json:
        print_json(
            {
                "copied": [snapshot.point().model_dump(mode="json") for snapshot in copied],
                "reply": reply.model_dump(mode="json"),
            }
        )
    else:
        for snapshot in copied:
            out.print(
                f"{snapshot.id}  recovers to {snapshot.recovers_to:%Y-%m-%d %H:%M:%S} UTC", markup=False
            )
        out.print(f"{len(copied)} copied to {cell.place.region}, nothing missing", markup=False)
    _tell(reply.messages)
    return _status(reply)


@app.command("inventory")
def tell_inventory(
    plan: PlanOption = DEFAULT_PLAN, where: CellOption = "primary", as_json: JsonOption = False
) -> None:
    """Tell the other cell all that this one has, and show what each knows of the other."""
    cell = open_cell(plan, where)
    now = clock().now
    own, reply = exchange.announce(cell, now)
    heard = exchange.heard(cell)
    publish(cell, reply)
    if as_json:
        print_json(
            {
                "own": own.model_dump(mode="json"),
                "heard": heard.model_dump(mode="json") if heard else None,
            }
        )
        return
    table = Table(
        "region", "told", "usable", "in flight", "newest (UTC)", "quota", "busy", box=None, pad_edge=False
    )
    for one in (own, heard):
        if one:
            table.add_row(*_line(one, now))
    out.print(table)
    if heard is None:
        err.print("nothing was heard of the other cell yet", markup=False)


@app.command("list")
def list_points(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> None:
    """List the snapshots of a database in a region, whoever made them, in any state, and its PITR window."""
    cell = open_cell(plan, where)
    wanted = cell.plan.database(database)
    found = choice.held(cell, wanted)
    window = cell.rds.window(wanted.instance)
    if cell.place == cell.plan.primary and cell.rds.instance(wanted.instance) is None:
        err.print(
            f"instance {wanted.instance!r} is not there in {cell.place.region}\n"
            "HINT: see whether the plan names it rightly; if it is lost: docs/recovery.md",
            markup=False,
            soft_wrap=True,
        )
    if as_json:
        print_json(
            {
                "snapshots": [
                    one.point().model_dump(mode="json") | {"made_by": choice.maker(one, cell.plan, wanted)}
                    for one in found
                    if one.usable
                ],
                "under_way": [one.model_dump(mode="json") for one in found if not one.usable],
                "pitr": {"earliest": window[0].isoformat(), "latest": window[1].isoformat()}
                if window
                else None,
            }
        )
        return
    heads = ("kind", "made by", "recovers to (UTC)", "state", "engine", "GB", "encrypted", "point")
    table = Table(*heads, box=None, pad_edge=False)
    for one in found:
        table.add_row(
            "copy" if one.copied_from else "snapshot" if one.manual else "automated",
            choice.maker(one, cell.plan, wanted),
            f"{one.recovers_to:%Y-%m-%d %H:%M:%S}" if one.recovers_to else "",
            one.status if one.usable else f"{one.status} {one.progress} %",
            one.engine_version,
            str(one.storage_gb),
            "yes" if one.encrypted else "no",
            one.id,
        )
    if found:
        print_table(table)
    else:
        out.print("no snapshot")
    out.print(
        f"PITR window: {window[0]:%Y-%m-%d %H:%M:%S} to {window[1]:%Y-%m-%d %H:%M:%S} UTC"
        if window
        else "no PITR window"
    )


def _told(cell: Cell, now: datetime) -> Reply:
    """Let the other cell know at once; what was done before stands, whether or not that succeeds."""
    try:
        return exchange.announce(cell, now)[1]
    except DrillError as error:
        return Reply(messages=(Message.of("inventory not told", error, Level.WARNING),))


def _print_deletions(deletions: Sequence[Deletion], *, dry_run: bool) -> None:
    table = Table("point", "reason", "why", box=None, pad_edge=False)
    for deletion in deletions:
        table.add_row(deletion.snapshot.id, deletion.reason.value, deletion.why)
    if deletions:
        out.print(table)
    out.print(f"{len(deletions)} {'would be ' if dry_run else ''}deleted", markup=False)


def _line(one: Inventory, now: datetime) -> tuple[str, ...]:
    usable = [snapshot for snapshot in one.snapshots if snapshot.usable]
    newest = usable[-1].recovers_to if usable else None
    return (
        one.region,
        "now" if one.made_at == now else f"{int(one.age(now).total_seconds())} s ago",
        str(len(usable)),
        str(sum(snapshot.under_way for snapshot in one.snapshots)),
        f"{newest:%Y-%m-%d %H:%M:%S}" if newest else "",
        f"{one.quota.used} of {one.quota.limit}",
        ", ".join(sorted(one.busy)),
    )


def _status(reply: Reply) -> int:
    return FAILED if any(message.level is Level.ALARM for message in reply.messages) else 0


def _tell(messages: tuple[Message, ...]) -> None:
    """Say on standard error what a person should know, as `main` says an error; what went well is shown already."""
    for message in messages:
        if message.level is Level.REPORT:
            continue
        err.print(f"{message.level.value}: {message.text}", style="yellow", markup=False, soft_wrap=True)
        if message.hint:
            err.print(f"HINT: {message.hint}", markup=False, soft_wrap=True)
