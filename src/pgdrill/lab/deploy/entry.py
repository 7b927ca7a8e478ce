"""What one type of resource is in the lab: how it is made, changed and deleted through the AWS API.

An entry takes every property that it uses out of what is wanted; one that is left over at the end is an error, unless
the entry says why it is left aside. So no property is dropped in silence, and no list of names can grow stale.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pgdrill.errors import NotRunnable
from pgdrill.lab.deploy.aws import Aws, UnknownProperty
from pgdrill.model import JSON, Model

Outputs = dict[str, Any]
# The content of files that the program names, by their SHA-256, which stands in the inputs in their place.
Assets = dict[str, Callable[[], bytes]]


class Made(Model):
    """A resource that is there: as it was wanted, and as the emulator has it.

    `withheld` names the properties that are secret or only to be written; their values are kept nowhere. One to
    `retain` is forgotten where another would be deleted.
    """

    urn: str
    type: str
    name: str
    region: str
    id: str
    inputs: dict[str, Any]
    outputs: Outputs
    withheld: tuple[str, ...] = ()
    protect: bool = False
    retain: bool = False


class Wanted:
    """A resource that the program registers. Its properties are taken out of it, each once."""

    def __init__(
        self,
        typ: str,
        name: str,
        inputs: dict[str, Any],
        aws: Aws,
        *,
        assets: Assets | None = None,
        made: Made | None = None,
    ) -> None:
        self.type = typ
        self.name = name
        self.aws = aws
        self.inputs = inputs
        self.made = made
        self._assets = assets or {}
        self._left = copy.deepcopy(inputs)
        self._left.pop("region", None)

    @property
    def left(self) -> dict[str, Any]:
        """The properties that nothing has taken."""
        return dict(self._left)

    def take(self, name: str, default: JSON = None) -> JSON:
        return self._left.pop(name, default)

    def some(self, *names: str, **renamed: str) -> dict[str, Any]:
        """Take the properties that are there; `renamed` are `property="name of the API's"`."""
        kept = {name: self.take(name) for name in names if name in self._left}
        return kept | {new: self.take(old) for old, new in renamed.items() if old in self._left}

    def file(self, name: str) -> bytes | None:
        """Take the content of a file or text that the program names."""
        asset = self.take(name)
        return self._assets[asset["sha256"]]() if asset else None

    def tags(self, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
        """Take the tags, as a list in the API's way."""
        return as_tags(self.take("tags") or {}, key, value)

    def call(self, service: str, operation: str, given: Mapping[str, Any] | None = None, **more: JSON) -> Any:
        """Call the API with properties named as in Pulumi, or as in the API.

        Raises:
            NotRunnable: it has no member for one of them.
        """
        try:
            return self.aws.call(service, operation, {**(given or {}), **more})
        except UnknownProperty as error:
            raise unknown(self.type, self.name, str(error)) from error

    def later(self, *names: str) -> None:
        """Take what is of use only when the resource is deleted, or replaced."""
        for name in names:
            self.take(name)

    def changed(self, *names: str) -> bool:
        """Return whether one of these differs from what was made."""
        return self.made is None or any(self.inputs.get(n) != self.made.inputs.get(n) for n in names)


def as_tags(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return tags as a list in an API's way."""
    return [{key: name, value: content} for name, content in sorted(tags.items())]


def retag(wanted: Wanted, made: Made) -> tuple[dict[str, str], list[str]]:
    """Take the tags; return those to set and the names of those to remove."""
    new, old = wanted.take("tags") or {}, made.inputs.get("tags") or {}
    return {k: v for k, v in new.items() if old.get(k) != v}, sorted(set(old) - set(new))


def unknown(typ: str, name: str, prop: str) -> NotRunnable:
    return NotRunnable(
        f"the lab does not know property {prop!r} of {typ} ({name!r})",
        hint="teach it in src/pgdrill/lab/deploy/entries, or leave it aside there with a reason",
    )


Create = Callable[[Wanted], tuple[str, Outputs]]
Update = Callable[[Wanted, Made], Outputs]
Delete = Callable[[Aws, Made], None]
Inside = Callable[[Aws, Made], list[str]]


@dataclass(frozen=True)
class Entry:
    """A type of resource.

    `create` returns the id and what only the emulator knows; `update` what of that is other now. A change of a `fixed`
    property replaces the resource, and so does any change without `update`. The old one is deleted first where it is
    `named`, since two of a name cannot be. `aside` are properties that are not used, with reasons. `inside` returns the
    instances that lie in it, and keep it from being deleted.
    """

    type: str
    create: Create
    delete: Delete
    update: Update | None = None
    fixed: frozenset[str] = frozenset()
    named: bool = True
    aside: Mapping[str, str] = field(default_factory=dict)
    inside: Inside | None = None

    def unused(self, wanted: Wanted) -> None:
        """Refuse what nothing has taken.

        Raises:
            NotRunnable: a property that the entry does not know.
        """
        for prop in wanted.left:
            if prop not in self.aside:
                raise unknown(self.type, wanted.name, prop)


def stays(_: Aws, __: Made) -> None:
    """Delete nothing: it goes with what it is a property of."""
