"""Closed trades, flat to flat at average cost and net of fees, with their best and worst moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inalpha.kernel.book import Book
from inalpha.kernel.costs import notional_e8
from inalpha.kernel.records import Fill
from inalpha.kernel.spec import RunSpec
from inalpha.model.bar import Bar


@dataclass(frozen=True, slots=True)
class Trade:
    """profit_e8: net of fees. mae_e8 <= 0 <= mfe_e8: unrealised extremes within the bars held, fees apart."""

    side: int
    entry_ns: int
    exit_ns: int
    entry_bar: int
    exit_bar: int
    peak_lots: int
    cost_e8: int
    profit_e8: int
    fees_e8: int
    mae_e8: int
    mfe_e8: int
    reason: str

    @property
    def bars(self) -> int:
        return self.exit_bar - self.entry_bar


class _Open:
    def __init__(self, fill: Fill, side: int) -> None:
        self.first = fill
        self.side = side
        self.realised_e8 = 0
        self.fees_e8 = 0
        self.peak_lots = 0
        self.cost_e8 = 0
        self.mae_e8 = 0
        self.mfe_e8 = 0

    def close(self, fill: Fill) -> Trade:
        return Trade(
            self.side,
            self.first.time_ns,
            fill.time_ns,
            self.first.bar,
            fill.bar,
            self.peak_lots,
            self.cost_e8,
            self.realised_e8 - self.fees_e8,
            self.fees_e8,
            self.mae_e8,
            self.mfe_e8,
            fill.reason,
        )


def closed_trades(spec: RunSpec, fills: Sequence[Fill], bars: Sequence[Bar]) -> list[Trade]:
    """Every trade that ended flat (or turned); what is still open is none."""
    book = Book(spec.instrument, spec.opening_cash_e8)
    trades: list[Trade] = []
    current: _Open | None = None
    for position, fill in enumerate(fills):
        side = int(fill.side)
        before = book.lots
        turned = before * side < 0 and fill.quantity_lots > abs(before)
        realised = book.realised_e8
        book.apply(side, fill.quantity_lots, fill.price_ticks, fill.fee_e8)
        if current is None:
            current = _Open(fill, side)
        current.realised_e8 += book.realised_e8 - realised
        current.fees_e8 += fill.fee_e8
        if book.lots == 0 or turned:
            trades.append(current.close(fill))
            # A turn's whole fee counts to the trade it closed: a fill has one fee.
            current = _Open(fill, side) if turned else None
        if current is not None:
            current.peak_lots = max(current.peak_lots, abs(book.lots))
            current.cost_e8 = max(current.cost_e8, abs(book.cost_e8))
            until = fills[position + 1].bar if position + 1 < len(fills) else len(bars) - 1
            _extremes(current, book, bars, fill.bar, until)
    return trades


def _extremes(current: _Open, book: Book, bars: Sequence[Bar], first: int, last: int) -> None:
    """The worst and best mark of the position over [first, last]. Whole bars count, so both are bounds."""
    for index in range(first, min(last, len(bars) - 1) + 1):
        bar = bars[index]
        for ticks in (bar.low_ticks, bar.high_ticks):
            profit = notional_e8(book.instrument, ticks, book.lots) - book.cost_e8
            current.mae_e8 = min(current.mae_e8, profit)
            current.mfe_e8 = max(current.mfe_e8, profit)
