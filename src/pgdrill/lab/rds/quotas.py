"""How many manual snapshots a region takes: RDS's default, or what was asked for and the lab's door has granted.

Written down in a file of its own. AWS takes nothing back that it has granted, and neither does the lab.
"""

import json
import threading
import uuid
from pathlib import Path

from pgdrill.model import Model

CODE = "L-272F1212"
NAME = "Manual DB instance snapshots"


class Asked(Model):
    """A request; `status` is `PENDING` until it is `APPROVED`."""

    id: str
    value: int
    status: str = "PENDING"


class Quotas:
    """Every region's."""

    def __init__(self, path: Path, default: int) -> None:
        self.default = default
        self._path = path
        self._lock = threading.Lock()
        self._asked: dict[str, list[Asked]] = {}
        if path.exists():
            told = json.loads(path.read_bytes())
            self._asked = {
                region: [Asked.model_validate(one) for one in asked] for region, asked in told.items()
            }

    def value(self, region: str) -> int:
        """Return what holds now."""
        granted = [one.value for one in self.asked(region) if one.status == "APPROVED"]
        return max(granted, default=self.default)

    def asked(self, region: str) -> list[Asked]:
        """Return the requests, oldest first."""
        return self._asked.get(region, [])

    def ask(self, region: str, value: int) -> Asked:
        asked = Asked(id=uuid.uuid4().hex, value=value)
        self._write(region, [*self.asked(region), asked])
        return asked

    def grant(self, region: str) -> int:
        """Grant what is pending; return what holds now."""
        granted = [one.model_copy(update={"status": "APPROVED"}) for one in self.asked(region)]
        self._write(region, granted)
        return self.value(region)

    def _write(self, region: str, asked: list[Asked]) -> None:
        with self._lock:
            self._asked[region] = asked
            told = {name: [one.model_dump() for one in each] for name, each in self._asked.items()}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(told), encoding="utf-8")
