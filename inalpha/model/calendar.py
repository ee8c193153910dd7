"""When a market is open: all week, on weekdays, the currency week, or an exchange's own sessions.

The one home of trading time: gaps, DAY orders and market hours all ask here. Times are ns since 1970 UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from inalpha.model.errors import ConfigError
from inalpha.model.timeframe import DAY_NS, HOUR_NS

BUILT_IN = ("24/7", "weekdays", "fx")
NEVER_NS = 1 << 62  # a market that does not close

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEW_YORK = ZoneInfo("America/New_York")
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_FX_HOUR = 17


class Calendar(Protocol):
    """One market's hours. name: as written in inalpha.toml and signed in the feed."""

    name: str

    def is_open(self, now_ns: int) -> bool:
        """Whether the market trades at this instant."""
        ...

    def has_session(self, open_ns: int, close_ns: int) -> bool:
        """Whether it trades at any time of [open, close): then such a bar is expected."""
        ...

    def day_end(self, accepted_ns: int) -> int:
        """Where a DAY order accepted now ends: the end of this session, else of the next."""
        ...

    def next_open(self, now_ns: int) -> int:
        """The first instant from now on at which the market trades; now itself while it is open."""
        ...

    def next_close(self, now_ns: int) -> int:
        """Of an open market: the end of the stretch of trading that now lies in."""
        ...


class AlwaysOpen:
    """Days of UTC without a pause."""

    name = "24/7"

    def is_open(self, now_ns: int) -> bool:
        return True

    def has_session(self, open_ns: int, close_ns: int) -> bool:
        return True

    def day_end(self, accepted_ns: int) -> int:
        return accepted_ns // DAY_NS * DAY_NS + DAY_NS

    def next_open(self, now_ns: int) -> int:
        return now_ns

    def next_close(self, now_ns: int) -> int:
        return NEVER_NS


class Weekdays:
    """Monday to Friday, each a day of UTC; holidays are unknown."""

    name = "weekdays"

    def is_open(self, now_ns: int) -> bool:
        return (now_ns // DAY_NS + 3) % 7 < _SATURDAY  # 1970-01-01 was a Thursday

    def has_session(self, open_ns: int, close_ns: int) -> bool:
        return any(map(self.is_open, range(open_ns, close_ns, min(close_ns - open_ns, DAY_NS))))

    def day_end(self, accepted_ns: int) -> int:
        day = accepted_ns // DAY_NS
        while not self.is_open(day * DAY_NS):
            day += 1
        return (day + 1) * DAY_NS

    def next_open(self, now_ns: int) -> int:
        while not self.is_open(now_ns):
            now_ns = now_ns // DAY_NS * DAY_NS + DAY_NS
        return now_ns

    def next_close(self, now_ns: int) -> int:
        while self.is_open(now_ns):
            now_ns = now_ns // DAY_NS * DAY_NS + DAY_NS
        return now_ns


class CurrencyWeek:
    """Sunday 17:00 to Friday 17:00 in New York, by its own clock changes."""

    name = "fx"

    def is_open(self, now_ns: int) -> bool:
        local = _local(now_ns)
        day = local.weekday()
        if day == _FRIDAY:
            return local.hour < _FX_HOUR
        if day == _SUNDAY:
            return local.hour >= _FX_HOUR
        return day != _SATURDAY

    def has_session(self, open_ns: int, close_ns: int) -> bool:
        return any(map(self.is_open, range(open_ns, close_ns, min(close_ns - open_ns, HOUR_NS))))

    def day_end(self, accepted_ns: int) -> int:
        """The next 17:00 in New York that ends a trading day: none falls on a Saturday or Sunday."""
        local = _local(accepted_ns)
        close = local.replace(hour=_FX_HOUR, minute=0, second=0, microsecond=0)
        while close <= local or close.weekday() in (_SATURDAY, _SUNDAY):
            close = (close + timedelta(days=1)).replace(hour=_FX_HOUR)
        return _ns(close)

    def next_open(self, now_ns: int) -> int:
        return now_ns if self.is_open(now_ns) else self._next(now_ns, _SUNDAY)

    def next_close(self, now_ns: int) -> int:
        return self._next(now_ns, _FRIDAY)

    def _next(self, now_ns: int, weekday: int) -> int:
        """The first 17:00 in New York of that weekday after now."""
        local = _local(now_ns)
        found = local.replace(hour=_FX_HOUR, minute=0, second=0, microsecond=0)
        while found <= local or found.weekday() != weekday:
            found = (found + timedelta(days=1)).replace(hour=_FX_HOUR)
        return _ns(found)


def _local(now_ns: int) -> datetime:
    return (_EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(_NEW_YORK)


def _ns(local: datetime) -> int:
    return int((local.astimezone(UTC) - _EPOCH).total_seconds()) * 1_000_000_000


@lru_cache(maxsize=32)
def calendar_of(name: str) -> Calendar:
    """The calendar of that name. Raises ConfigError UNKNOWN_CALENDAR, or NO_CALENDARS without the extra."""
    for made in (AlwaysOpen, Weekdays, CurrencyWeek):
        if made.name == name:
            return made()
    from inalpha.model.exchange_calendar import exchange_calendar

    return exchange_calendar(name)


def missing_bars(
    calendar: Calendar, from_ns: int, to_ns: int, timeframe_ns: int, limit: int = 100_000
) -> int:
    """How many bars opening in [from, to) the calendar expects; counted over at most `limit` places."""
    if calendar.name == "24/7":
        return max(0, (to_ns - from_ns) // timeframe_ns)
    opens = range(from_ns, to_ns, timeframe_ns)[:limit]
    return sum(calendar.has_session(open_ns, open_ns + timeframe_ns) for open_ns in opens)


def trading_ns(calendar: Calendar, from_ns: int, to_ns: int, timeframe_ns: int, most_ns: int) -> int:
    """Trading time in [from, to), no further than most_ns. Raises ConfigError outside an exchange's known years.

    Bars of a day or longer are counted by days that hold a session, each as a whole day: an exchange's six hours are
    one of its days.
    """
    total = 0
    while from_ns < to_ns and total <= most_ns:
        if timeframe_ns >= DAY_NS:
            until_ns = min(from_ns + DAY_NS, to_ns)
            total += until_ns - from_ns if calendar.has_session(from_ns, from_ns + DAY_NS) else 0
            from_ns = until_ns
        elif calendar.is_open(from_ns):
            until_ns = min(calendar.next_close(from_ns), to_ns)
            total += until_ns - from_ns
            from_ns = until_ns
        else:
            from_ns = calendar.next_open(from_ns)
    return total


def unknown_calendar(name: str, known: str) -> ConfigError:
    """The refusal for a name that is none."""
    return ConfigError("UNKNOWN_CALENDAR", f"{name!r} is no calendar.", f"Use one of: {known}.")
