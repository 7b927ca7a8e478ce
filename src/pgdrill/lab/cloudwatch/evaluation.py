"""Decides a metric alarm's state from the data points of its evaluation range. Pure.

Source: CloudWatch User Guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import ge, gt, le, lt


class State(StrEnum):
    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """How an alarm treats missing data points."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


# Those of bands, for anomaly detection, are none of the lab's.
OPERATORS = {
    "GreaterThanOrEqualToThreshold": ge,
    "GreaterThanThreshold": gt,
    "LessThanThreshold": lt,
    "LessThanOrEqualToThreshold": le,
}

# By how many periods the evaluation range is longer than the evaluation periods. AWS says that the number depends on
# the period and shows this one, for periods of 5 minutes and 3 evaluation periods.
EXTRA = 2


@dataclass(frozen=True)
class Decision:
    """A state, the places in the range of the data points that it rests on, and how many were filled in."""

    state: State
    evaluated: tuple[int, ...] = ()
    filled: int = 0


def decide(
    points: Sequence[bool | None], periods: int, to_alarm: int, missing: Missing, current: State
) -> Decision:
    """Return an alarm's state. `points` is the evaluation range, oldest first: breaching or not, None where missing.

    Where only breaching data points are there, too few and too young for an alarm, AWS says merely that it is none
    yet; then the state stays as it is.
    """
    real = [place for place, point in enumerate(points) if point is not None]
    evaluated = tuple(real[-periods:])
    filled = periods - len(evaluated)
    breaching = sum(bool(points[place]) for place in evaluated)
    filled_breaching = filled if missing is Missing.BREACHING else 0

    def decision(state: State) -> Decision:
        return Decision(state, evaluated, filled)

    if breaching + filled_breaching >= to_alarm:
        return decision(State.ALARM)
    if not filled or missing is Missing.NOT_BREACHING or breaching < len(evaluated):
        return decision(State.OK)
    # From here on no data point that is there is good, and some are missing.
    if missing is Missing.IGNORE:
        return decision(current)
    if not evaluated:
        return decision(State.INSUFFICIENT_DATA)
    old_enough = len(points) - evaluated[0] >= to_alarm
    return decision(State.ALARM if old_enough else current)
