"""C1: a run's book must be the sum of its fills, after each bar and at each start; nothing is ever repaired.

Two hands reckon it: the kernel's book, and a fold of the fills. Where they differ, one of them is wrong and nobody
knows which, so the run is halted and waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inalpha.model.instrument import Instrument
from inalpha.model.money import multiply_e8, text_from_e8
from inalpha.model.order import Side
from inalpha.model.risk import Refusal

CODE, CONTROL = "RECONCILE", "C1"


@dataclass(slots=True)
class FillFold:
    """Cash and lots as fills alone make them. cash_e8: opened with the allocation, in 1e-8 money."""

    cash_e8: int
    lots: int = 0

    def take(self, instrument: Instrument, fills: Iterable[tuple[Side, int, int, int]]) -> None:
        """Fills as (side, lots, price in ticks, fee in 1e-8 money)."""
        for side, lots, ticks, fee_e8 in fills:
            # Through zero a fill closes one position and opens another: two amounts, each rounded by itself.
            closing = min(lots, abs(self.lots)) if self.lots * side < 0 else 0
            for part in (closing, lots - closing):
                worth = multiply_e8(instrument.price_e8(ticks), instrument.quantity_e8(part))
                self.cash_e8 -= int(side) * worth
            self.cash_e8 -= fee_e8
            self.lots += int(side) * lots


def mismatch(book_lots: int, book_cash_e8: int, fold: FillFold, instrument: Instrument) -> Refusal | None:
    """How the book differs from the fold of its fills; None where they agree. Its limit is what the fills say."""
    if book_lots != fold.lots:
        measured, limit = instrument.quantity_text(book_lots), instrument.quantity_text(fold.lots)
        return _refusal("position", measured, limit, instrument.symbol)
    if book_cash_e8 != fold.cash_e8:
        return _refusal("cash", text_from_e8(book_cash_e8), text_from_e8(fold.cash_e8), instrument.currency)
    return None


def _refusal(what: str, measured: str, limit: str, unit: str) -> Refusal:
    text = f"the book's {what} is {measured} {unit}, its fills add up to {limit}: one of them is wrong. No repair."
    return Refusal(CODE, CONTROL, measured, limit, unit, what, text)
