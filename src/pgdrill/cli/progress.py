"""Shows a drill while it runs: each stage as it is reached, and what is being done now with the time it takes.

On a terminal the last line is alive; elsewhere every change is a line of its own, so that a log can be read.
"""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from pgdrill.drills.state import Drill, Step
from pgdrill.model import Stage

_DOING = {
    Step.CHOOSE: "choosing the recovery point",
    Step.RESTORE: "asking RDS for the instance",
    Step.OBSERVE: "waiting for RDS",
    Step.UNLOCK: "getting in",
    Step.EXAMINE: "examining",
    Step.JUDGE: "judging",
    Step.HAND_OVER: "handing over",
    Step.DESTROY: "deleting the temporary instance",
}
_REACHED = {
    Stage.REQUESTED: "restore requested",
    Stage.ACCEPTED: "accepted by RDS",
    Stage.AVAILABLE: "available, and as it was asked for",
    Stage.FIRST_LOGIN: "first login",
    Stage.FIRST_QUERY: "first query: usable again",
    Stage.HYDRATED: "everything read once",
    Stage.EXAMINED: "examined",
    Stage.HANDED_OVER: "handed over",
    Stage.GONE: "temporary instance gone",
}
# Seconds between two details of the same step in a log.
EVERY = 10.0


class Progress:
    """A context in which `report` may be called, from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._shown: set[Stage] = set()
        self._doing = ""
        self._said = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("starting", spinner="line")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def report(self, drill: Drill, text: str) -> None:
        self.stages(drill)
        self.say(
            f"{_DOING.get(drill.next, '')}{': ' if text else ''}{text}" if drill.next in _DOING else text
        )

    def stages(self, drill: Drill) -> None:
        """Print the stages that were reached since the last call, with the seconds since the request."""
        start = drill.stages.get(Stage.REQUESTED)
        for stage in Stage:
            moment = drill.stages.get(stage)
            if moment is None or start is None or stage in self._shown:
                continue
            self._shown.add(stage)
            seconds = (moment - start).total_seconds()
            self._console.print(f"  {seconds:8.2f} s  {_REACHED[stage]}", markup=False)

    def say(self, text: str) -> None:
        """Show what is being done now; where nothing is alive, a new step at once and its details now and then."""
        if self._status:
            self._status.update(f"{escape(text)} [dim]{time.monotonic() - self._began:.0f} s[/dim]")
            return
        doing, now = text.split(":", 1)[0], time.monotonic()
        if doing != self._doing or (text != doing and now - self._said > EVERY):
            self._doing, self._said = doing, now
            self._console.print(f"  ... {text}", markup=False, soft_wrap=True)
