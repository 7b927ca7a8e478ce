"""The functions of a cell, one thin handler each: where each runs, from what, and within which limits. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Network(StrEnum):
    """Where a function runs: production's network, or the cell's drill VPC. No function is in both."""

    PRODUCTION = "production"
    DRILL = "drill"


class Zip(StrEnum):
    COMMON = "common"
    PARQUET = "parquet"


class Where(StrEnum):
    BOTH = "both"
    PRIMARY = "primary"
    DR = "dr"


@dataclass(frozen=True)
class Function:
    """`timeout` in seconds, `memory` in MB; the handler is `pgdrill.handlers.<name>.handler`."""

    name: str
    network: Network = Network.DRILL
    where: Where = Where.BOTH
    zip: Zip = Zip.COMMON
    timeout: int = 60
    memory: int = 512

    @property
    def handler(self) -> str:
        return f"pgdrill.handlers.{self.name}.handler"

    def runs_in(self, *, primary: bool) -> bool:
        return self.where is Where.BOTH or (self.where is Where.PRIMARY) == primary


FUNCTIONS = (
    Function("beat", Network.PRODUCTION, Where.PRIMARY),
    Function("seal", Network.PRODUCTION, Where.PRIMARY, timeout=240),
    Function("take", where=Where.PRIMARY),
    Function("retain"),
    Function("copy", where=Where.DR),
    Function("export", where=Where.PRIMARY),
    Function("watch", timeout=40, memory=1024),
    Function("hear"),
    Function("choose"),
    Function("restore"),
    Function("observe"),
    Function("unlock"),
    Function("examine", timeout=900, memory=1024),
    Function("judge", timeout=300),
    Function("destroy"),
    Function("reap"),
    Function("confront", where=Where.PRIMARY, zip=Zip.PARQUET, timeout=900, memory=2048),
)
BY_NAME: Mapping[str, Function] = {function.name: function for function in FUNCTIONS}


def of_cell(*, primary: bool) -> tuple[Function, ...]:
    return tuple(function for function in FUNCTIONS if function.runs_in(primary=primary))
