"""Exchange sessions, early closes and lunch breaks included, from the package of the extra [calendars].

Sessions are read once into sorted lists of integers; pandas is loaded for that, so a process that names
no exchange never pays for it.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inalpha.model.calendar import BUILT_IN, unknown_calendar
from inalpha.model.errors import ConfigError
from inalpha.model.timeframe import DAY_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

# Some exchanges are known from later on than others; the earliest that the package accepts is taken.
_STARTS = ("1990-01-01", "2000-01-01", None)


class ExchangeCalendar:
    """opens[i] to closes[i] is one stretch of trading (a lunch break makes two of one session), ascending.

    day_ends: the end of each session.
    """

    def __init__(
        self, name: str, opens: Sequence[int], closes: Sequence[int], day_ends: Sequence[int]
    ) -> None:
        self.name = name
        self._opens = opens
        self._closes = closes
        self._day_ends = day_ends

    def is_open(self, now_ns: int) -> bool:
        return self.has_session(now_ns, now_ns + 1)

    def has_session(self, open_ns: int, close_ns: int) -> bool:
        self._check(open_ns)
        first = bisect_right(self._closes, open_ns)
        return first < len(self._opens) and self._opens[first] < close_ns

    def day_end(self, accepted_ns: int) -> int:
        self._check(accepted_ns)
        return self._day_ends[bisect_right(self._day_ends, accepted_ns)]

    def next_open(self, now_ns: int) -> int:
        if self.is_open(now_ns):
            return now_ns
        at = bisect_right(self._opens, now_ns)
        if at == len(self._opens):
            self._check(self._day_ends[-1])
        return self._opens[at]

    def next_close(self, now_ns: int) -> int:
        self._check(now_ns)
        return self._closes[bisect_right(self._closes, now_ns)]

    def _check(self, now_ns: int) -> None:
        # A bar of up to a week may open before the first session that it holds.
        if now_ns < self._opens[0] - 7 * DAY_NS or now_ns >= self._day_ends[-1]:
            first, last = (
                datetime.fromtimestamp(ns // 10**9, UTC) for ns in (self._opens[0], self._day_ends[-1])
            )
            raise ConfigError(
                "CALENDAR_RANGE",
                f"the sessions of {self.name} are known from {first:%Y-%m-%d} to {last:%Y-%m-%d} only.",
                "Cut the data to that range, or use the calendar weekdays.",
            )


def exchange_calendar(name: str) -> ExchangeCalendar:
    """The sessions of one exchange, by its market identifier (XNYS, XLON). Raises ConfigError."""
    try:
        import exchange_calendars
    except ImportError:
        raise ConfigError(
            "NO_CALENDARS",
            f"{name!r} is none of {', '.join(BUILT_IN)}; exchanges need the extra [calendars].",
            "pip install 'inalpha[calendars]', or use one of those three.",
        ) from None
    for start in _STARTS:
        try:
            found = exchange_calendars.get_calendar(name, start=start)
        except exchange_calendars.errors.InvalidCalendarName:
            names = exchange_calendars.get_calendar_names(include_aliases=False)
            known = ", ".join([*BUILT_IN, *(each for each in names if each[0] == "X")])
            raise unknown_calendar(name, known) from None
        except ValueError:
            continue
        return _sessions(name, found)
    raise unknown_calendar(name, ", ".join(BUILT_IN))


def _sessions(name: str, found: Any) -> ExchangeCalendar:
    opens, closes, day_ends = [], [], []
    columns = (found.opens, found.closes, found.break_starts, found.break_ends)
    for opened, closed, pause, resume in zip(*map(_ns, columns), strict=True):
        opens.append(opened)
        if pause > opened:
            closes.append(pause)
            opens.append(resume)
        closes.append(closed)
        day_ends.append(closed)
    return ExchangeCalendar(name, opens, closes, day_ends)


def _ns(column: Any) -> list[int]:
    """A column of UTC times as integers; a missing one is the smallest 64-bit integer."""
    values: list[int] = column.dt.tz_localize(None).to_numpy("datetime64[ns]").astype("int64").tolist()
    return values
