"""`pgdrill plan`: see whether a plan is valid and can work, and what it makes, keeps and costs."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema
from rich.markup import escape
from rich.table import Table

from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.cli.context import DEFAULT_PLAN, JsonOption, PlanOption, clock, err, out, print_json
from pgdrill.drills import examination
from pgdrill.errors import NotRunnable
from pgdrill.model import JSON
from pgdrill.plan import Plan, spelled
from pgdrill.planning import cost, outlook, solver
from pgdrill.planning.cost import Estimate
from pgdrill.planning.obstacle import Facts, Obstacle, Severity

app = typer.Typer(help="The plan, pgdrill.toml.", no_args_is_help=True)

OnlineOption = Annotated[
    bool,
    typer.Option("--online", help="Ask RDS in both regions for quotas, windows, instances and versions."),
]
# Nothing hangs on colour alone: each severity is a word as well.
_STYLE = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.UNKNOWN: "dim"}


@app.command()
def check(plan: PlanOption = DEFAULT_PLAN, online: OnlineOption = False, as_json: JsonOption = False) -> int:
    """Say whether a plan is valid and can work; with --json, print it with every default filled in.

    Calls nothing unless --online. Exit status 2 where something stands in its way.
    """
    loaded = Plan.load(plan)
    obstacles = solver.solve(loaded, clock().now, _facts(loaded) if online else None)
    errors = sum(obstacle.severity is Severity.ERROR for obstacle in obstacles)
    if as_json:
        print_json(loaded.model_dump(mode="json", by_alias=True))
    _print_obstacles(obstacles, to=err if as_json else out)
    if not as_json:
        asked = examination.asked(ALL, loaded.checks)
        names = ", ".join(database.name for database in loaded.databases)
        what = f"{errors} error{'s' if errors > 1 else ''}" if errors else "valid"
        out.print(f"{what}: {names}; {len(asked)} of {len(ALL)} checks asked", markup=False)
    return 2 if errors else 0


@app.command()
def explain(
    plan: PlanOption = DEFAULT_PLAN,
    online: OnlineOption = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Also write the picture of the retention there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a plan makes in a year, keeps, costs a month, and what stands in its way."""
    loaded = Plan.load(plan)
    facts = _facts(loaded) if online else None
    real = solver.as_it_is(loaded, facts) if facts else loaded
    obstacles = solver.solve(loaded, clock().now, facts)
    if svg:
        _write(svg, outlook.svg(real))
    if as_json:
        print_json(
            {
                "online": online,
                "counts": [count.model_dump(mode="json") for count in outlook.counts(real)],
                "kept": [kept.model_dump(mode="json") for kept in outlook.retention(real)],
                "cost": cost.estimate(real).model_dump(mode="json"),
                "prices": {name: price.model_dump(mode="json") for name, price in cost.prices().items()},
                "obstacles": [obstacle.model_dump(mode="json") for obstacle in obstacles],
            }
        )
        return
    _print_counts(real)
    _print_retention(real)
    _print_cost(real, cost.estimate(real))
    out.print("\n[bold]What stands in its way[/]")
    _print_obstacles(obstacles)


@app.command()
def schema() -> None:
    """Print the plan's JSON Schema, for editors."""
    print_json(json_schema())


class _Schema(GenerateJsonSchema):
    """Defaults as the plan writes them. TOML has no null, so what may be left out has no default."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        inner = self.generate_inner(schema["schema"])
        given = schema.get("default")
        default = spelled(given) if isinstance(given, timedelta) else self.encode_default(given)
        return inner if default is None else {**inner, "default": default}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def json_schema() -> JSON:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Plan.model_json_schema(by_alias=True, schema_generator=_Schema),
    }


def _facts(plan: Plan) -> Facts:
    with err.status("asking RDS", spinner="line"):
        return solver.look(Cell.open(plan), Cell.open(plan, plan.dr), clock().now)


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise NotRunnable(
            f"cannot write {str(path)!r}: {error.strerror}", hint="name a file in a folder that is there"
        ) from error


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        numeric = column in {"a year", "kept", "likely", "at most"}
        table.add_column(column, justify="right" if numeric else "left", no_wrap=numeric)
    return table


def _print_counts(plan: Plan) -> None:
    out.print("[bold]What it makes[/]")
    table = _table("", "region", "a year", "kept")
    for count in outlook.counts(plan):
        kept = "all" if count.kept is None else f"{count.kept:,}"
        table.add_row(count.what, count.where, f"{count.a_year:,}", kept)
    out.print(table)


def _print_retention(plan: Plan) -> None:
    out.print("\n[bold]What it keeps of each database[/]")
    kinds = outlook.retention(plan)
    span = max(len(kept.days) for kept in kinds)
    most = max(day for kept in kinds for day in kept.days)
    for kept in kinds:
        label = f"{kept.what:8} {kept.keep:>5}  "
        out.print(f"{label}{outlook.blocks(kept, span, most)}", markup=False, no_wrap=True)
    out.print(" " * 16 + outlook.axis(span), style="dim", no_wrap=True)


def _print_cost(plan: Plan, estimate: Estimate) -> None:
    out.print("\n[bold]What it costs a month, in US dollars[/]")
    table = _table("", "region", "likely", "at most")
    for line in estimate.lines:
        detail = f"\n[dim]{escape(line.assumes)}[/]" if line.assumes else ""
        table.add_row(f"{escape(line.what)}{detail}", line.region, f"{line.usd:,.2f}", f"{line.most:,.2f}")
    table.add_section()
    table.add_row("[bold]total[/]", "", f"[bold]{estimate.total:,.2f}[/]", f"{estimate.most:,.2f}")
    out.print(table)
    out.print(f"and {estimate.once:,.2f} once, to send the first full copies")
    bearable = cost.bearable(plan)
    held = (
        "is passed though nothing changes"
        if bearable is None
        else f"holds up to {bearable:.0%} changed a day"
    )
    out.print(f"the ceiling of {estimate.ceiling:,.2f} {held}")
    for assumption in estimate.assumptions:
        out.print(f"- {assumption}", style="dim", markup=False)
    inferred = sorted(name for name, price in cost.prices().items() if price.inferred)
    seen = sorted(price.seen for price in cost.prices().values())
    out.print(
        f"- prices as of {seen[0]} to {seen[-1]}; inferred from other regions or sizes: {', '.join(inferred)};"
        " --json has all with their sources",
        style="dim",
        markup=False,
    )


def _print_obstacles(obstacles: tuple[Obstacle, ...], to: Any = out) -> None:
    for obstacle in obstacles:
        day = f" [from {obstacle.day}]" if obstacle.day else ""
        style = _STYLE[obstacle.severity]
        to.print(
            f"[{style}]{obstacle.severity.value}[/] {obstacle.key} = {escape(obstacle.value)}{escape(day)}"
        )
        to.print(f"  {obstacle.what}", markup=False, soft_wrap=True)
        to.print(f"  REMEDY: {obstacle.remedy}", markup=False, soft_wrap=True)
    if not obstacles and to is out:
        to.print("nothing")
