"""What is to be told of a recovery point: that it was taken, and how long that took, or that it was not. Pure."""

from datetime import datetime

from pgdrill.errors import DrillError, said
from pgdrill.messages import Event, Level, Message, Metric, Reply
from pgdrill.points.taking import Taking


def taken(taking: Taking, now: datetime) -> Reply:
    """Return what is to be told of a point that is there; one that was there before is not counted again."""
    about = _dimensions(taking)
    took = (now - taking.begun_at).total_seconds()
    metrics = (
        Metric(name="PointsTaken", value=1, unit="Count", dimensions=about),
        Metric(name="PointSeconds", value=took, unit="Seconds", dimensions=about),
    )
    made_at = taking.taken.created_at if taking.taken else None
    return Reply(
        metrics=metrics if made_at and made_at >= taking.begun_at else (),
        events=(Event(kind="PointTaken", subject=taking.point),),
        messages=(_said(taking),),
    )


def _said(taking: Taking) -> Message:
    if taking.unsealed:
        return Message(
            level=Level.WARNING,
            topic="point unsealed",
            text=f"recovery point {taking.point!r} has no seal of its own: {taking.unsealed}",
            hint="a drill of it compares with the seals of other points, further away; mend this before the next slot",
            attributes=_attributes(taking),
        )
    until = f", which recovers to {taking.taken.recovers_to:%Y-%m-%d %H:%M:%S} UTC" if taking.taken else ""
    return Message(
        level=Level.REPORT,
        topic="point taken",
        text=f"recovery point {taking.point!r} of database {taking.database!r} is there{until}",
        attributes=_attributes(taking),
    )


def failed(taking: Taking, error: DrillError) -> Reply:
    """Return what is to be told of a point that was not taken: RDS itself tells of none."""
    return _failed(taking, type(error).__name__, error.message, error.hint)


def given_up(taking: Taking, error: str, cause: str) -> Reply:
    """Return the same of a point whose step ended in what a state machine caught."""
    return _failed(taking, error, *said(error, cause))


def _failed(taking: Taking, error: str, message: str, hint: str) -> Reply:
    detail: dict[str, str | int | float | None] = {
        "database": taking.database,
        "slot": taking.slot,
        "step": taking.next.value,
        "error": error,
        "message": message,
    }
    return Reply(
        metrics=(Metric(name="PointsFailed", value=1, unit="Count", dimensions=_dimensions(taking)),),
        events=(Event(kind="PointFailed", subject=taking.point, detail=detail),),
        messages=(
            Message(
                level=Level.ALARM,
                topic="point failed",
                text=message,
                hint=hint,
                attributes=_attributes(taking),
            ),
        ),
    )


def _dimensions(taking: Taking) -> dict[str, str]:
    return {"Database": taking.database}


def _attributes(taking: Taking) -> dict[str, str | int]:
    return {"database": taking.database}
