"""Quantities and names as a person reads them, the same in the HTML report, the terminal and JUnit. Pure."""

import math
import unicodedata
from datetime import datetime

from pgdrill.evidence.record import Purpose
from pgdrill.model import PointKind, Stage, Verdict

VERDICT = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "failed",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NOT_ASKED: "not asked",
}
# A shape of its own for each, so that no meaning hangs on colour alone.
SYMBOL = {
    Verdict.PASSED: "✓",
    Verdict.FAILED: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_ASKED: "-",
}
# What needs a person comes first.
URGENCY = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED, Verdict.NOT_ASKED)
KIND = {
    PointKind.SNAPSHOT: "snapshot",
    PointKind.COPY: "copied snapshot",
    PointKind.PITR: "moment of the PITR window",
}
TITLE = {Purpose.DRILL: "restore drill", Purpose.RECOVERY: "recovery"}
# What went on in the time that ends with each stage.
PHASE = {
    Stage.REQUESTED: "restore requested",
    Stage.ACCEPTED: "request accepted",
    Stage.AVAILABLE: "restored by RDS",
    Stage.FIRST_LOGIN: "password set, first login",
    Stage.FIRST_QUERY: "first query answered",
    Stage.EXAMINED: "examined",
    Stage.HYDRATED: "everything read once",
    Stage.HANDED_OVER: "judged and handed over",
    Stage.GONE: "judged and torn down",
}
NOT_MEASURED = "not measured"


def duration(seconds: float | None) -> str:
    """Return the two largest units that matter: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`, `3 d 04 h`."""
    if seconds is None:
        return NOT_MEASURED
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.001:
        return "under 1 ms" if seconds else "0 s"
    if round(seconds, 3) < 1:
        return f"{round(seconds * 1000)} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for size, unit, part, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest:02d} {name}" if rest else "")
    raise AssertionError(seconds)


def exact(seconds: float | None) -> str:
    """Return seconds to the millisecond, for the reader who calculates."""
    return NOT_MEASURED if seconds is None else f"{seconds:,.3f} s".replace(",", "\u202f")


def size(count: int | None) -> str:
    """Return bytes in decimal units, as AWS bills them: `2.1 GB`."""
    if count is None:
        return NOT_MEASURED
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} PB"


def number(count: int | None) -> str:
    """Return a count with thin spaces between thousands."""
    return NOT_MEASURED if count is None else f"{count:,}".replace(",", "\u202f")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def share(part: float, whole: float) -> str:
    """Return a percentage that never rounds a part up to the whole, down to nothing, or an excess away."""
    if whole <= 0:
        return NOT_MEASURED
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "under 1 %"
    if percent < 100:
        return f"{min(round(percent), 99)} %"
    return f"{math.ceil(percent)} %"


def moment(at: datetime | None) -> str:
    return NOT_MEASURED if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def capital(text: str) -> str:
    """Return text with a capital first, except where it begins with a name, which keeps its case."""
    return text[0].upper() + text[1:] if text.split(" ", 1)[0].rstrip(",").isalpha() else text


def sentence(text: str) -> str:
    """Return text with a capital and a full stop. Not for hints: they may end in a command to copy."""
    return capital(text) if not text or text[-1] in ".!?:" else f"{capital(text)}."


def visible(text: str) -> str:
    r"""Return text with control and direction characters spelled out (`\x1b`, `\u202e`).

    Names come from a database: raw, they could drive a terminal, reorder a line or break XML.
    """
    return "".join(
        character
        if unicodedata.category(character) not in {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
