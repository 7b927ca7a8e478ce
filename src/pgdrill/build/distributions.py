"""The files of the packages that a function needs: those installed here, or wheels for another platform.

Reads requirements.lock, and starts pip where wheels are missing; writes below pgdrill's cache folder alone.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZipFile

from pgdrill.errors import NotRunnable, Unavailable

HOST: Final = "host"
# What Lambda runs on: Amazon Linux 2023 has glibc 2.34, so wheels of these platforms load, the first that is there.
_TAGS = {
    "linux_aarch64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
    "linux_x86_64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
}
PLATFORMS = (HOST, *_TAGS)
PYTHON = "3.13"

# A wheel may keep its modules apart from what goes elsewhere, such as scripts.
_DATA = re.compile(r"[^/]+\.data/(?:purelib|platlib)/|([^/]+\.data/)")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) .*\n(?:^    --hash=\S+.*\n?)+", re.MULTILINE)


def cache() -> Path:
    """Return the folder that keeps wheels for the next build."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgdrill"


def files(platform: str, names: Sequence[str], lock: Path, cache: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file of the packages named, in the versions of the lock.

    Raises:
        NotRunnable: a package is not in the lock, or another version of it is installed here; no such platform.
        Unavailable: wheels are not cached, and pip could not fetch them.
    """
    pins = _pins(lock, names)
    if platform == HOST:
        for name, (version, _) in pins.items():
            yield from _installed(name, version)
        return
    if platform not in _TAGS:
        raise NotRunnable(
            f"no zip can be made for platform {platform!r}", hint=f"ask for one of: {', '.join(PLATFORMS)}"
        )
    for wheel in _wheels(platform, pins, cache):
        yield from _unpacked(wheel)


def _pins(lock: Path, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return version and lines, with digests, of each package in the lock."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise NotRunnable(
            f"the lock cannot be read: {error}", hint="build from a checkout, where requirements.lock is"
        ) from error
    found = {match[1]: (match[2], match[0]) for match in _PIN.finditer(text)}
    missing = [name for name in names if name not in found]
    if missing:
        raise NotRunnable(
            f"{lock.name} does not hold {', '.join(missing)}", hint="write it anew with: make lock"
        )
    return {name: found[name] for name in names}


def _installed(name: str, version: str) -> Iterator[tuple[str, bytes]]:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise NotRunnable(
            f"{name} is not installed here", hint="install what is locked with: make setup"
        ) from error
    if found.version != version:
        raise NotRunnable(
            f"{name} {found.version} is installed here, the lock says {version}",
            hint="install what is locked with: make setup",
        )
    for path in found.files or []:
        if ".." not in path.parts:
            yield path.as_posix(), path.read_binary()


def _wheels(platform: str, pins: dict[str, tuple[str, str]], cache: Path) -> list[Path]:
    """Return a wheel of each package, from the cache once they are there."""
    wanted = "".join(lines for _, lines in pins.values())
    key = sha256(f"{platform} {PYTHON}\n{wanted}".encode()).hexdigest()[:16]
    folder = cache / "wheels" / key
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as scratch:
            _download(platform, wanted, Path(scratch))
            # The name is there once everything is, and another build's may have come first.
            try:
                (Path(scratch) / "wheels").rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    return sorted(folder.glob("*.whl"))


def _download(platform: str, wanted: str, scratch: Path) -> None:
    requirements = scratch / "requirements.txt"
    requirements.write_text(wanted, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--require-hashes",
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={PYTHON}",
    ]
    command += [f"--platform={tag}" for tag in _TAGS[platform]]
    command += [f"--dest={scratch / 'wheels'}", f"--requirement={requirements}"]
    # S603: a list of arguments, none of them from outside.
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Unavailable(
            f"pip could not fetch the wheels of {platform}: {told[-1]}",
            hint="it needs the package index once for each lock; --platform host makes a zip without",
        )


def _unpacked(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with ZipFile(wheel) as archive:
        for entry in archive.infolist():
            beside = _DATA.match(entry.filename)
            if entry.is_dir() or (beside and beside[1]):
                continue
            yield entry.filename[beside.end() if beside else 0 :], archive.read(entry)
