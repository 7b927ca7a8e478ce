"""What a lab writes down of itself, `lab.json`: which settings it has, which process runs it, whether to trust it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from pgdrill import __version__
from pgdrill.errors import NotRunnable
from pgdrill.model import Model

FILE = "lab.json"
REGIONS = ("ap-southeast-1", "ap-northeast-1")


class Settings(Model):
    """`port` 0 takes a free one; `archive_every` is seconds between archived WAL segments (300 in AWS).

    `amcheck` says whether the master user may execute it; `auth` turns on signatures and IAM policies.
    `manual_snapshots` is the quota of each region, 100 in AWS unless raised. Without `bends` the emulator is left as
    it is, which is of use to their tests alone. `waits` is how long a state machine waits, before a retry as well, of
    what its definition says.
    """

    port: int = Field(default=0, ge=0, le=65535)
    amcheck: Literal["granted", "refused"] = "granted"
    archive_every: float = Field(default=1.0, gt=0)
    auth: bool = False
    bends: bool = True
    manual_snapshots: int = Field(default=100, ge=1)
    waits: float = Field(default=1.0, ge=0, le=1)


class Record(Model):
    """What marks a directory as a lab's.

    `ready` says that the world was made. `kept` is True only after a clean end: state that a killed process left is
    not trusted.
    """

    version: str = __version__
    regions: tuple[str, str] = REGIONS
    settings: Settings = Settings()
    port: int = 0
    pid: int | None = None
    ready: bool = False
    kept: bool = False

    @staticmethod
    def read(directory: Path) -> "Record | None":
        """Read the record of the lab in a directory; None where there is none.

        Raises:
            NotRunnable: a record that this version does not understand.
        """
        path = directory / FILE
        try:
            return Record.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise NotRunnable(
                f"{str(path)!r} is not a record that version {__version__} of the lab understands",
                hint=f"end that lab with the version that began it, or remove {str(directory)!r}",
            ) from error

    def write(self, directory: Path) -> None:
        aside = directory / f"{FILE}.new"
        aside.write_text(self.model_dump_json(indent=2), encoding="utf-8")
        aside.replace(directory / FILE)
