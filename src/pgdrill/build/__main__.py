"""`python -m pgdrill.build`: writes the zips that functions run from, and says how large they are."""

from pathlib import Path
from typing import Annotated

import typer

from pgdrill.build import distributions, zips
from pgdrill.build.contents import Which
from pgdrill.errors import DrillError

Directory = Annotated[Path, typer.Argument(help="Where the zips are written.")]
Platform = Annotated[str, typer.Option(help=f"One of: {', '.join(distributions.PLATFORMS)}.")]
Bundle = Annotated[Path, typer.Option(help="The authorities that sign the certificates of RDS, as PEM.")]
Wanted = Annotated[list[Which] | None, typer.Option("--which", help="Only this zip.")]


def main(
    directory: Directory = Path("dist"),
    platform: Platform = "linux_aarch64",
    ca_bundle: Bundle = zips.BUNDLE,
    which: Wanted = None,
) -> None:
    """Write the zips that functions run from."""
    try:
        for each in which or tuple(Which):
            path = zips.build(directory, platform=platform, ca_bundle=ca_bundle, which=each)
            typer.echo(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    except DrillError as error:
        typer.echo(f"pgdrill: {error.message}\nHINT: {error.hint}", err=True)
        raise typer.Exit(error.exit_status) from error


if __name__ == "__main__":
    typer.run(main)
