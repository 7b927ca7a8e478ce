"""`pgdrill recover`: restore an instance that stays, examine it, hand it over with a list of what is left to do."""

import contextlib
import secrets
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from pgdrill.aws.rds import restore_call
from pgdrill.cell import Cell
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    DatabaseOption,
    JsonOption,
    PlanOption,
    agree,
    clock,
    end_on_sigterm,
    err,
    out,
    print_json,
    tick,
)
from pgdrill.cli.drill import operator
from pgdrill.cli.progress import Progress
from pgdrill.drills import conduct, drill, outcome, recover
from pgdrill.drills.state import Drill
from pgdrill.errors import DrillError, NotHandedOver, NotRunnable, PlanError
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Purpose, Trigger
from pgdrill.evidence.wording import duration
from pgdrill.model import Recovered, RecoveryPoint
from pgdrill.plan import Plan
from pgdrill.points import choice


def register(app: typer.Typer) -> None:
    app.command("recover")(run)


def run(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    point: Annotated[
        str,
        typer.Option(help="latest, oldest, restorable, a snapshot's id, or a UTC time in the PITR window."),
    ] = "latest",
    cell_name: Annotated[
        Literal["primary", "dr"], typer.Option("--cell", help="Where: dr when the primary region is gone.")
    ] = "primary",
    without_examination: Annotated[
        bool,
        typer.Option("--without-examination", help="Hand over as soon as it answers; nothing is proved."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show every call, and make none that changes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="ID", help="Go on with a recovery that was cut off.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="With --resume: hand over although it did not pass.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Recover a database into a new instance of production's class, protected and backed up.

    Nothing is deleted: production stays as it is, and so does the new instance whatever happens.
    Exit status: 0 handed over, 1 examined and failed, 2 not runnable as asked, 3 could not be examined.
    """
    loaded = Plan.load(plan)
    cell = Cell.open(loaded, loaded.dr if cell_name == "dr" else loaded.primary)
    wanted = loaded.database(database)
    if resume:
        return _conduct(cell, _cut_off(cell, wanted.name, resume, accept=accept), as_json=as_json)
    if accept:
        raise PlanError(
            "--accept is for a recovery that did not pass",
            hint="name it: pgdrill recover --resume ID --accept",
        )
    begun = drill.begin(
        loaded,
        wanted,
        point,
        now=clock().now,
        nonce=secrets.token_hex(16),
        trigger=Trigger.COMMAND,
        operator=operator(cell),
        purpose=Purpose.RECOVERY,
        examined=not without_examination,
    )
    chosen = choice.choose(cell, wanted, point)
    calls = _calls(begun, cell, chosen)
    if doubt := choice.doubted(cell, wanted, chosen):
        err.print(f"warning: {doubt}", style="yellow", markup=False, soft_wrap=True)
    if dry_run:
        if as_json:
            print_json([{"call": f"rds:{method}", "parameters": parameters} for method, parameters in calls])
        else:
            _show(calls, out)
        return 0
    if not yes:
        _show(calls, err)
        agree("Recover?", "not recovered")
    return _conduct(cell, begun, as_json=as_json)


def _cut_off(cell: Cell, database: str, identifier: str, *, accept: bool) -> Drill:
    """Return a recovery as it was left; its hand-over is begun anew, with its own patience."""
    found = conduct.resume(cell, database, identifier)
    if found.purpose is not Purpose.RECOVERY:
        raise NotRunnable(
            f"{identifier!r} is a drill, not a recovery",
            hint=f"continue it with: pgdrill drill resume {identifier}",
        )
    return found.model_copy(update={"accepted": accept, "handing_over_at": None})


def _calls(begun: Drill, cell: Cell, chosen: RecoveryPoint) -> list[tuple[str, dict[str, object]]]:
    """Return every call that changes something, as it would be made now. Reads only."""
    plan, database = cell.plan, cell.plan.database(begun.database)
    # Known before anything is made, since a recovery that cannot be handed over is no recovery.
    recover.credentials(cell, database.name)
    mark = Recovered(
        instance=plan.recovered(database, begun.started_at), drill=begun.id, database=database.name
    )
    held = begun.model_copy(update={"held": mark})
    place, shape = outcome.asked_for(held, cell)
    name = {"DBInstanceIdentifier": mark.instance, "ApplyImmediately": True}
    return [
        restore_call(chosen, mark, place, shape, plan.tags.model_dump()),
        ("modify_db_instance", name | {"MasterUserPassword": "(derived for the examination)"}),
        ("modify_db_instance", name | {"MasterUserPassword": f"(from secret {database.master_secret})"}),
    ]


def _show(calls: list[tuple[str, dict[str, object]]], console: Console) -> None:
    for method, parameters in calls:
        console.print(f"rds:{method}", markup=False)
        for name, value in parameters.items():
            console.print(f"    {name} = {_said(value)}", markup=False, soft_wrap=True)


def _said(value: object) -> str:
    """Write lists and tags as a person reads them."""
    if not isinstance(value, list):
        return str(value)
    return ", ".join(
        f"{item['Key']}={item['Value']}" if isinstance(item, dict) else str(item) for item in value
    )


def _conduct(cell: Cell, begun: Drill, *, as_json: bool) -> int:
    end_on_sigterm()
    err.print(f"recovery {begun.id}", markup=False)
    with Progress(err) as progress:
        try:
            done = conduct.run(begun, cell, tick, progress.report)
        except NotHandedOver:
            _tell(cell, begun)
            raise
        except (DrillError, KeyboardInterrupt, SystemExit):
            _stays(cell, begun)
            raise
        progress.stages(done)
    body = cell.store.get(recover.key(done.database, done.id))
    over = recover.HandOver.model_validate_json(body or b"")
    if as_json:
        print_json(over)
        return 0
    _tell(cell, begun)
    _print(over)
    return 0


def _stays(cell: Cell, begun: Drill) -> None:
    """Say how to go on, where something was begun that stays."""
    with contextlib.suppress(DrillError):
        left = conduct.resume(cell, begun.database, begun.id)
        if left.held:
            said = f"{left.held.instance} stays as it is; go on with: {recover.again(left, cell)}"
            err.print(said, markup=False, soft_wrap=True)


def _tell(cell: Cell, begun: Drill) -> None:
    """Print the examination, where there was one."""
    try:
        evidence = archive.load(cell.store, begun.id, begun.database)
    except NotRunnable:
        return
    out.print(terminal.drill(evidence, None))


def _print(over: recover.HandOver) -> None:
    out.print(f"recovered in {duration(over.rto_seconds)}: {over.instance}", style="bold", markup=False)
    out.print(f"  {over.host}:{over.port}, user {over.user}, password in secret {over.secret}", markup=False)
    for missed in over.missed:
        out.print(f"  objective missed: {missed}", style="yellow", markup=False)
    out.print(f"  holds the data of {over.recovers_to:%Y-%m-%d %H:%M:%S} UTC", markup=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    for number, todo in enumerate(over.todo, 1):
        table.add_row(f"{number}.", todo.what)
        table.add_row("", f"[dim]{todo.why}[/dim]")
    out.print("what is left to do:")
    out.print(table)
