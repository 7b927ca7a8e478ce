"""Makes the zip that a function runs from: the same files in the same order from the same checkout and lock.

With the same zlib they are the same bytes. Another one may pack them otherwise; then a function gets a new version with
nothing new in it. Not to pack them would make the one with Parquet three times as large.

Writes one file into the directory given, and into pgdrill's cache folder what others' packages are packed to: packing
them takes most of the time, and they change with the lock alone.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo
from zlib import crc32

from pgdrill.build import contents, distributions
from pgdrill.build.contents import Which
from pgdrill.errors import NotRunnable

# The files of this package, as they are in a checkout; and the lock beside them.
SOURCE = Path(__file__).parents[2]
LOCK = SOURCE.parent / "requirements.lock"
BUNDLE = SOURCE / "pgdrill" / "aws" / "rds-ca.pem"
# Where the boundary of the handlers looks for it, below the function's own folder.
BUNDLE_NAME = "rds-ca.pem"

# The first moment that a zip can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE = 0o100644 << 16


def build(
    directory: Path, *, platform: str, ca_bundle: Path = BUNDLE, which: str = "common", lock: Path = LOCK
) -> Path:
    """Write a zip and return its path; it replaces one of the same name, unless that holds the same files.

    `platform` is `host` for what is installed here, or what Lambda runs on, such as `linux_aarch64`.

    Raises:
        NotRunnable: what is installed here is not what is locked, or a name is unknown.
        Unavailable: the wheels of another platform are not at hand and cannot be fetched.
    """
    if which not in set(Which):
        raise NotRunnable(f"there is no zip {which!r}", hint=f"ask for one of: {', '.join(Which)}")
    theirs = _sorted(_theirs(platform, Which(which), lock))
    ours = _sorted([*_ours(), (BUNDLE_NAME, _bundle(ca_bundle))])
    name = f"pgdrill-{which}-{platform}.zip"
    begun = None
    with suppress(OSError):  # where there is no place for it, all is packed anew
        begun = _packed(distributions.cache() / "packed" / name, theirs)
    return _packed(directory / name, theirs | ours, begun=begun)


def covers(region: str) -> bool:
    """Tell whether the authorities that are shipped sign for databases of this region."""
    return f"\n# Amazon RDS {region} Root CA " in BUNDLE.read_text(encoding="ascii")


def _sorted(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    return dict(sorted(files))


def _packed(path: Path, held: dict[str, bytes], *, begun: Path | None = None) -> Path:
    """Write a zip of files in their order, unless it is there; `begun` is one that holds the first of them."""
    if _holds(path, held):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whoever reads the old one while this is written reads it to its end.
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    if begun:
        shutil.copyfile(begun, unfinished)
    with ZipFile(unfinished, "a", ZIP_DEFLATED) as archive:
        there = set(archive.namelist())
        for name, body in held.items():
            if name not in there:
                archive.writestr(_entry(name), body)
    return unfinished.replace(path)


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, _TIME)
    entry.create_system, entry.external_attr, entry.compress_type = _UNIX, _READABLE, ZIP_DEFLATED
    return entry


def _holds(path: Path, held: dict[str, bytes]) -> bool:
    """Tell whether an earlier build left these very files in this order."""
    try:
        with ZipFile(path) as archive:
            there = [(*_told(entry), entry.CRC) for entry in archive.infolist()]
    except (FileNotFoundError, BadZipFile):
        return False
    return there == [(*_told(_entry(name)), crc32(held[name])) for name in held]


def _told(entry: ZipInfo) -> tuple[str, tuple[int, ...], int, int, int]:
    return (entry.filename, entry.date_time, entry.create_system, entry.external_attr, entry.compress_type)


def _theirs(platform: str, which: Which, lock: Path) -> Iterator[tuple[str, bytes]]:
    names = contents.DISTRIBUTIONS[which]
    for path, body in distributions.files(platform, names, lock, distributions.cache()):
        if contents.wanted(path):
            yield path, body


def _ours() -> Iterator[tuple[str, bytes]]:
    for file in (SOURCE / "pgdrill").rglob("*"):
        path = file.relative_to(SOURCE).as_posix()
        if file.is_file() and contents.ours(path):
            yield path, file.read_bytes()


def _bundle(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotRunnable(
            f"the bundle of certificates cannot be read: {error}",
            hint="ca_bundle is the path of a PEM file with the authorities of RDS",
        ) from error
