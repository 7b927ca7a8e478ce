"""The plan, `pgdrill.toml`: which databases, which objectives, where a drill runs, which checks with which limits.

Strict: an unknown key, a missing tag or an impossible value is an error that names key, value and remedy.
"""

import json
import tomllib
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from pgdrill.errors import PlanError
from pgdrill.model import JSON
from pgdrill.sections import (
    Allowed,
    Assertion,
    CellPlan,
    Checks,
    Copies,
    Cost,
    DatabasePlan,
    DrillPlan,
    Exports,
    Freeze,
    Notify,
    Objectives,
    Place,
    Points,
    Rows,
    Section,
    Stack,
    Tags,
)
from pgdrill.values import Duration, duration, spelled

# All that a plan is made of is had from here.
__all__ = [
    "PREFIX",
    "Allowed",
    "Assertion",
    "CellPlan",
    "Checks",
    "Copies",
    "Cost",
    "DatabasePlan",
    "DrillPlan",
    "Duration",
    "Exports",
    "Freeze",
    "Notify",
    "Objectives",
    "Place",
    "Plan",
    "Points",
    "Rows",
    "Stack",
    "Tags",
    "duration",
    "spelled",
]

PREFIX = "pgdrill"


class Plan(Section):
    """What pgdrill does, for which databases, where, and within which limits."""

    stack: Stack
    tags: Tags
    primary: CellPlan
    dr: CellPlan
    objectives: Objectives = Objectives()
    points: Points = Points()
    copies: Copies = Copies()
    exports: Exports = Exports()
    databases: tuple[DatabasePlan, ...] = Field(min_length=1, alias="database")
    drill: DrillPlan = DrillPlan()
    checks: Checks = Checks()
    notify: Notify = Notify()
    cost: Cost = Cost()

    @model_validator(mode="after")
    def _apart(self) -> "Plan":
        if self.primary.region == self.dr.region:
            raise ValueError(
                f"primary and dr are both in {self.dr.region!r}; the loss of a region is what dr is for"
            )
        for what in ("name", "instance"):
            values = [getattr(database, what) for database in self.databases]
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"two databases have the same {what}: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read and validate a plan, in TOML, or in JSON where the file is named so.

        Raises:
            PlanError: not there, not readable, or not valid; the message names every wrong key.
        """
        as_json = path.suffix == ".json"
        try:
            text = path.read_text(encoding="utf-8")
            content = json.loads(text) if as_json else tomllib.loads(text)
        except FileNotFoundError as error:
            raise PlanError(
                f"no plan at {str(path)!r}", hint="name one with --plan, or start a lab with: pgdrill lab up"
            ) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
            kind = "JSON" if as_json else "TOML"
            raise PlanError(
                f"plan {str(path)!r} cannot be read: {error}", hint=f"the plan is a {kind} file in UTF-8"
            ) from error
        return cls.of(content, str(path))

    @classmethod
    def of(cls, content: JSON, origin: str) -> "Plan":
        """Validate what a plan holds; `origin` says in errors where that came from.

        Raises:
            PlanError: not valid; the message names every wrong key.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise PlanError(
                f"plan {origin!r} is not valid: {'; '.join(problems(error))}",
                hint="correct the keys named above; docs/plan.md lists them all",
            ) from error

    def to_json(self) -> str:
        """Return the plan as `load` reads it from a `.json` file, with every default written out."""
        return self.model_dump_json(by_alias=True)

    def digest(self) -> str:
        """Return the SHA-256 of the plan as JSON, by which evidence names it."""
        return sha256(self.to_json().encode()).hexdigest()

    def key(self) -> str:
        """Return where a deployed plan lies in the evidence bucket: its name says what it holds, so none changes."""
        return f"plan/{self.digest()}.json"

    def database(self, name: str | None) -> DatabasePlan:
        """Return the database of that name, or the only one.

        Raises:
            PlanError: unknown name, or no name where there are several.
        """
        names = [database.name for database in self.databases]
        if name is None and len(names) == 1:
            return self.databases[0]
        for database in self.databases:
            if database.name == name:
                return database
        what = "several databases in the plan" if name is None else f"database {name!r} is not in the plan"
        raise PlanError(what, hint=f"name one of them with --database: {', '.join(names)}")

    def temporary(self, database: DatabasePlan) -> str:
        """Return the identifier of the temporary instance; one a database, so RDS itself is the lock."""
        return f"{PREFIX}-{self.stack.suffix}-drill-{database.name}"

    def recovered(self, database: DatabasePlan, now: datetime) -> str:
        """Return the identifier of an instance that is recovered at a moment and stays; RDS takes 63 characters."""
        head, time = f"{PREFIX}-{self.stack.suffix}-recovered-", f"{now:%Y%m%d%H%M%S}"
        name = database.name[: 63 - len(head) - len(f"-{time}")].rstrip("-")
        return f"{head}{name}-{time}"

    def point_prefix(self, database: DatabasePlan) -> str:
        return f"{PREFIX}-{self.stack.suffix}-{database.name}-"


def problems(error: ValidationError) -> list[str]:
    """Return `key: what` for every problem, with the value where it is not the cause of a missing key."""
    problems = []
    within = {problem["loc"][0] for problem in error.errors() if len(problem["loc"]) > 1}
    for problem in error.errors():
        if problem["type"] == "too_short" and problem["loc"][-1] in within:
            continue  # a table that is there and wrong is not one too few
        key = ".".join(str(part) for part in problem["loc"]) or "plan"
        what = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            what = "unknown key"
        elif problem["type"] == "missing":
            what = "missing"
        problems.append(f"{key}: {what}")
    return problems
