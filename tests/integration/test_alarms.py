"""Every alarm of the deployed system: its cause is made to happen, and the notification arrives in time, and no other."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import pytest

from pgdrill.plan import Plan
from pgdrill.watching.alarm_model import DOCUMENT
from pgdrill.watching.alarms import BY_NAME
from tests.integration import causes, labs
from tests.integration.causes import CHAPTERS, QUOTA, Cause, Chapter
from tests.integration.scene import MINUTE, Scene, Told

pytestmark = pytest.mark.timeout(900)
CAUSES = [pytest.param(chapter, cause, id=cause.name) for chapter in CHAPTERS for cause in chapter.causes]
chapters = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)


class Story(NamedTuple):
    """What alarms told while all was well, then in each chapter, and once it was over; from when its minutes count."""

    well: list[Told]
    counted: dict[str, datetime]
    told: dict[str, list[Told]]
    after: dict[str, list[Told]]
    plan: Plan


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with labs.deployed(
        causes.settings(), rows=200, waits=0.01, manual_snapshots=QUOTA, archive_every=0.2
    ) as lab:
        yield lived(Scene(lab))


def lived(scene: Scene) -> Story:
    scene.begin()
    scene.passes(4 * MINUTE)
    story = Story(scene.told(), {}, {}, {}, scene.plan)
    for chapter in CHAPTERS:
        story.counted[chapter.title] = chapter.happens(scene)
        scene.passes(chapter.lasts)
        story.told[chapter.title] = scene.told()
        if chapter.over:
            chapter.over(scene)
            scene.passes(11 * MINUTE)
        story.after[chapter.title] = scene.told()
    return story


def fired(told: list[Told]) -> set[tuple[str, str]]:
    return {(one.cell, one.name) for one in told if one.state == "ALARM"}


def test_every_alarm_has_a_cause() -> None:
    assert {cause.alarm for chapter in CHAPTERS for cause in chapter.causes} == set(BY_NAME)


def test_nothing_speaks_while_all_is_well(story: Story) -> None:
    assert fired(story.well) == set()


@pytest.mark.parametrize(("chapter", "cause"), CAUSES)
def test_a_cause_is_told_in_time_to_whom_it_concerns(story: Story, chapter: Chapter, cause: Cause) -> None:
    alarm = BY_NAME[cause.alarm]
    letters = [
        one
        for one in story.told[chapter.title]
        if (one.state, one.cell, one.name) == ("ALARM", cause.cell, cause.name)
    ]
    (letter,) = letters
    assert letter.topic == alarm.topic
    region = (story.plan.primary if cause.cell == "primary" else story.plan.dr).region
    what, *_, read = letter.text.splitlines()
    assert what.startswith(cause.of or region) or region in what
    assert read == f"Read: {DOCUMENT}#{cause.alarm}"
    # An alarm may speak in the very minute; a part of a minute before is the minute's, since windows end with whole ones.
    after = letter.when - story.counted[chapter.title]
    assert -MINUTE <= after <= alarm.told_after(story.plan)


@chapters
def test_nothing_else_speaks(story: Story, chapter: Chapter) -> None:
    expected = {(cause.cell, cause.name) for cause in chapter.causes} | chapter.also
    spoke = fired(story.told[chapter.title])
    assert {(cell, name) for cell, name in spoke if cell not in chapter.apart} == expected
    assert fired(story.after[chapter.title]) == set()


@chapters
def test_what_is_over_is_told_as_well(story: Story, chapter: Chapter) -> None:
    told = {(one.cell, one.name) for one in story.after[chapter.title] if one.state == "OK"}
    assert chapter.heals <= told
