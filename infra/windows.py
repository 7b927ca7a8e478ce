"""When RDS does its own work on a created database: clear of the slots, at night in the default regions. Pure."""

from datetime import timedelta

from pgdrill.plan import Points, spelled

DAY, QUARTER, WINDOW = timedelta(days=1), timedelta(minutes=15), timedelta(minutes=30)
BACKUP_AT, MAINTENANCE_AT = timedelta(hours=18), timedelta(hours=20)
_WEEKDAY = "sun"


def windows(points: Points, usable_after: timedelta) -> tuple[str, str]:
    """Return a backup window of each day and a maintenance window of a week, clear of each other and of slots.

    Raises:
        ValueError: between slots there is no half hour left for each.
    """
    begins = [quarter * QUARTER for quarter in range(DAY // QUARTER)]
    clear = [begin for begin in begins if _clear(points, usable_after, begin)]
    backup = min(clear, key=lambda begin: abs(begin - BACKUP_AT), default=None)
    rest = [begin for begin in clear if backup is not None and abs(begin - backup) >= WINDOW]
    maintenance = min(rest, key=lambda begin: abs(begin - MAINTENANCE_AT), default=None)
    if backup is None or maintenance is None:
        raise ValueError(
            f"points.every {spelled(points.every)} leaves RDS no half hour for its own backup, {spelled(usable_after)}"
            " after a slot; take points less often, or let objectives.usable_after be shorter"
        )
    weekly = f"{_WEEKDAY}:{_clock(maintenance)}-{_WEEKDAY}:{_clock(maintenance + WINDOW)}"
    return f"{_clock(backup)}-{_clock(backup + WINDOW)}", weekly


def _clear(points: Points, usable_after: timedelta, begin: timedelta) -> bool:
    """Tell whether the half hour from `begin` on ends today and meets no slot, nor the snapshot made at one."""
    since = (begin - points.offset) % points.every
    return begin + WINDOW < DAY and since >= usable_after and since + WINDOW <= points.every


def _clock(moment: timedelta) -> str:
    minutes = moment // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"
