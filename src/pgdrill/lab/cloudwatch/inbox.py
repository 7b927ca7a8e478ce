"""What topics of the lab were told, and who of their subscribers would have got it. One JSON object a line, on disk."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from pgdrill.model import Model, Moment

FILE = "inbox.jsonl"


class Recipient(Model):
    """A subscription whose filter lets a letter pass. `confirmed` is False where AWS still waits for the answer."""

    protocol: str
    endpoint: str
    confirmed: bool = True


class Letter(Model):
    """One message to a topic. `attributes` is by name, each value as text."""

    when: Moment
    region: str
    topic: str
    subject: str = ""
    text: str
    attributes: dict[str, str] = Field(default_factory=dict)
    recipients: tuple[Recipient, ...] = ()

    @property
    def words(self) -> str:
        """Return what a person reads: of an alarm its description and reason, else the text."""
        try:
            told = json.loads(self.text)
        except ValueError:
            return self.text
        if not isinstance(told, dict) or "NewStateReason" not in told:
            return self.text
        return "\n".join(filter(None, (told.get("AlarmDescription"), told["NewStateReason"])))


class Inbox:
    """The letters of one lab, oldest first."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = threading.Lock()

    def put(self, letter: Letter) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as lines:
            lines.write(letter.model_dump_json() + "\n")

    def letters(self) -> list[Letter]:
        if not self._path.exists():
            return []
        return list(_read(self._path.read_text(encoding="utf-8").splitlines()))


def _read(lines: Iterable[str]) -> Iterable[Letter]:
    for line in lines:
        try:
            yield Letter.model_validate_json(line)
        except ValidationError:  # half a line, of a lab that was killed while it wrote
            continue
