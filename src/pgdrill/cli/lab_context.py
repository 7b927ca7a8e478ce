"""What the commands of the lab share: which lab, which region, and a word where the extra `lab` is not installed."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgdrill.errors import NotRunnable

if TYPE_CHECKING:
    from pgdrill.lab.lab import Lab

DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        envvar="PGDRILL_LAB",
        help="Where the lab lives: /var/lib/pgdrill/lab for root, else $XDG_STATE_HOME/pgdrill/lab, unless given.",
        show_default=False,
    ),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="Which region; the primary one unless given.")
]


def open_lab(directory: Path | None) -> "Lab":
    missing = [
        name for name in ("cryptography", "ministack", "psutil") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise NotRunnable(
            f"the lab needs {', '.join(missing)}, not installed here", hint="pip install 'pgdrill[lab]'"
        )
    from pgdrill.lab.lab import Lab  # noqa: PLC0415 # the product installs without the lab

    return Lab(directory)
