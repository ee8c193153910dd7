"""The run's own book: cash, position, cost, realised profit and fees, all integers.

Cost is kept as a signed total and the average derived, so that no rounding ever accumulates in it.
"""

from __future__ import annotations

from inalpha.kernel.costs import notional_e8
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8, divide_half_even


class BooksDiffer(ArithmeticError):
    """The identity of money does not hold: a defect, never a market event."""


class Book:
    """cost_e8 is signed: positive for a long, negative (the proceeds) for a short."""

    __slots__ = (
        "_point_e8",
        "cash_e8",
        "cost_e8",
        "fees_e8",
        "instrument",
        "lots",
        "opening_cash_e8",
        "realised_e8",
    )

    def __init__(self, instrument: Instrument, opening_cash_e8: int) -> None:
        self.instrument = instrument
        # Value of one lot moving one tick, where that is a whole number of 1e-8: then no mark needs rounding.
        point, rest = divmod(instrument.tick_e8 * instrument.lot_e8, E8)
        self._point_e8 = 0 if rest else point
        self.opening_cash_e8 = opening_cash_e8
        self.cash_e8 = opening_cash_e8
        self.lots = 0
        self.cost_e8 = 0
        self.realised_e8 = 0
        self.fees_e8 = 0

    def apply(self, side: int, lots: int, price_ticks: int, fee_e8: int) -> None:
        """Take one fill. Through zero it closes the old position first, then opens the new one."""
        closing = min(lots, abs(self.lots)) if self.lots * side < 0 else 0
        if closing:
            self._close(side, closing, notional_e8(self.instrument, price_ticks, closing))
        opening = lots - closing
        if opening:
            notional = notional_e8(self.instrument, price_ticks, opening)
            self.cost_e8 += side * notional
            self.cash_e8 -= side * notional
            self.lots += side * opening
        self.cash_e8 -= fee_e8
        self.fees_e8 += fee_e8

    def _close(self, side: int, lots: int, notional: int) -> None:
        share = divide_half_even(self.cost_e8 * lots, abs(self.lots))
        self.cash_e8 -= side * notional
        # A sell of a long (side -1) realises notional - share; a cover of a short realises -notional - share.
        self.realised_e8 += -side * notional - share
        self.cost_e8 -= share
        self.lots += side * lots

    def value_e8(self, price_ticks: int) -> int:
        """Signed market value of the position, half-even per mark."""
        if self._point_e8:
            return self.lots * price_ticks * self._point_e8
        return notional_e8(self.instrument, price_ticks, self.lots) if self.lots else 0

    def own_cash_e8(self) -> int:
        """Cash without the proceeds of an open short: that part is owed."""
        return self.cash_e8 + min(self.cost_e8, 0)

    def verify(self) -> None:
        """cash + market value = start + realised + unrealised - fees, exactly, or BooksDiffer.

        Unrealised is market value less cost, so the value cancels: what held after a fill holds until
        the next, at any price.
        """
        left = self.cash_e8 + self.cost_e8
        right = self.opening_cash_e8 + self.realised_e8 - self.fees_e8
        if left != right or (self.lots == 0 and self.cost_e8 != 0):
            raise BooksDiffer(f"cash and cost are {left}, the fold of fills {right} (1e-8)")
