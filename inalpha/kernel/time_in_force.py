"""How long an order works: one small rule per time in force; the calendar knows where a day ends."""

from __future__ import annotations

from inalpha.model.calendar import Calendar
from inalpha.model.order import OrderRequest, TimeInForce
from inalpha.model.timeframe import DAY_NS


def is_one_bar(order: OrderRequest, timeframe_ns: int) -> bool:
    """DAY on bars of a day or longer: one eligible bar is the whole session, so it ends with that bar."""
    return order.time_in_force is TimeInForce.DAY and timeframe_ns >= DAY_NS


def ends_at(order: OrderRequest, accepted_ns: int, timeframe_ns: int, calendar: Calendar) -> int | None:
    """Market time at which the order expires; None for GTC, IOC and DAY on long bars."""
    if order.time_in_force is TimeInForce.GTD:
        return order.expires_ns
    if order.time_in_force is not TimeInForce.DAY or is_one_bar(order, timeframe_ns):
        return None
    return calendar.day_end(accepted_ns)
