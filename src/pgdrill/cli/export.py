"""`pgdrill export`: archives points as Parquet, follows and judges the exports, cross-examines them with a copy."""

import secrets
from typing import Annotated

import typer
from rich.table import Table

from pgdrill.aws.export_tasks import COMPLETE, ExportTask
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
    publish,
    tick,
)
from pgdrill.cli.drill import operator
from pgdrill.cli.progress import Progress
from pgdrill.database import Address, Server
from pgdrill.drills import drill
from pgdrill.errors import NotRunnable, PlanError
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Trigger
from pgdrill.exporting import confrontation, cross_examination, exported, exports
from pgdrill.exporting.conclusion import Conclusion
from pgdrill.model import Verdict, worst
from pgdrill.plan import duration
from pgdrill.points import choice

app = typer.Typer(
    help="Exports: points archived as Parquet in S3. They cannot be restored to an instance.",
    no_args_is_help=True,
)

# Seconds between two looks at an export, which takes half an hour at least in AWS.
POLL, POLL_MOST = 0.25, 30.0

ExportArgument = Annotated[
    str, typer.Argument(metavar="EXPORT", help="The export's id, or latest for the newest complete one.")
]


@app.command()
def run(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """Start the exports that are due, follow those under way, judge those that have ended. For a schedule.

    Exit status: 0 nothing wrong, 1 an export failed or is not complete, 3 one could not be started or judged.
    """
    cell = open_cell(plan, where)
    tended = exports.tend(cell, cell.plan.database(database), clock().now)
    publish(cell, tended.reply)
    if as_json:
        print_json(tended)
    else:
        for task in tended.started:
            out.print(f"{task}  started", markup=False)
        for running in tended.under_way:
            if running.id not in tended.started:
                out.print(f"{running.id}  {running.status} {running.progress} %", markup=False)
        for ended in tended.concluded:
            out.print(f"{ended.task.id}  {ended.finding.verdict}: {ended.finding.reason}", markup=False)
        if not (tended.started or tended.under_way or tended.concluded):
            out.print("nothing is due and nothing under way")
    for message in tended.reply.messages:
        err.print(f"{message.level}: {message.text}\nHINT: {message.hint}", markup=False, soft_wrap=True)
    statuses = {ended.finding.verdict.exit_status for ended in tended.concluded}
    return 1 if 1 in statuses else 3 if statuses - {0} or tended.reply.messages else 0


@app.command()
def start(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    point: Annotated[
        str, typer.Option("--point", help="latest, oldest, or a snapshot's id.", show_default=True)
    ] = "latest",
    where: CellOption = "primary",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, and judge it.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Export one point to the archive bucket, whether or not it is due. Asked twice, it is exported once.

    Exit status: 0 started, or with --wait complete; 1 it failed or is not complete; 3 RDS has no room now.
    """
    cell = open_cell(plan, where)
    wanted = cell.plan.database(database)
    name = exports.start(cell, choice.choose(cell, wanted, point), exports.of(cell, wanted))
    task = exports.find(cell, wanted, name)
    pause = POLL
    with err.status(f"export {name}", spinner="line") as status:
        while wait and task.under_way:
            status.update(f"export {name}: {task.status} {task.progress} %")
            tick(pause)
            pause = min(POLL_MOST, pause * 1.5)
            task = exports.find(cell, wanted, name)
    ended = None if task.under_way else exports.conclude(cell, wanted, task, clock().now)
    return _shown(task, ended, as_json=as_json)


@app.command()
def status(
    export: ExportArgument = "latest",
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """Show one export, and what it came to. Exit status: 0 under way or complete, 1 not complete, 3 not judged."""
    cell = open_cell(plan, where)
    wanted = cell.plan.database(database)
    task = exports.find(cell, wanted, export)
    ended = exports.concluded(cell, wanted, task.id)
    if ended is None and not task.under_way:
        ended = exports.conclude(cell, wanted, task, clock().now)
    return _shown(task, ended, as_json=as_json)


@app.command("list")
def list_exports(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> None:
    """List the exports of a database into the archive bucket, oldest first, with what they came to."""
    cell = open_cell(plan, where)
    wanted = cell.plan.database(database)
    found = [(task, exports.concluded(cell, wanted, task.id)) for task in exports.of(cell, wanted)]
    if as_json:
        print_json(
            [
                {
                    "task": task.model_dump(mode="json"),
                    "finding": ended.finding.model_dump(mode="json") if ended else None,
                }
                for task, ended in found
            ]
        )
        return
    table = Table("status", "verdict", "ended (UTC)", box=None, pad_edge=False)
    table.add_column("export", overflow="fold")
    for task, ended in found:
        table.add_row(
            task.status if not task.under_way else f"{task.status} {task.progress} %",
            ended.finding.verdict.value if ended else "",
            f"{task.ended_at:%Y-%m-%d %H:%M:%S}" if task.ended_at else "",
            task.id,
        )
    out.print(table if found else "no export")


@app.command()
def examine(
    export: ExportArgument,
    dsn: Annotated[
        str,
        typer.Argument(metavar="DSN", help="A restored copy of the same snapshot: a libpq string or URL."),
    ],
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    scratch: Annotated[
        bool,
        typer.Option("--scratch", help="The copy is a throw-away one: grant what reading it whole takes."),
    ] = False,
    budget: Annotated[str, typer.Option("--budget", help="How long at most: 90s, 15m, 4h.")] = "4h",
    as_json: JsonOption = False,
) -> int:
    """Cross-examine an export with a restored copy of its snapshot: tables, counts, keys, a sum a column.

    Either can convict the other. The password is read from PGPASSWORD or a password file.
    Exit status: 0 they agree, 1 they differ, 2 not runnable, 3 not all could be compared.
    """
    try:
        seconds = duration(budget).total_seconds()
    except ValueError as error:
        raise PlanError(str(error), hint="for example --budget 15m") from error
    cell = open_cell(plan, where)
    task = _complete(exports.find(cell, cell.plan.database(database), export))
    stored = cell.archive()
    server = Server(Address.parse(dsn), clock(seconds), may_change=scratch)
    with err.status("cross-examining", spinner="line") as progress:
        server.progress = progress.update
        fact = cross_examination.measure(
            server, exported.read(stored, task), lambda folder: exported.files(stored, task, folder)
        )
    findings = cross_examination.judge(fact, exports.left_out(cell.plan))
    verdict = worst([finding.verdict for finding in findings])
    if as_json:
        print_json(
            {
                "verdict": verdict,
                "findings": [finding.model_dump(mode="json") for finding in findings],
                "fact": fact.model_dump(mode="json"),
            }
        )
    else:
        out.print(terminal.findings(verdict, findings, f"export {task.id} and a restored copy"))
    return verdict.exit_status


@app.command("drill")
def drill_export(
    export: ExportArgument = "latest",
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """Drill the snapshot of an export, cross-examine both before the copy is torn down, and say which is wrong.

    Exit status: 0 both are right, 1 one is not, 2 not runnable, 3 not proved.
    """
    cell = open_cell(plan, where)
    entry = cell.plan.database(database)
    task = _complete(exports.find(cell, entry, export))
    begun = drill.begin(
        cell.plan,
        entry,
        task.snapshot,
        now=clock().now,
        nonce=secrets.token_hex(16),
        trigger=Trigger.COMMAND,
        operator=operator(cell),
    )
    err.print(f"drill {begun.id} of export {task.id}", markup=False)
    with Progress(err) as progress:
        done, confronted = confrontation.run(begun, cell, task, tick, progress.report)
        progress.stages(done)
    if as_json:
        print_json({"verdict": confronted.verdict} | confronted.model_dump(mode="json"))
    else:
        evidence = archive.load(cell.store, done.id, done.database)
        out.print(terminal.drill(evidence, archive.load_teardown(cell.store, evidence)))
        verdict = worst([finding.verdict for finding in confronted.findings])
        out.print(terminal.findings(verdict, confronted.findings, f"export {task.id} and the copy"))
        out.print(f"{confronted.says}.", markup=False, soft_wrap=True)
    return confronted.verdict.exit_status


def _complete(task: ExportTask) -> ExportTask:
    if task.status != COMPLETE:
        raise NotRunnable(
            f"export {task.id!r} is {task.status}, so there is nothing to compare",
            hint=f"wait for it with: pgdrill export status {task.id}, or start another one",
        )
    return task


def _shown(task: ExportTask, ended: Conclusion | None, *, as_json: bool) -> int:
    verdict = ended.finding.verdict if ended else None
    if as_json:
        print_json(
            {
                "task": task.model_dump(mode="json"),
                "finding": ended.finding.model_dump(mode="json") if ended else None,
            }
        )
    elif ended is None:
        out.print(f"{task.id}  {task.status} {task.progress} %", markup=False)
    else:
        out.print(terminal.findings(ended.finding.verdict, [ended.finding], f"export {task.id}"))
    return Verdict(verdict).exit_status if verdict else 0
