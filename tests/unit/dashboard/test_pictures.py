"""The pictures of the documents are those that `make pictures` makes, small, and each stands in a document."""

import re

from PIL import Image

from tests.unit.dashboard.pictures import FOLDER, PICTURES

KILOBYTES = 300


def test_every_picture_is_made_and_shown() -> None:
    made = {picture.name for picture in PICTURES}
    shown = set(re.findall(r"\(pictures/([\w-]+)\.png\)", (FOLDER.parent / "dashboard.md").read_text()))
    assert {path.stem for path in FOLDER.iterdir()} == made == shown


def test_a_picture_is_small_and_of_the_width_it_was_taken_in() -> None:
    for picture in PICTURES:
        path = FOLDER / f"{picture.name}.png"
        assert path.stat().st_size < KILOBYTES * 1024
        with Image.open(path) as image:
            assert image.width == picture.width
            assert 500 < image.height <= picture.height
