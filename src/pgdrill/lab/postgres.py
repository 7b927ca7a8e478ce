"""Finds or fetches PostgreSQL's server programs and makes of them a private copy that behaves as RDS does.

May start the system's package manager, and writes below pgdrill's cache folder alone (`cache`). PostgreSQL
never runs as root: `runner` says as whom it does.
"""

import contextlib
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypedDict

import psutil

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab import debian

OLDEST, PREFERRED = 15, 15
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
PLENTY = 6 * 2**30  # bytes of memory free, of which a lab takes a small part
NEEDED = ("postgres", "initdb", "pg_config", "pg_waldump")

# Extensions of contrib that a member of rds_superuser may create.
# Source: RDS for PostgreSQL release notes, "Extensions supported for RDS for PostgreSQL 15".
ALLOWED = (
    "amcheck", "bloom", "btree_gin", "btree_gist", "citext", "cube", "dblink", "dict_int", "dict_xsyn",
    "earthdistance", "fuzzystrmatch", "hstore", "intagg", "intarray", "isn", "ltree", "pg_buffercache",
    "pg_freespacemap", "pg_prewarm", "pg_stat_statements", "pg_trgm", "pg_visibility", "pgcrypto",
    "pgrowlocks", "pgstattuple", "postgres_fdw", "sslinfo", "tablefunc", "tsm_system_rows",
    "tsm_system_time", "unaccent", "uuid-ossp",
)  # fmt: skip

# amcheck revokes EXECUTE from everyone; whether RDS grants it to rds_superuser is a setting of the lab.
GRANT_AMCHECK = """
DO $grant$
DECLARE checker regprocedure;
BEGIN
  IF current_setting('rds.amcheck', true) IS DISTINCT FROM 'refused'
     AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser') THEN
    FOR checker IN
      SELECT d.objid::regprocedure FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
       WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass
         AND d.deptype = 'e' AND e.extname = 'amcheck'
    LOOP
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO rds_superuser', checker);
    END LOOP;
  END IF;
END
$grant$;
"""
# The wrapper belongs to rdsadmin; on RDS its members may make servers with it.
# Source: RDS User Guide, "Using the postgres_fdw extension to access external data".
GRANT_POSTGRES_FDW = """
DO $grant$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser') THEN
    GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO rds_superuser;
  END IF;
END
$grant$;
"""
GRANTS = {"amcheck": GRANT_AMCHECK, "postgres_fdw": GRANT_POSTGRES_FDW}


