"""Something that goes on while other things happen: called again and again in a thread of its own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self


class Background:
    """Calls `act` with `pause` seconds in between, from entering until leaving the context.

    What goes wrong in the thread ends it, and is raised where the context is left. `done` counts the calls.
    """

    def __init__(self, act: Callable[[], object], pause: float) -> None:
        self.done = 0
        self._act = act
        self._pause = pause
        self._stop = Event()
        self._threads = ThreadPoolExecutor(1, "background")
        self._work: Future[None] | None = None

    def __enter__(self) -> Self:
        self._work = self._threads.submit(self._repeat)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._threads.shutdown()
        if self._work and error is None:
            self._work.result()

    def _repeat(self) -> None:
        while not self._stop.wait(self._pause):
            self._act()
            self.done += 1
