"""Photographs what pgdrill shows, for the documents: dashboards, a report, a compliance matrix; writes docs/pictures.

`make pictures`. Needs a Chromium on PATH; what is shown is the example of the tests, always the same.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageChops

from pgdrill.compliance import matrix
from pgdrill.compliance.period import Period
from pgdrill.dashboard.page import page
from pgdrill.evidence.report import report
from tests.unit.compliance.test_demands import copied, period, weekly
from tests.unit.dashboard.example import shown
from tests.unit.evidence.drills import drilled, summaries, torn_down
from tests.unit.snapshots import AWAY, HOME

FOLDER = Path(__file__).parents[3] / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Higher than any page; what is empty below is cut off.
TALL = 6000
COLOURS = 200


@dataclass(frozen=True)
class Picture:
    """`height` is where the picture ends, if the page goes on."""

    name: str
    html: Callable[[], str]
    width: int = 1280
    height: int = TALL
    dark: bool = False


PICTURES = (
    Picture("dashboard", lambda: page(*shown(HOME))),
    Picture("dashboard-dark", lambda: page(*shown(HOME)), height=1120, dark=True),
    Picture("dashboard-dr", lambda: page(*shown(AWAY)), height=1120),
    Picture(
        "report", lambda: report(drilled(), torn_down(drilled()), summaries(12)), width=1060, height=1700
    ),
    Picture("matrix", lambda: matrix.page(matrix.matrix(_month())), width=1060, height=1400),
)


def _month() -> Period:
    return period(*weekly(), copied())


def photograph(picture: Picture, browser: str, folder: Path) -> None:
    """Take one picture and keep it small."""
    with TemporaryDirectory(prefix="pgdrill-pictures-") as made:
        source, taken = Path(made, "page.html"), Path(made, "page.png")
        source.write_text(_dark(picture.html()) if picture.dark else picture.html(), encoding="utf-8")
        subprocess.run(
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={made}/profile",
                f"--window-size={picture.width},{TALL}",
                f"--screenshot={taken}",
                source.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        with Image.open(taken) as whole:
            image = whole.convert("RGB")
    image = image.crop((0, 0, image.width, min(picture.height, _end(image))))
    small = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(folder / f"{picture.name}.png", optimize=True)


def _dark(html: str) -> str:
    """Show a page as one who prefers the dark sees it; its policy knows the style by its digest, and has to go."""
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    return re.sub(r"@media (screen and )?\(prefers-color-scheme: dark\)", "@media all", html)


def _end(image: Image.Image) -> int:
    """Return where a page ends: below there is its background alone."""
    background = Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))
    box = ImageChops.difference(image, background).getbbox()
    return min(image.height, box[3] + 24) if box else image.height


def main() -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is on PATH; on Debian: apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    for picture in PICTURES:
        photograph(picture, browser, FOLDER)


if __name__ == "__main__":
    main()
