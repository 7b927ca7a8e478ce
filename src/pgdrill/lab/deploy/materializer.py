"""Makes what the program registers, keeps what is there already, changes what can be changed, and deletes the rest.

Calls AWS through the entries alone. Works for many threads at once, as Pulumi registers resources side by side.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import Broken, DrillError, NotRunnable
from pgdrill.lab.deploy.aws import Aws, Clients
from pgdrill.lab.deploy.deployment import Deployment
from pgdrill.lab.deploy.entry import Assets, Entry, Made, Outputs, Wanted, unknown

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class Registration:
    """What the program asks for, and the options that it gave."""

    urn: str
    type: str
    name: str
    inputs: Outputs
    withheld: tuple[str, ...] = ()
    protect: bool = False
    retain: bool = False
    ignored: tuple[str, ...] = ()
    delete_first: bool = False


@dataclass
class Counts:
    created: int = 0
    kept: int = 0
    updated: int = 0
    replaced: int = 0
    deleted: int = 0


@dataclass
class Materializer:
    """One run of the program. `home` is the region of what names none."""

    entries: dict[str, Entry]
    clients: Clients
    home: str
    before: Deployment
    assets: Assets = field(default_factory=dict)
    progress: Progress = lambda _what, _name: None
    counts: Counts = field(default_factory=Counts)
    error: DrillError | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._active = 0
        self._old = {made.urn: made for made in self.before.resources}
        self._now: dict[str, Made] = {}
        self._replaced: list[Made] = []

    def deployed(self) -> tuple[Made, ...]:
        """Return what is there; nothing depends on what stands after it, which is to be deleted before it."""
        return (*self._now.values(), *self._replaced, *self._gone())

    def _gone(self) -> list[Made]:
        return [made for urn, made in self._old.items() if urn not in self._now]

    def register(self, asked: Registration) -> Made:
        """Make or keep a resource; after the first error nothing more is made.

        Raises:
            DrillError: it cannot be made. The first one is also in `error`.
        """
        with self._lock:
            if self.error is not None:
                raise self.error
            self._active += 1
        try:
            made = self._materialize(asked)
            with self._lock:
                self._now[asked.urn] = made
        except DrillError as error:
            self.stop(error)
            raise
        finally:
            with self._lock:
                self._active -= 1
                self._idle.notify_all()
        return made

    def stop(self, error: DrillError) -> None:
        """Make nothing more after an error; the first one is kept."""
        with self._lock:
            self.error = self.error or error

    def interrupt(self, error: DrillError) -> None:
        """Make and delete nothing more. For a signal's handler, which waits for no lock: its own thread may hold it."""
        self.error = self.error or error

    def settle(self) -> None:
        """Wait until nothing is being made any more."""
        with self._lock:
            self._idle.wait_for(lambda: not self._active)

    def _materialize(self, asked: Registration) -> Made:
        if asked.urn in self._now:
            raise NotRunnable(
                f"two resources are {asked.urn!r}", hint="give one of them another name in the program"
            )
        entry = self.entries.get(asked.type)
        if entry is None:
            raise NotRunnable(
                f"the lab does not know resources of type {asked.type} ({asked.name!r})",
                hint="write an entry for it in src/pgdrill/lab/deploy/entries",
            )
        old = self._old.get(asked.urn)
        region = str(asked.inputs.get("region") or self.home)
        if old is None:
            return self._create(entry, asked, region)
        changed = {
            name
            for name in {*asked.inputs, *old.inputs} - {*asked.ignored, *asked.withheld, *old.withheld}
            if asked.inputs.get(name) != old.inputs.get(name)
        }
        if not changed:
            return self._keep(asked, old)
        if entry.update is not None and not changed & entry.fixed:
            return self._update(entry, asked, old)
        return self._replace(entry, asked, old, region)

    def _wanted(self, asked: Registration, region: str, old: Made | None = None) -> Wanted:
        aws = Aws(self.clients, region)
        return Wanted(asked.type, asked.name, asked.inputs, aws, assets=self.assets, made=old)

    def _create(self, entry: Entry, asked: Registration, region: str) -> Made:
        self.progress("creating", asked.name)
        wanted = self._wanted(asked, region)
        with _named(asked.type, asked.name):
            identity, outputs = entry.create(wanted)
        made = _made(asked, region, identity, outputs)
        try:
            entry.unused(wanted)
        except NotRunnable:
            self._replaced.append(made)  # it is there, and has to be known to be deleted
            raise
        self.counts.created += 1
        return made

    def _keep(self, asked: Registration, old: Made) -> Made:
        self.counts.kept += 1
        return old.model_copy(update={"protect": asked.protect, "retain": asked.retain})

    def _update(self, entry: Entry, asked: Registration, old: Made) -> Made:
        self.progress("updating", asked.name)
        assert entry.update is not None  # noqa: S101 # the caller has seen to it
        wanted = self._wanted(asked, old.region, old)
        with _named(asked.type, asked.name):
            outputs = entry.update(wanted, old)
        entry.unused(wanted)
        self.counts.updated += 1
        return _made(asked, old.region, old.id, old.outputs | asked.inputs | outputs)

    def _replace(self, entry: Entry, asked: Registration, old: Made, region: str) -> Made:
        if old.protect:
            raise _protected(old)
        if entry.named or asked.delete_first:
            self._remove(entry, old)
            with self._lock:
                del self._old[asked.urn]
        else:
            with self._lock:
                self._replaced.append(old)
        made = self._create(entry, asked, region)
        self.counts.created -= 1
        self.counts.replaced += 1
        return made

    def prune(self) -> None:
        """Delete what the program no longer registers, and what was replaced; the last made first.

        Raises:
            DrillError: something cannot be deleted; it and what was made before it is still known.
        """
        self._delete_all([*self._replaced, *self._gone()])

    def destroy(self) -> None:
        """Delete everything that was ever deployed, the last made first.

        Raises:
            NotRunnable: an instance that was not deployed lies in what is to be deleted; nothing was.
            DrillError: something cannot be deleted; it and what was made before it is still known.
        """
        doomed = list(self.before.resources)
        self._see_that_nothing_lies_in(doomed)
        self._delete_all(doomed)

    def _see_that_nothing_lies_in(self, doomed: list[Made]) -> None:
        ours = {(made.region, made.id) for made in doomed}
        told = []
        for made in doomed:
            entry = self.entries.get(made.type)
            if entry is None or entry.inside is None or made.retain:
                continue
            with _named(made.type, made.name):
                inside = entry.inside(Aws(self.clients, made.region), made)
            told += [
                f"{one!r} in {made.id!r} of {made.region}" for one in inside if (made.region, one) not in ours
            ]
        if told:
            raise NotRunnable(
                f"nothing was deleted: instances that were not deployed lie in its networks: {', '.join(told)}",
                hint="a temporary one goes with: pgdrill purge; a recovered one is yours, nothing of pgdrill deletes"
                " it: take its deletion protection away and delete it by hand, with a final snapshot",
            )

    def _delete_all(self, doomed: list[Made]) -> None:
        for made in reversed(doomed):
            if self.error is not None:
                raise self.error
            if made.protect:
                raise _protected(made)
            entry = self.entries.get(made.type)
            if entry is None:
                raise unknown(made.type, made.name, "id")
            self._remove(entry, made)
            self._old = {urn: old for urn, old in self._old.items() if old is not made}
            self._replaced = [old for old in self._replaced if old is not made]
            self.counts.deleted += not made.retain

    def _remove(self, entry: Entry, made: Made) -> None:
        if made.retain:
            self.progress("leaving", made.name)
            return
        self.progress("deleting", made.name)
        with _named(made.type, made.name):
            entry.delete(Aws(self.clients, made.region), made)


def _made(asked: Registration, region: str, identity: str, outputs: Outputs) -> Made:
    kept = {name: value for name, value in asked.inputs.items() if name not in asked.withheld}
    return Made(
        urn=asked.urn,
        type=asked.type,
        name=asked.name,
        region=region,
        id=identity,
        inputs=kept,
        outputs=kept | {"region": region} | outputs,
        withheld=asked.withheld,
        protect=asked.protect,
        retain=asked.retain,
    )


def _protected(made: Made) -> NotRunnable:
    return NotRunnable(
        f"{made.type} {made.name!r} is protected and is not deleted",
        hint="deploy with `protect` off first",
    )


class _named:  # noqa: N801 # a context manager, used as a function
    """Says of which resource an error of AWS's is."""

    def __init__(self, typ: str, name: str) -> None:
        self._what = f"{typ} {name!r}"

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError | BotoCoreError):
            raise Broken(
                f"{self._what} was refused: {error}",
                hint="see what the program asks for, and daemon.log in the lab's directory",
            ) from error
