"""The timeframes that the whole product knows, by their usual names."""

from __future__ import annotations

_MINUTE_NS = 60_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
DAY_NS = 24 * _HOUR_NS

TIMEFRAMES_NS: dict[str, int] = {
    **{f"{count}m": count * _MINUTE_NS for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": count * _HOUR_NS for count in (1, 2, 4, 6, 8, 12)},
    "1d": DAY_NS,
    "3d": 3 * DAY_NS,
    "1w": 7 * DAY_NS,
}
