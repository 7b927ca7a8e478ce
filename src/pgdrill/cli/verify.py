"""`pgdrill verify DSN`: the checks on any PostgreSQL, restored by anything."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pgdrill.checks.check import Case, Check
from pgdrill.checks.registry import ALL
from pgdrill.cli.context import JsonOption, clock, err, out, print_json
from pgdrill.database import Address, Server
from pgdrill.drills import examination
from pgdrill.drills.examination import Measured
from pgdrill.errors import PlanError
from pgdrill.evidence import terminal
from pgdrill.model import worst
from pgdrill.plan import Checks, Plan, duration


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    dsn: Annotated[str, typer.Argument(metavar="DSN", help="A libpq connection string or URL.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Ask for this check alone; repeatable.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", help="Take limits and assertions from the checks of this plan.")
    ] = None,
    scratch: Annotated[
        bool,
        typer.Option(
            "--scratch",
            help="The server is a throw-away copy: checks may create amcheck there and grant themselves what"
            " they need to read. Without it every session is read-only.",
        ),
    ] = False,
    budget: Annotated[str, typer.Option("--budget", help="How long at most: 90s, 15m, 4h.")] = "4h",
    as_json: JsonOption = False,
) -> int:
    """Examine any PostgreSQL 15 or later.

    Exit status: 0 passed, 1 failed, 2 not runnable as asked, 3 inconclusive, or the server does not answer.

    The password is read from PGPASSWORD or a password file. Checks that need a seal or a witness are not asked.
    """
    try:
        seconds = duration(budget).total_seconds()
    except ValueError as error:
        raise PlanError(str(error), hint="for example --budget 15m") from error
    checks = Plan.load(Path(plan)).checks if plan else Checks()
    case = Case(checks=checks, asked=_asked(checks, only or []))
    server = Server(Address.parse(dsn), clock(seconds), may_change=scratch)
    # A server that cannot be reached ends here: nothing is examined, so nothing is proved.
    server.databases()
    measured: dict[str, Measured] = {}
    with err.status("examining", spinner="line") as status:
        server.progress = status.update
        for result in examination.measure(server, ALL, case, lambda check: _earlier(measured, check)):
            measured[result.measure] = result
    findings = examination.judge(ALL, case, measured)
    verdict = worst([finding.verdict for finding in findings])
    if as_json:
        print_json(
            {"verdict": verdict, "findings": [finding.model_dump(mode="json") for finding in findings]}
        )
    else:
        out.print(terminal.findings(verdict, findings))
    return verdict.exit_status


def _earlier(measured: dict[str, Measured], check: Check[Any]) -> Measured | None:
    return measured.get(examination.measure_name(check))


def _asked(checks: Checks, only: list[str]) -> frozenset[str]:
    """Return what is asked; without seal and witness the checks that live of them have nothing to say."""
    names = [check.name for check in ALL]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise PlanError(
            f"--only names no check: {', '.join(map(repr, unknown))}",
            hint=f"the checks are {', '.join(names)}",
        )
    if only:
        return frozenset(only)
    return examination.asked(ALL, checks) - {check.name for check in ALL if check.needs_seal}