class Runner(TypedDict, total=False):
    """Keyword arguments of subprocess that drop root."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's programs in `bin`. `libraries` are folders of shared libraries that the system lacks."""

    bin: Path
    major: int
    version: str
    libraries: tuple[Path, ...] = ()

    @cached_property
    def environment(self) -> dict[str, str]:
        """Only what a server program needs: PGHOST and the like of the caller must not reach it."""
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        if self.libraries:
            kept["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, self.libraries))
        return kept | {"LC_ALL": "C", "TZ": "UTC"}

    def config(self, name: str) -> str:
        """Return what pg_config says of `bindir`, `sharedir`, `pkglibdir` or `version`."""
        return self.run("pg_config", f"--{name}").strip()

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run one of the programs to its end, not as root, and return its output.

        Raises:
            Broken: it ended with an error; the message holds it.
        """
        done = self.attempt(program, *arguments)
        _check(done)
        return done.stdout

    def attempt(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of the programs to its end, not as root, whatever it ends with."""
        return subprocess.run(
            [str(self.bin / program), *map(str, arguments)],
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **runner(),
        )


def run(*command: str | Path) -> str:
    """Run a program as PostgreSQL's user and return its output.

    Raises:
        Broken: it ended with an error; the message holds it.
    """
    done = subprocess.run(
        [*map(str, command)], cwd="/", capture_output=True, text=True, check=False, **runner()
    )
    _check(done)
    return done.stdout


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        errors = [line for line in lines if re.search(r"\b(error|fatal):", line, re.IGNORECASE)]
        raise Broken(
            f"{Path(done.args[0]).name} ended with status {done.returncode}: {(errors or lines)[0]}",
            hint=f"to see all of it, run: {' '.join(done.args)}",
        )


def runner() -> Runner:
    """Return how to start PostgreSQL: not as root but as `postgres` or `nobody`; else as who we are.

    Raises:
        NotRunnable: root, and there is neither of the two.
    """
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise NotRunnable(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it",
        hint="make such a user, or start pgdrill as an ordinary user",
    )


def give(path: Path) -> None:
    """Let a file or folder belong to the user who runs PostgreSQL."""
    account = runner()
    if account:
        os.chown(path, account["user"], account["group"])


def reachable(directory: Path) -> None:
    """See that whoever runs PostgreSQL can get to a directory.

    Raises:
        NotRunnable: one of the folders above it is closed.
    """
    account = runner()
    if not account:
        return
    for folder in directory.absolute().parents:
        if not folder.stat().st_mode & 0o001 and folder.stat().st_uid != account["user"]:
            raise NotRunnable(
                f"{folder} is closed to user {pwd.getpwuid(account['user']).pw_name!r}, who runs PostgreSQL",
                hint=f"choose another directory, or run: chmod o+x {folder}",
            )


def cache() -> Path:
    """Return pgdrill's cache folder, made. As root it lies where the user of `runner` can read it."""
    if os.geteuid() == 0:
        folder = Path("/var/cache/pgdrill")
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgdrill"
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    return folder


def scratch(prefix: str) -> Path:
    """Make a temporary folder that the user of `runner` can reach: in memory where there is plenty.

    TMPDIR says otherwise if it is set. A cluster has a thousand files, and some file systems are slow to make files after many were removed.
    """
    memory = Path("/dev/shm")  # noqa: S108  # mkdtemp makes the folder ours alone
    roomy = (
        "TMPDIR" not in os.environ
        and memory.is_dir()
        and min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) > PLENTY
    )
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=memory if roomy else None))
    folder.chmod(0o755)
    return folder


def find() -> Binaries:
    """Return the private copy of the best PostgreSQL at hand, fetching one where there is none.

    Raises:
        NotRunnable: there is none and none can be fetched here; the hint says what to install.
    """
    chosen = os.environ.get("PGDRILL_PG_BIN")
    if chosen:
        source = _look(Path(chosen))
        if source is None:
            raise NotRunnable(
                f"PGDRILL_PG_BIN={chosen} holds no PostgreSQL {OLDEST} or later with contrib",
                hint=f"it must hold {', '.join(NEEDED)}, and amcheck must be installed beside them",
            )
        return private(source)
    source = _best() or _fetched()
    if source is None:
        raise NotRunnable(
            f"no PostgreSQL {OLDEST} or later with contrib found",
            hint="install it: brew install postgresql@15, or dnf install postgresql15-server postgresql15-contrib;"
            " where it lies elsewhere, name the folder of its programs with PGDRILL_PG_BIN",
        )
    return private(source)


def _best() -> Binaries | None:
    found = [one for one in map(_look, _places()) if one]
    return min(found, key=lambda one: (one.major != PREFERRED, one.major), default=None)


def _fetched() -> Binaries | None:
    """Return a PostgreSQL fetched from Debian's registry, now or before; None where there is no such thing."""
    if not debian.is_here():
        return None
    if os.geteuid() == 0:
        debian.install()
        return _best()
    home = cache() / "debian"
    if not home.exists():
        with aside(home) as building:
            debian.unpack(building)
    for folder in home.glob("usr/lib/postgresql/*/bin"):
        source = _look(folder, debian.libraries(home))
        if source:
            return source
    return None


