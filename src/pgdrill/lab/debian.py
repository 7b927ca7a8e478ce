"""Fetches PostgreSQL's server from Debian's registries where a machine has none.

As root it installs the package and makes no cluster and starts no service with it; as an ordinary user it
unpacks the packages into a folder and changes nothing else.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pgdrill.errors import NotRunnable

PREFERRED, OLDEST = 15, 15
ADVICE = "add PostgreSQL's own repository, https://wiki.postgresql.org/wiki/Apt, then: apt-get install postgresql-15"

# Read by postgresql-common before a package's own cluster is made. Source: pg_createcluster(1).
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/pgdrill.conf")


def is_here() -> bool:
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


def install() -> None:
    """Install the server's package, without a cluster. For root alone.

    Raises:
        NotRunnable: there is no such package, or it could not be installed.
    """
    package = _choose([])
    _say(f"installing {package} from Debian's registry ...")
    with _no_cluster():
        _apt("apt-get", "install", "--yes", "--no-install-recommends", package)


def unpack(target: Path) -> None:
    """Unpack the server's package, and all that it needs and the system lacks, into a folder.

    Raises:
        NotRunnable: there is no such package, or it could not be fetched.
    """
    state = target / ".apt"
    options = []
    for option, folder in (("State", "state"), ("Cache", "cache")):
        (state / folder).mkdir(parents=True)
        options += ["-o", f"Dir::{option}={state / folder}"]
    (state / "state" / "lists" / "partial").mkdir(parents=True)
    (state / "cache" / "archives" / "partial").mkdir(parents=True)
    options += ["-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Debug::NoLocking=true"]
    package = _choose(options)
    _say(f"fetching {package} from Debian's registry into {target.parent} ...")
    _apt("apt-get", *options, "install", "--yes", "--no-install-recommends", "--download-only", package)
    for archive in sorted((state / "cache" / "archives").glob("*.deb")):
        _apt("dpkg-deb", "--extract", str(archive), str(target))
    shutil.rmtree(state)


def libraries(unpacked: Path) -> tuple[Path, ...]:
    """Return the folders of shared libraries below an unpacked folder."""
    return tuple(sorted({library.parent for library in unpacked.glob("**/lib/*-linux-*/lib*.so*")}))


def _choose(options: list[str]) -> str:
    """Return the name of the server's package, of the preferred version or else of the newest."""
    for refreshed in (False, True):
        if refreshed:
            _say("reading Debian's lists of packages ...")
            _apt("apt-get", *options, "update")
        listed = _apt("apt-cache", *options, "search", "--names-only", "^postgresql-[0-9]+$")
        versions = sorted(int(version) for version in re.findall(r"(?m)^postgresql-(\d+) ", listed))
        if PREFERRED in versions:
            return f"postgresql-{PREFERRED}"
        if versions and versions[-1] >= OLDEST:
            return f"postgresql-{versions[-1]}"
    raise NotRunnable(f"this release of Debian has no PostgreSQL {OLDEST} or later", hint=ADVICE)


@contextlib.contextmanager
def _no_cluster() -> Iterator[None]:
    """Keep the package from making a cluster of its own, and leave no trace of that."""
    made = [folder for folder in reversed(NO_CLUSTER.parents) if not folder.exists()]
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = off\n", encoding="ascii")
    try:
        yield
    finally:
        NO_CLUSTER.unlink()
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _apt(*command: str) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        words = [
            line for line in done.stderr.splitlines() if line.startswith("E:")
        ] or done.stderr.splitlines()
        raise NotRunnable(
            f"{command[0]} ended with status {done.returncode}: {' '.join(words[:1])}",
            hint=f"to see all of it, run: {' '.join(command)}",
        )
    return done.stdout


def _say(what: str) -> None:
    sys.stderr.write(what + "\n")
