"""P14: entries only while the market's calendar is open; and the lock rule that says until when they wait."""

from __future__ import annotations

from inalpha.model.calendar import Calendar, calendar_of
from inalpha.model.errors import ConfigError
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Lock, Refusal, RunView, Stage
from inalpha.model.timeframe import DAY_NS, SECOND_NS
from inalpha.risk.controls.base import NoData, figure
from inalpha.risk.controls.lock import locked, time_text
from inalpha.risk.settings import MarketHours, MarketHoursLock

RULE = "MarketHours"


def check(order: OrderRequest, view: RunView, settings: MarketHours, stage: Stage) -> Refusal | None:
    """Bars of a day or longer pass: they close outside hours, and the order works from the next session.

    A session ends at its close: a bar that closes exactly then leaves no time in which its order could work.
    """
    if settings.extended or view.timeframe_ns >= DAY_NS:
        return None
    calendar = known_calendar(view.instrument.calendar)
    if is_open(calendar, view.now_ns):
        return None
    opens_ns = calendar.next_open(view.now_ns)
    text = (
        f"{calendar.name} is closed at {time_text(view.now_ns)} and opens at {time_text(opens_ns)}."
        " Setting: controls.market_hours.extended."
    )
    wait = figure(opens_ns - view.now_ns, SECOND_NS, "0")
    return Refusal(
        "MARKET_HOURS", "P14", wait, "0", "s until the market opens", "market_hours.extended", text
    )


def check_lock(order: OrderRequest, view: RunView, settings: MarketHoursLock, stage: Stage) -> Refusal | None:
    """The lock rule of the same name; a hit under it changes nothing, its end is the calendar's."""
    lock = lock_at(view.symbol, view.instrument.calendar, view.timeframe_ns, view.now_ns)
    return None if lock is None else locked(lock, view.now_ns)


def lock_at(symbol: str, calendar_name: str, timeframe_ns: int, now_ns: int) -> Lock | None:
    """The lock on a market whose calendar is closed, until its next open; None while it is open.

    It is a fact of the calendar, so nobody has to keep it. Raises NoData for an unknown calendar.
    """
    if timeframe_ns >= DAY_NS:
        return None
    calendar = known_calendar(calendar_name)
    if is_open(calendar, now_ns):
        return None
    return Lock(RULE, symbol, f"{calendar.name} is closed", now_ns, calendar.next_open(now_ns))


def known_calendar(name: str) -> Calendar:
    """Raises NoData where no such calendar is known: what is not known to be open is closed."""
    try:
        return calendar_of(name)
    except ConfigError as error:
        raise NoData(f"the calendar {name!r} is not known: {error.message}") from error


def is_open(calendar: Calendar, now_ns: int) -> bool:
    """Raises NoData outside the years that an exchange's calendar holds."""
    try:
        return calendar.is_open(now_ns)
    except ConfigError as error:
        raise NoData(error.message) from error
