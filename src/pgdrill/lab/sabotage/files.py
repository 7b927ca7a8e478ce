"""Damage to the files of a backup, as hardware, file systems and broken copies do it. Writes only into the backup."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from pgdrill.errors import NotRunnable
from pgdrill.lab import postgres
from pgdrill.lab.cluster import Query
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.sabotage import pages
from pgdrill.lab.sabotage.pages import Page
from pgdrill.lab.sabotage.things import TABLE, Apply, Target, Thing, find, find_all, opened


def in_file(query: Query, damage: Callable[[Path, Thing], str]) -> Apply:
    def apply(backup: Path, binaries: Binaries, target: Target) -> str:
        with opened(backup, binaries) as cluster:
            thing = find(cluster, query, target)
        return damage(backup / thing.file, thing)

    return apply


def flip(file: Path, thing: Thing) -> str:
    page = _middle(file, lambda page: page.items > 0)
    byte, bit = (page.upper + page.special) // 2, 3
    _put(file, page.flipped(byte, bit))
    return f"flipped bit {bit} of byte {byte} on page {page.number} of {thing}"


def flip_unseen(file: Path, thing: Thing) -> str:
    page = _middle(file, lambda page: bool(page.rows()))
    byte, bit = page.rows()[0].stop - 1, 0
    _put(file, page.flipped(byte, bit).signed())
    return f"flipped bit {bit} of byte {byte} on page {page.number} of {thing}, with a valid checksum"


def truncate(file: Path, thing: Thing) -> str:
    count = file.stat().st_size // pages.SIZE
    kept = count * 3 // 4
    os.truncate(file, kept * pages.SIZE)
    return f"cut the last {count - kept} of {count} pages off {thing}"


def zero_page(file: Path, thing: Thing) -> str:
    page = _middle(file, lambda page: page.items > 0)
    _put(file, Page(page.number, bytes(pages.SIZE)))
    return f"zeroed page {page.number} of {thing}, which checksums do not see"


def zero_file(file: Path, thing: Thing) -> str:
    size = file.stat().st_size
    os.truncate(file, 0)
    os.truncate(file, size)
    return f"zeroed all {size // pages.SIZE} pages of {thing}"


def swap_pages(file: Path, thing: Thing) -> str:
    one, next_one = _neighbours(file)
    _put(file, Page(one.number, next_one.content).signed(), Page(next_one.number, one.content).signed())
    return f"swapped pages {one.number} and {next_one.number} of {thing}, with valid checksums"


def double_page(file: Path, thing: Thing) -> str:
    one, next_one = _neighbours(file)
    _put(file, Page(next_one.number, one.content).signed())
    return f"wrote page {one.number} of {thing} over page {next_one.number}, with a valid checksum"


def lose_write(backup: Path, binaries: Binaries, target: Target) -> str:
    """Put an older page back, as storage does that confirmed a write and lost it."""
    older = _other(target)
    with opened(backup, binaries) as cluster:
        tables = find_all(cluster, TABLE, target)
    for table in tables:
        if (older / table.file).exists():
            with contextlib.suppress(NotRunnable):
                return _put_back(backup / table.file, older / table.file, table)
    raise NotRunnable(
        f"no page in {backup.name} has other rows than in {older.name}",
        hint="choose an older snapshot of the same instance",
    )


def _put_back(file: Path, older: Path, table: Thing) -> str:
    def has_changed(page: Page) -> bool:
        before = _page(older, page.number)
        return before.data() != page.data() and before.is_whole

    page = _middle(file, has_changed)
    _put(file, _page(older, page.number))
    return f"put page {page.number} of {table} back to what it was in the other backup"


def in_commit_log(damage: Callable[[Path], str]) -> Apply:
    def apply(backup: Path, binaries: Binaries, _: Target) -> str:
        with opened(backup, binaries):
            pass
        return damage(max((backup / "pg_xact").iterdir()))

    return apply


def remove_commit_log(segment: Path) -> str:
    segment.unlink()
    return f"removed commit-log segment pg_xact/{segment.name}"


def zero_commit_log(segment: Path) -> str:
    segment.write_bytes(bytes(segment.stat().st_size))
    return f"zeroed commit-log segment pg_xact/{segment.name}"


def swap(backup: Path, _: Binaries, target: Target) -> str:
    other = _other(target)
    for entry in backup.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    postgres.run("cp", "-Rp", f"{other.absolute()}/.", backup)
    return f"replaced {backup.name} with {other.name}"


def hole(archive: Path, _: Binaries, __: Target) -> str:
    """Remove a segment that recovery from the newest backup needs, with others after it."""
    names = sorted(file.name for file in archive.iterdir())
    # A backup leaves a small file in the archive, named after the segment that it starts with.
    start = max((name[:24] for name in names if name.endswith(".backup")), default="")
    segments = [name for name in names if re.fullmatch("[0-9A-F]{24}", name) and name > start]
    if len(segments) < 3:
        raise NotRunnable(
            f"only {len(segments)} segments since the last backup in the archive {archive}",
            hint="wait for more to come",
        )
    segment = segments[len(segments) // 2]
    (archive / segment).unlink()
    return f"removed segment {segment} from the archive, one of {len(segments)} since the last backup"


def _other(target: Target) -> Path:
    if target.other is None:
        raise NotRunnable("no other backup given", hint="name the snapshot that takes its place")
    return target.other


def _page(file: Path, number: int) -> Page:
    with file.open("rb") as content:
        content.seek(number * pages.SIZE)
        return Page(number, content.read(pages.SIZE).ljust(pages.SIZE, b"\0"))


def _put(file: Path, *changed: Page) -> None:
    with file.open("r+b") as content:
        for page in changed:
            content.seek(page.number * pages.SIZE)
            content.write(page.content)


def _middle(file: Path, wanted: Callable[[Page], bool]) -> Page:
    """Return the page nearest to the middle of the file that is wanted."""
    count = file.stat().st_size // pages.SIZE
    for number in sorted(range(count), key=lambda number: abs(number - count // 2)):
        page = _page(file, number)
        if wanted(page):
            return page
    raise NotRunnable(
        f"none of the {count} pages of {file.name} can be damaged so", hint="choose a larger table"
    )


def _neighbours(file: Path) -> tuple[Page, Page]:
    one = _middle(file, lambda page: page.items > 0 and _page(file, page.number + 1).items > 0)
    return one, _page(file, one.number + 1)
