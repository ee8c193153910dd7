"""The timeframes that the whole product knows, by their usual names."""

from __future__ import annotations

SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * _MINUTE_NS
DAY_NS = 24 * HOUR_NS

TIMEFRAMES_NS: dict[str, int] = {
    **{f"{count}m": count * _MINUTE_NS for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": count * HOUR_NS for count in (1, 2, 4, 6, 8, 12)},
    "1d": DAY_NS,
    "3d": 3 * DAY_NS,
    "1w": 7 * DAY_NS,
}

# A session that opens in the evening bears the next day's date: 22:00 for currencies; 13:30 does not.
_EVENING_NS = 8 * HOUR_NS


def is_daily(timeframe: str) -> bool:
    """A day or longer: a person calls such a bar by the date of its session, not by the instant of its close."""
    return TIMEFRAMES_NS.get(timeframe, 0) >= DAY_NS


def session_us(close_us: int, timeframe: str) -> int:
    """An instant on the date that names a bar of a day or longer, from when it closed; a shorter one's close."""
    if not is_daily(timeframe):
        return close_us
    return close_us + (_EVENING_NS - TIMEFRAMES_NS[timeframe]) // 1000
