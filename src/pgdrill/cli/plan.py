"""`pgdrill plan`: see whether a plan is valid."""

import typer

from pgdrill import examination
from pgdrill.checks.registry import ALL
from pgdrill.cli.context import DEFAULT_PLAN, JsonOption, PlanOption, out, print_json
from pgdrill.plan import Plan

app = typer.Typer(help="The plan, pgdrill.toml.", no_args_is_help=True)


@app.command()
def check(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Validate a plan without calling anything; with --json, print it with every default filled in."""
    loaded = Plan.load(plan)
    asked = examination.asked(ALL, loaded.checks)
    if as_json:
        print_json(loaded.model_dump(mode="json", by_alias=True))
    else:
        names = ", ".join(database.name for database in loaded.databases)
        out.print(f"valid: {names}; {len(asked)} of {len(ALL)} checks asked", markup=False)


@app.command()
def schema() -> None:
    """Print the plan's JSON Schema, for editors."""
    print_json(Plan.model_json_schema(by_alias=True))
