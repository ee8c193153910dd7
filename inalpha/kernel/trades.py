"""Closed trades as they happen: flat to flat, net of fees, folded from a run's fills (KERNEL.md 9.8)."""

from __future__ import annotations

from inalpha.kernel.costs import notional_e8
from inalpha.kernel.orders import STOP_LOSS
from inalpha.kernel.records import Fill
from inalpha.model.instrument import Instrument
from inalpha.model.risk import TAKE_PROFIT_RULE, ClosedTrade, OpenTrade
from inalpha.model.step import MAX_INTENTS

GUARD_N = MAX_INTENTS  # the number behind a strategy's own 0 to MAX_INTENTS - 1


def intent_number(intent: str) -> int:
    """The n of an intent `<bar>:<n>`; -1 for an order from outside the run."""
    number = intent.partition(":")[2]
    return int(number) if number.isdecimal() else -1


def is_stop(fill: Fill) -> bool:
    """Whether a stop closed here: a bracket's stop_loss leg, or the guard at a loss or behind the best close."""
    if fill.child is not None:
        return fill.child == STOP_LOSS
    return intent_number(fill.intent) == GUARD_N and fill.reason != TAKE_PROFIT_RULE


class TradeFold:
    """One run's. A position's profit is what its fills did to cash between two moments of being flat."""

    __slots__ = ("_flow_e8", "_instrument", "_opening_e8", "_stopped", "open")

    def __init__(self, instrument: Instrument, opening_cash_e8: int) -> None:
        self._instrument = instrument
        self._opening_e8 = opening_cash_e8
        self._flow_e8 = 0
        self._stopped = False
        self.open: OpenTrade | None = None

    def take(self, fill: Fill) -> ClosedTrade | None:
        """The trade that this fill closes. One fill through zero closes a trade and opens the next."""
        lots, side, before_e8 = fill.position_lots, int(fill.side), self._flow_e8
        after_e8 = self._flow_e8 = fill.cash_e8 - self._opening_e8
        held = lots - side * fill.quantity_lots
        if held == 0 or self.open is None:
            self._stopped = False
            self.open = OpenTrade(side, before_e8, abs(before_e8 - after_e8))
            return None
        trade = self.open
        self._stopped |= is_stop(fill)
        if held * lots < 0:
            opened_e8 = notional_e8(self._instrument, fill.price_ticks, abs(lots))
            flat_e8 = after_e8 + side * opened_e8
            closed = self._close(trade, fill, flat_e8)
            self.open = OpenTrade(side, flat_e8, opened_e8)
            return closed
        if lots == 0:
            self.open = None
            return self._close(trade, fill, after_e8)
        outlay_e8 = max(trade.outlay_e8, abs(trade.opened_e8 - after_e8))
        self.open = OpenTrade(trade.side, trade.opened_e8, outlay_e8)
        return None

    def _close(self, trade: OpenTrade, fill: Fill, flat_e8: int) -> ClosedTrade:
        stopped, self._stopped = self._stopped, False
        return ClosedTrade(trade.side, fill.time_ns, flat_e8 - trade.opened_e8, trade.outlay_e8, stopped)
