"""The lab's clock, which may run ahead of the real one, so that a month passes in minutes.

What RDS records and what functions see is this clock's time; PostgreSQL, signatures and certificates know the real one
alone. Kept in a file, which the lab's functions read as well.
"""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgdrill.errors import NotRunnable

FILE = "clock.json"


class LabClock:
    """Runs `ahead` of the real time, and only ever further: what was recorded stays in the past.

    It remembers when it was moved, so a moment of its own can be told in real time, as PostgreSQL's log has it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        # (real time since which it holds, how far ahead), oldest first
        self._moves: list[tuple[datetime, timedelta]] = []
        if path and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))["moves"]
            self._moves = [(datetime.fromisoformat(since), timedelta(seconds=ahead)) for since, ahead in kept]

    @property
    def ahead(self) -> timedelta:
        return self._moves[-1][1] if self._moves else timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def move(self, ahead: timedelta) -> None:
        """Run that far ahead from now on.

        Raises:
            NotRunnable: that would turn it back.
        """
        with self._lock:
            if ahead < self.ahead:
                raise NotRunnable(
                    f"the lab's clock cannot go back: it is {self.ahead.total_seconds():g} s ahead,"
                    f" and {ahead.total_seconds():g} s are asked for",
                    hint="make another lab: pgdrill lab up --directory DIRECTORY",
                )
            self._moves = [*self._moves, (datetime.now(UTC), ahead)]
            if self._path:
                moves = [(since.isoformat(), each.total_seconds()) for since, each in self._moves]
                aside = self._path.with_suffix(".new")
                told = {"ahead": ahead.total_seconds(), "moves": moves}
                aside.write_text(json.dumps(told), encoding="utf-8")
                aside.replace(self._path)

    def moved(self, real: datetime) -> datetime:
        """Return what this clock showed at a real moment."""
        return real + next((ahead for since, ahead in reversed(self._moves) if since <= real), timedelta())

    def real(self, shown: datetime) -> datetime:
        """Return when this clock showed a moment; for one that it passed over, when it did."""
        ahead = timedelta()
        for since, following in self._moves:
            if shown < since + ahead:
                return shown - ahead
            if shown < since + following:
                return since
            ahead = following
        return shown - ahead
