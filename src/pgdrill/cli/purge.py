"""`pgdrill purge`: show everything that pgdrill made at run time, delete it, and show that nothing is left."""

from typing import Annotated

import typer
from rich.console import Console

from pgdrill.cell import Cell
from pgdrill.cli.context import DEFAULT_PLAN, JsonOption, PlanOption, agree, err, out, print_json, tick
from pgdrill.drills import purge
from pgdrill.drills.purge import Doomed, Thing
from pgdrill.plan import Plan


def register(app: typer.Typer) -> None:
    app.command("purge")(run)


def run(
    plan: PlanOption = DEFAULT_PLAN,
    evidence: Annotated[
        bool,
        typer.Option(
            "--evidence", help="Also delete seals, witness, evidence and archives, in every version."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Delete what was made at run time under the plan's suffix, in both regions.

    Temporary instances, their backups, snapshots, copies and exports under way; with --evidence the objects too.
    Production, recovered instances and what belongs to other suffixes stay.
    Exit status: 0 nothing is left, 1 something is.
    """
    loaded = Plan.load(plan)
    cells = [Cell.open(loaded, place) for place in (loaded.primary, loaded.dr)]
    found = _found(cells, evidence=evidence)
    doomed = [one.thing for one in found]
    kept = [thing for cell in cells for thing in purge.kept(cell)]
    if dry_run:
        _tell(doomed, kept, None, as_json=as_json)
        return 0
    if found and not yes:
        _show("to be deleted for good", doomed, err)
        _show("left alone", kept, err)
        agree(f"Delete {len(found)} things?", "nothing was deleted")
    purge.purge(found, tick, lambda text: err.print(text, markup=False, soft_wrap=True))
    left = [one.thing for one in _found(cells, evidence=evidence)]
    _tell(doomed, kept, left, as_json=as_json)
    return 1 if left else 0


def _found(cells: list[Cell], *, evidence: bool) -> list[Doomed]:
    return [one for cell in cells for one in purge.find(cell, evidence=evidence)]


def _tell(doomed: list[Thing], kept: list[Thing], left: list[Thing] | None, *, as_json: bool) -> None:
    """Print what there was and what is left; `left` is None where nothing was tried."""
    if as_json:
        named = {"found": doomed, "kept": kept} | ({} if left is None else {"left": left})
        print_json(
            {key: [thing.model_dump(mode="json") for thing in things] for key, things in named.items()}
        )
        return
    if left is None:
        _show("would be deleted for good", doomed)
    elif left:
        _show("still there", left)
    _show("left alone", kept)
    if not doomed:
        out.print("nothing of pgdrill's is there")
    elif left == []:
        out.print(f"{len(doomed)} deleted; RDS and S3 list nothing more of this suffix in either region")


def _show(title: str, things: list[Thing], console: Console = out) -> None:
    if not things:
        return
    console.print(f"{title}:", style="bold", markup=False)
    for thing in things:
        said = f"  {thing.region}  {thing.kind} {thing.id}: {thing.why}"
        console.print(said, markup=False, soft_wrap=True)
