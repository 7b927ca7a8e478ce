"""What the lab has deployed, `deployment.json` in its directory: the resources in the order in which they were made.

Holds no secret.
"""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pgdrill.errors import Broken
from pgdrill.lab.deploy.entry import Made
from pgdrill.model import Model

FILE = "deployment.json"
OUTPUTS = Path("cfn-outputs") / "flat-outputs.json"
PLAN = "deployed-plan.json"


class Deployment(Model):
    """A resource stands after everything that it depends on."""

    resources: tuple[Made, ...] = ()
    outputs: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> "Deployment":
        """Read what is deployed; nothing where nothing was ever written.

        Raises:
            Broken: the file is not what this version writes.
        """
        path = directory / FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise Broken(
                f"{str(path)!r} does not say what is deployed: {error.error_count()} errors",
                hint="begin anew with: pgdrill lab down && pgdrill lab up",
            ) from error

    def write(self, directory: Path) -> None:
        aside = directory / f"{FILE}.new"
        aside.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        aside.replace(directory / FILE)
