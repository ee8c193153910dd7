"""How long an order works: one small rule per time in force and calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from inalpha.model.order import OrderRequest, TimeInForce

DAY_NS = 86_400_000_000_000
_SATURDAY = 5
_FX_CLOSE_HOUR = 17
_NEW_YORK = "America/New_York"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DAY_CALENDARS = ("24/7", "weekdays", "fx")


def is_one_bar(order: OrderRequest, timeframe_ns: int) -> bool:
    """DAY on bars of a day or longer: one eligible bar is the whole session, so it ends with that bar."""
    return order.time_in_force is TimeInForce.DAY and timeframe_ns >= DAY_NS


def ends_at(order: OrderRequest, accepted_ns: int, timeframe_ns: int, calendar: str) -> int | None:
    """Market time at which the order expires; None for GTC, IOC and DAY on long bars."""
    if order.time_in_force is TimeInForce.GTD:
        return order.expires_ns
    if order.time_in_force is not TimeInForce.DAY or is_one_bar(order, timeframe_ns):
        return None
    if calendar == "24/7":
        return accepted_ns // DAY_NS * DAY_NS + DAY_NS
    if calendar == "weekdays":
        return _weekday_end(accepted_ns)
    if calendar == "fx":
        return _fx_end(accepted_ns)
    raise ValueError(f"calendar {calendar!r} has no session end; known: {', '.join(DAY_CALENDARS)}")


def _weekday_end(accepted_ns: int) -> int:
    """Midnight UTC that ends this Monday-to-Friday session; at the weekend, the next session's."""
    day = accepted_ns // DAY_NS
    while (day + 3) % 7 >= _SATURDAY:  # 1970-01-01 was a Thursday
        day += 1
    return (day + 1) * DAY_NS


def _fx_end(accepted_ns: int) -> int:
    """The next 17:00 in New York, by its own clock changes."""
    zone = ZoneInfo(_NEW_YORK)
    local = (_EPOCH + timedelta(microseconds=accepted_ns // 1000)).astimezone(zone)
    close = local.replace(hour=_FX_CLOSE_HOUR, minute=0, second=0, microsecond=0)
    if close <= local:
        close = (close + timedelta(days=1)).replace(hour=_FX_CLOSE_HOUR)
    return int((close.astimezone(UTC) - _EPOCH).total_seconds()) * 1_000_000_000
