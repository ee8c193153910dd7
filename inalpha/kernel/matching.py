"""Which price a bar gives an order: pure functions over integers, side +1 or -1, one formula for both.

A bar tells four prices but not their path. The order assumed is: market orders and what the open gapped
through, then stops, then limits; the pessimistic reading where a stop and a target were both in reach.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from inalpha.model.bar import Bar
from inalpha.model.order import OrderType


class Phase(IntEnum):
    """M4: the order of events assumed inside one bar."""

    MARKET = 0
    OPEN = 1
    STOPS = 2
    LIMITS = 3


class Match(NamedTuple):
    """price_ticks is None for a stop-limit that was triggered without a fill."""

    price_ticks: int | None
    triggered: bool = False


def limit_is_open(side: int, limit: int, open_ticks: int) -> bool:
    """M6: the open is at the limit or better."""
    return open_ticks * side <= limit * side


def limit_is_reached(side: int, limit: int, bar: Bar, through: bool) -> bool:
    """M7: the bar's best price for this side touches the limit (or goes through it)."""
    best = (bar.low_ticks if side > 0 else bar.high_ticks) * side
    return best < limit * side if through else best <= limit * side


def stop_is_open(side: int, stop: int, open_ticks: int) -> bool:
    """M9: the open is at the stop or beyond; the stop price itself was never on offer."""
    return open_ticks * side >= stop * side


def stop_is_reached(side: int, stop: int, bar: Bar) -> bool:
    """M10: the bar's worst price for this side reaches the stop."""
    return (bar.high_ticks if side > 0 else bar.low_ticks) * side >= stop * side


def match(
    phase: Phase,
    kind: OrderType,
    side: int,
    limit: int | None,
    stop: int | None,
    bar: Bar,
    *,
    through: bool = False,
) -> Match | None:
    """The price (before slippage) that this phase of the bar gives the order, or None."""
    if kind is OrderType.MARKET:
        return Match(bar.open_ticks) if phase is Phase.MARKET else None
    if kind is OrderType.LIMIT and limit is not None:
        return _match_limit(phase, side, limit, bar, through)
    if kind is OrderType.STOP_MARKET and stop is not None:
        return _match_stop(phase, side, stop, bar)
    if limit is None or stop is None:
        raise ValueError(f"a {kind.value} order without its prices")
    return _match_stop_limit(phase, side, limit, stop, bar)


def _match_limit(phase: Phase, side: int, limit: int, bar: Bar, through: bool) -> Match | None:
    if limit_is_open(side, limit, bar.open_ticks):
        return Match(bar.open_ticks) if phase is Phase.OPEN else None
    if phase is Phase.LIMITS and limit_is_reached(side, limit, bar, through):
        return Match(limit)
    return None


def _match_stop(phase: Phase, side: int, stop: int, bar: Bar) -> Match | None:
    if stop_is_open(side, stop, bar.open_ticks):
        return Match(bar.open_ticks) if phase is Phase.OPEN else None
    if phase is Phase.STOPS and stop_is_reached(side, stop, bar):
        return Match(stop)
    return None


def _match_stop_limit(phase: Phase, side: int, limit: int, stop: int, bar: Bar) -> Match | None:
    """M11, M12: triggered at the open, a limit at once; inside the bar the stop must suit the limit."""
    if stop_is_open(side, stop, bar.open_ticks):
        within = limit_is_open(side, limit, bar.open_ticks)
        return Match(bar.open_ticks if within else None, triggered=True) if phase is Phase.OPEN else None
    if phase is Phase.STOPS and stop_is_reached(side, stop, bar):
        return Match(stop if stop * side <= limit * side else None, triggered=True)
    return None