def private(source: Binaries) -> Binaries:
    """Return a copy of an installation in which rds_superuser may create what RDS lets it create.

    PostgreSQL finds its share and library folders relative to its own program, so a copy with the same
    relative layout is complete. Made aside and renamed, so two processes may do this at once.
    """
    folders = {name: Path(source.config(name)) for name in ("bindir", "sharedir", "pkglibdir")}
    folders["bindir"] = source.bin.resolve()
    prefix = Path(os.path.commonpath(list(folders.values())))
    program = (source.bin / "postgres").stat()
    identity = f"{source} {folders} {program.st_size} {program.st_mtime_ns} {ALLOWED} {GRANTS}"
    root = cache() / f"postgresql-{source.version}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    copy = {name: root / folder.relative_to(prefix) for name, folder in folders.items()}
    if not root.exists():
        with aside(root) as building:
            there = {name: building / folder.relative_to(prefix) for name, folder in folders.items()}
            shutil.copytree(folders["bindir"], there["bindir"])
            there["pkglibdir"].parent.mkdir(parents=True, exist_ok=True)
            there["pkglibdir"].symlink_to(folders["pkglibdir"])
            _share(folders["sharedir"], there["sharedir"])
            _let_read(building)
    binaries = Binaries(copy["bindir"], source.major, source.version, source.libraries)
    if Path(binaries.config("sharedir")) != copy["sharedir"]:
        raise Broken(
            f"PostgreSQL in {source.bin} cannot be relocated: its copy reads {binaries.config('sharedir')}",
            hint="name another installation with PGDRILL_PG_BIN",
        )
    return binaries


@contextlib.contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Build a folder aside; it takes its place at the end, unless another process was quicker."""
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    building.chmod(0o755)
    try:
        yield building
        try:
            building.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _share(source: Path, target: Path) -> None:
    """Link a share folder, with the extensions that RDS allows marked as trusted."""
    extensions = target / "extension"
    extensions.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name != "extension":
            (target / entry.name).symlink_to(entry)
    for entry in (source / "extension").iterdir():
        (extensions / entry.name).symlink_to(entry)
    for name in ALLOWED:
        control = extensions / f"{name}.control"
        if control.exists():
            _rewrite(control, re.sub(r"(?m)^trusted\b.*\n", "", control.read_text()) + "\ntrusted = true\n")
    for name, grant in GRANTS.items():
        told = (extensions / f"{name}.control").read_text()
        default = re.search(r"(?m)^default_version\s*=\s*'([^']+)'", told)
        # Every script that reaches the default version, be it by itself or as the last of several.
        for script in extensions.glob(f"{name}--*{default[1]}.sql") if default else ():
            _rewrite(script, script.read_text() + grant)


def _let_read(folder: Path) -> None:
    """Let everybody read a tree, whatever the umask it was made under."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if path.is_dir() or mode & 0o100 else 0))


def _rewrite(link: Path, text: str) -> None:
    link.unlink()
    link.write_text(text)


def _places() -> Iterator[Path]:
    """Yield every folder where server programs may lie."""
    on_path = shutil.which("pg_config")
    if on_path:
        with contextlib.suppress(Broken):
            yield Path(run(on_path, "--bindir").strip())
    for pattern in PLACES:
        yield from sorted(Path("/").glob(pattern.lstrip("/")))


def _look(folder: Path, libraries: tuple[Path, ...] = ()) -> Binaries | None:
    """Return what lies in a folder if it is whole: server, tools, amcheck, and new enough."""
    if not all(os.access(folder / name, os.X_OK) for name in NEEDED):
        return None
    unnamed = Binaries(folder, 0, "", libraries)
    try:
        told, share = unnamed.config("version"), Path(unnamed.config("sharedir"))
    except Broken:  # it lacks a library, say; another installation may not
        return None
    version = re.search(r"PostgreSQL (\d+)[.\w]*", told)
    if version is None or int(version[1]) < OLDEST or not (share / "extension" / "amcheck.control").exists():
        return None
    return Binaries(folder, int(version[1]), version[0].removeprefix("PostgreSQL "), libraries)
