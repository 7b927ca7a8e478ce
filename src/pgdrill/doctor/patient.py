"""What the doctor is asked about and what an answer is. Plain data."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from pgdrill.aws.surroundings import Surroundings
from pgdrill.cell import Cell
from pgdrill.model import Clock, Model
from pgdrill.plan import DatabasePlan


class Status(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


class Answer(Model):
    """`value` is what was found, `hint` what to do where it is not well; `down` that a service did not answer."""

    region: str
    database: str | None
    question: str
    status: Status
    value: str
    hint: str = ""
    down: bool = Field(default=False, exclude=True)


class Patient(NamedTuple):
    """A region with its surroundings, and one database where the question is about one."""

    cell: Cell
    around: Surroundings
    clock: Clock
    named: DatabasePlan | None = None

    @property
    def database(self) -> DatabasePlan:
        if self.named is None:
            raise ValueError("the question is about no database")
        return self.named

    @property
    def primary(self) -> bool:
        return self.cell.place == self.cell.plan.primary


Question = Callable[[Patient], str]
