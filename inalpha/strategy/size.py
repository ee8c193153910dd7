"""How many units money buys: exact until the last step, and never more than was asked for."""

from __future__ import annotations

import math
from fractions import Fraction

from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.strategy.numbers import wire_text


def size_of(
    percent: object, value: object, equity_e8: int, close_ticks: int, instrument: Instrument
) -> float:
    """Units for percent of equity or for value, at the last close, down to a whole lot; 0.0 below one.

    Raises ValueError unless exactly one of percent and value is given, as a number from zero up.
    """
    if (percent is None) == (value is None):
        given = "neither" if percent is None else "both"
        raise ValueError(f"quantity takes percent= or value=, and {given} was given: quantity(percent=5)")
    if value is not None:
        money_e8 = _amount("value", value) * E8
    else:
        # A book that owes money has nothing to share out.
        money_e8 = _amount("percent", percent) / 100 * max(equity_e8, 0)
    lots = int(money_e8 * E8 / (instrument.price_e8(close_ticks) * instrument.lot_e8))
    return _units(lots, instrument)


def _amount(name: str, given: object) -> Fraction:
    text = wire_text(given)
    if text is None or text.startswith("-"):
        raise ValueError(f"quantity({name}={given!r}): a number from 0 to below 1e12 is needed")
    return Fraction(text)


def _units(lots: int, instrument: Instrument) -> float:
    """A float that an order rounds to these very lots: beyond 2**53 steps of 1e-8 the nearest float may lie above."""
    units = lots * instrument.lot_e8 / E8
    while Fraction(repr(units)) * E8 > lots * instrument.lot_e8:
        units = math.nextafter(units, 0.0)
    return units
