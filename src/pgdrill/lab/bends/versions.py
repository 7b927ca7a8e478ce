"""The emulator runs a state machine's newest definition, whichever version is started; AWS runs that version's own.

Definition and role are those of the version that was published, so that a schedule that names a version does what it
did whatever is deployed meanwhile.

Source: Step Functions Developer Guide, "State machine versions".
"""

from contextvars import ContextVar
from typing import Any

from ministack.services import stepfunctions

from pgdrill.lab.bends.graft import Drifted, Function, graft
from pgdrill.lab.rds.service import Rds

# What is started; the emulator's thread for an execution has a copy of this context.
_started: ContextVar[dict[str, Any] | None] = ContextVar("started", default=None)


def apply(_: Rds) -> None:
    graft(stepfunctions, "_start_execution(data)", _noting_the_version)
    machines = stepfunctions._state_machines  # noqa: SLF001 # the emulator has no other place that an execution reads
    kind = type(machines)
    if not (hasattr(kind, "get") and hasattr(kind, "__getitem__")):
        raise Drifted("the emulator's store of state machines is not the mapping that a bend was written for")

    class Versioned(kind):  # type: ignore[misc,valid-type] # one of the emulator's scoped mappings
        """The state machines, as they were published for an execution of a version."""

        __slots__ = ()  # else it could not take the place of the emulator's own class

        def get(self, key: str, default: Any = None) -> Any:
            return _as_published(super().get(key, default))

        def __getitem__(self, key: str) -> Any:
            return _as_published(super().__getitem__(key))

    machines.__class__ = Versioned


def _noting_the_version(original: Function) -> Function:
    def start_execution(data: dict[str, Any]) -> Any:
        asked = data.get("stateMachineArn", "").partition("#")[0]
        arn = stepfunctions._execution_version_arn(asked)  # type: ignore[no-untyped-call] # noqa: SLF001
        version = stepfunctions._state_machine_versions.get(arn) if arn else None  # type: ignore[no-untyped-call] # noqa: SLF001
        token = _started.set(version)
        try:
            return original(data)
        finally:
            _started.reset(token)

    return start_execution


def _as_published(machine: dict[str, Any] | None) -> dict[str, Any] | None:
    version = _started.get()
    if machine is None or version is None or machine.get("stateMachineArn") != version["stateMachineArn"]:
        return machine
    return machine | {name: version[name] for name in ("definition", "roleArn")}
