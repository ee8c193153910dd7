"""When a market is open: all week, on weekdays, or the currency week. Holidays are not known here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from inalpha.model.errors import ConfigError
from inalpha.model.timeframe import DAY_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEW_YORK = ZoneInfo("America/New_York")
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_FX_HOUR = 17


def _always(now_ns: int) -> bool:
    return True


def _weekdays(now_ns: int) -> bool:
    return (now_ns // DAY_NS + 3) % 7 < _SATURDAY


def _fx(now_ns: int) -> bool:
    """Sunday 17:00 to Friday 17:00 in New York."""
    local = (_EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(_NEW_YORK)
    day = local.weekday()
    if day == _FRIDAY:
        return local.hour < _FX_HOUR
    if day == _SUNDAY:
        return local.hour >= _FX_HOUR
    return day != _SATURDAY


_CALENDARS: dict[str, Callable[[int], bool]] = {"24/7": _always, "weekdays": _weekdays, "fx": _fx}


class Calendar:
    """One market's week."""

    def __init__(self, name: str) -> None:
        if name not in _CALENDARS:
            known = ", ".join(_CALENDARS)
            raise ConfigError(
                "UNKNOWN_CALENDAR",
                f"{name!r} is no calendar.",
                f"Use one of: {known}; exchanges need the extra [calendars].",
            )
        self.name = name
        self._is_open = _CALENDARS[name]

    def is_open(self, now_ns: int) -> bool:
        return self._is_open(now_ns)

    def has_session(self, open_ns: int, close_ns: int) -> bool:
        """True when the market is open at any time of [open, close): such a bar is expected."""
        if self.name == "24/7":
            return True
        step = min(close_ns - open_ns, DAY_NS // 24)
        return any(self._is_open(at) for at in range(open_ns, close_ns, step))

    def missing(self, from_ns: int, to_ns: int, timeframe_ns: int, limit: int = 100_000) -> int:
        """How many bars opening in [from, to) the calendar expects."""
        if self.name == "24/7":
            return max(0, (to_ns - from_ns) // timeframe_ns)
        opens = range(from_ns, to_ns, timeframe_ns)[:limit]
        return sum(self.has_session(open_ns, open_ns + timeframe_ns) for open_ns in opens)
