"""The position guard: closes what lost too much or gave its gain back, whatever its strategy does.

It judges closes, so a wick trips nothing; the exit is a market order, so a gap may lose more than the limit. A trigger
trips at its limit. Everything is an integer: prices in ticks, money in 1e-8 units.
"""

from __future__ import annotations

from copy import copy

from inalpha.model.bar import Bar
from inalpha.model.money import E8, divide_half_even, multiply_e8
from inalpha.model.risk import TAKE_PROFIT_RULE, RunView
from inalpha.risk.controls.base import scaled
from inalpha.risk.rules import Rules, rules_from_canonical

ATR_BARS = 22


class AverageTrueRange:
    """Wilder's ATR over closed bars: the mean of the first 22 true ranges, then each new one weighs 1/22.

    value_e8: ticks times 1e8; None before the 22nd range. Source: J. W. Wilder, New Concepts in Technical Trading
    Systems (1978); the first bar has no close before it, and so no range.
    """

    __slots__ = ("_close", "_count", "_sum", "value_e8")

    def __init__(self) -> None:
        self._close: int | None = None
        self._count = 0
        self._sum = 0
        self.value_e8: int | None = None

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        before, self._close = self._close, bar.close_ticks
        if before is None:
            return
        true_range = max(bar.high_ticks, before) - min(bar.low_ticks, before)
        if self.value_e8 is not None:
            self.value_e8 = divide_half_even(self.value_e8 * (ATR_BARS - 1) + true_range * E8, ATR_BARS)
            return
        self._count, self._sum = self._count + 1, self._sum + true_range
        if self._count == ATR_BARS:
            self.value_e8 = divide_half_even(self._sum * E8, ATR_BARS)


class PositionGuard:
    """Answers the rule that wants the position closed, or an empty text. Deterministic.

    It remembers the best close since the position was opened, and the ATR where that is asked for.
    """

    def __init__(self, rules: Rules) -> None:
        self._settings = rules.controls.position_guard
        self._position = 0
        self._best_ticks = 0
        self._atr = AverageTrueRange()

    def under(self, rules: str) -> PositionGuard:
        """The same guard, with what it has seen, under the rules that a canonical text holds."""
        found = PositionGuard(rules_from_canonical(rules))
        found._position, found._best_ticks, found._atr = self._position, self._best_ticks, copy(self._atr)
        return found

    def observe(self, bar: Bar, lots: int, position: int) -> None:
        """Each closed bar, warm-up too. lots: signed; position: a new number for each position."""
        if self._settings.atr_multiple:
            self._atr.update(bar)
        if not lots:
            return
        close = bar.close_ticks
        if position != self._position:
            self._position, self._best_ticks = position, close
        elif (close - self._best_ticks) * lots > 0:
            self._best_ticks = close

    def trip(self, view: RunView, average: tuple[int, int]) -> str:
        """average: signed total cost in 1e-8 money and signed lots."""
        settings = self._settings
        if not settings.enabled:
            return ""
        cost_e8, lots = average
        gain_e8 = view.position_value_e8 - cost_e8
        if -gain_e8 * 100 * E8 >= scaled(settings.hard_stop_pct) * abs(cost_e8):
            return "HARD_STOP"
        if (settings.atr_multiple or settings.trailing_pct) and self._was_in_profit(view, cost_e8, lots):
            back = (self._best_ticks - view.bar.close_ticks) * (1 if lots > 0 else -1)  # ticks given back
            if settings.atr_multiple and self._gave_back_atr(back):
                return "ATR_STOP"
            if settings.trailing_pct and back * 100 * E8 >= scaled(settings.trailing_pct) * self._best_ticks:
                return "TRAILING_STOP"
        if settings.take_profit_pct and gain_e8 * 100 * E8 >= scaled(settings.take_profit_pct) * abs(cost_e8):
            return TAKE_PROFIT_RULE
        return ""

    def _was_in_profit(self, view: RunView, cost_e8: int, lots: int) -> bool:
        """Whether the best close was beyond the average price."""
        instrument = view.instrument
        return multiply_e8(instrument.price_e8(self._best_ticks), instrument.quantity_e8(lots)) > cost_e8

    def _gave_back_atr(self, back: int) -> bool:
        """Whether so many ticks behind the best close are the multiple of the ATR, once there is one."""
        atr_e8 = self._atr.value_e8
        return (
            atr_e8 is not None and back > 0 and back * E8 * E8 >= scaled(self._settings.atr_multiple) * atr_e8
        )
