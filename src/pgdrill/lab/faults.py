"""What the lab does wrong on purpose: set through the lab's own door, never through the AWS API.

A thread-safe holder of plain settings, JSON in and out. It decides; the RDS part acts.
"""

import threading
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, ValidationError

from pgdrill.errors import PlanError
from pgdrill.model import JSON, Model

Transition = Literal[
    "create", "restore", "snapshot", "copy", "modify", "reboot", "stop", "start", "delete", "export"
]


class Failure(Model):
    """The next `times` calls of an action fail. `action` is a pattern: `*`, `Describe*`, `CopyDBSnapshot`."""

    action: str
    code: str = "ThrottlingException"
    message: str = "Rate exceeded"
    status: int = Field(default=400, ge=400, le=599)
    times: int = Field(default=1, ge=1)

    @property
    def left(self) -> "tuple[Failure, ...]":
        """What remains after one call."""
        return (self.model_copy(update={"times": self.times - 1}),) if self.times > 1 else ()


class EventFaults(Model):
    """`late` seconds, each `copies` times, and out of order: gathered for `shuffled` seconds, then reversed."""

    late: float = Field(default=0, ge=0)
    copies: int = Field(default=1, ge=0, le=10)
    shuffled: float = Field(default=0, ge=0)


class Stuck(Model):
    """An instance or snapshot whose identifier matches stays in `status` until the fault is cleared."""

    identifier: str
    status: str


class Doomed(Model):
    """What is created under a matching identifier ends in `status`: `incompatible-restore`, `storage-full`."""

    identifier: str
    status: str


class Setting(Model):
    """`latency` is seconds added to a transition. Of `lost` regions no service answers any more.

    `slow_first_read` is microseconds added, in instances restored while it is set, to the first read of 512 kB.
    """

    latency: dict[Transition, float] = Field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    events: EventFaults = EventFaults()
    stuck: tuple[Stuck, ...] = ()
    doomed: tuple[Doomed, ...] = ()
    slow_first_read: int = Field(default=0, ge=0)
    lost: tuple[str, ...] = ()


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._setting = Setting()

    def get(self) -> JSON:
        return self.setting.model_dump(mode="json")

    def set(self, change: JSON) -> JSON:
        """Replace the settings that `change` names, keep the others, return all.

        Raises:
            PlanError: an unknown setting or an impossible value; nothing has changed.
        """
        with self._lock:
            try:
                self._setting = Setting.model_validate(self._setting.model_dump() | _object(change))
            except (ValidationError, TypeError, ValueError) as error:
                raise PlanError(
                    f"faults {change!r} not understood: {_first(error)}",
                    hint=f"give a JSON object with some of: {', '.join(Setting.model_fields)}",
                ) from error
        return self.get()

    def clear(self) -> JSON:
        with self._lock:
            self._setting = Setting()
        return self.get()

    @property
    def setting(self) -> Setting:
        with self._lock:
            return self._setting

    def failure(self, action: str) -> Failure | None:
        """Return how this call of `action` fails, and count it; None when it does not."""
        with self._lock:
            for index, failure in enumerate(self._setting.failures):
                if fnmatchcase(action, failure.action):
                    rest = (
                        *self._setting.failures[:index],
                        *failure.left,
                        *self._setting.failures[index + 1 :],
                    )
                    self._setting = self._setting.model_copy(update={"failures": rest})
                    return failure
        return None

    def latency(self, transition: Transition) -> float:
        return self.setting.latency.get(transition, 0.0)

    def stuck(self, identifier: str, status: str) -> bool:
        return any(
            stuck.status == status and fnmatchcase(identifier, stuck.identifier)
            for stuck in self.setting.stuck
        )

    def doom(self, identifier: str) -> str | None:
        """Return the status in which a thing of that identifier ends, if it is to fail."""
        return next(
            (doomed.status for doomed in self.setting.doomed if fnmatchcase(identifier, doomed.identifier)),
            None,
        )


def _object(change: JSON) -> dict[str, JSON]:
    if not isinstance(change, dict):
        raise TypeError("not a JSON object")
    return change


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
    return str(error)
