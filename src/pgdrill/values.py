"""The values that a plan is written with: durations and names."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# Without hyphens: the one after it then ends it in every name, and no pattern of suffix `a` holds a thing of `a-b`.
_SUFFIX = re.compile(r"[a-z][a-z0-9]{0,14}")
_NAME = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,24}(?<!-)")


def duration(text: object) -> timedelta:
    """Read `90s`, `15m`, `4h`, `7d` or `2w`."""
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"(\d{1,6})\s*([smhdw])", str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit: 90s, 15m, 4h, 7d, 2w")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def spelled(value: timedelta) -> str:
    """Write a duration as `duration` reads it, in the largest unit, weeks excepted, that leaves nothing over."""
    seconds = int(value.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _named(pattern: re.Pattern[str], rule: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} must be {rule}")
        return value

    return AfterValidator(check)


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(spelled, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*\d{1,6}\s*[smhdw]\s*$", "examples": ["90s", "6h", "30d"]}
    ),
]
Suffix = Annotated[str, _named(_SUFFIX, "1 to 15 lower-case letters and digits, a letter first, no hyphens")]
Name = Annotated[
    str,
    _named(
        _NAME,
        "1 to 25 lower-case letters, digits and single hyphens, a letter first, no hyphen last",
    ),
]
