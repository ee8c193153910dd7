"""What is traded: symbol, tick, lot and calendar."""

from __future__ import annotations

from dataclasses import dataclass

from inalpha.model.money import E8, e8_from_text, text_from_e8


@dataclass(frozen=True, slots=True)
class Instrument:
    """A market's steps. tick_e8 and lot_e8: smallest price and quantity step in 1e-8 units (> 0).
    min_notional_e8: the smallest value of an order that enters, in 1e-8 money; 0 where the market has none.

    A strategy reads tick and lot, in money and in units, like every other number that it sees.
    """

    symbol: str
    tick_e8: int = E8 // 100
    lot_e8: int = E8
    currency: str = "USD"
    calendar: str = "24/7"
    min_notional_e8: int = 0

    def __post_init__(self) -> None:
        if not self.symbol or self.tick_e8 <= 0 or self.lot_e8 <= 0:
            raise ValueError(f"bad instrument {self.symbol!r}: tick and lot must be above zero")
        if self.min_notional_e8 < 0:
            raise ValueError(f"bad instrument {self.symbol!r}: the minimum notional is below zero")

    @classmethod
    def from_text(
        cls,
        symbol: str,
        tick: str = "0.01",
        lot: str = "1",
        currency: str = "USD",
        calendar: str = "24/7",
        min_notional: str = "0",
    ) -> Instrument:
        """Build from decimal strings. Raises ValueError."""
        return cls(
            symbol, e8_from_text(tick), e8_from_text(lot), currency, calendar, e8_from_text(min_notional)
        )

    @property
    def tick(self) -> float:
        """The smallest price step, in money."""
        return self.tick_e8 / E8

    @property
    def lot(self) -> float:
        """The smallest quantity step, in units: orders are rounded down to it."""
        return self.lot_e8 / E8

    def price_e8(self, ticks: int) -> int:
        return ticks * self.tick_e8

    def price_text(self, ticks: int) -> str:
        return text_from_e8(ticks * self.tick_e8)

    def quantity_e8(self, lots: int) -> int:
        return lots * self.lot_e8

    def quantity_text(self, lots: int) -> str:
        return text_from_e8(lots * self.lot_e8)
