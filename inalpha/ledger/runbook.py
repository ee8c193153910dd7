"""A run's money and prices as its journal last stated them: what screens and `run show` print."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from inalpha.model.money import e8_from_text, multiply_e8, text_from_e8

_LAST = "SELECT input, output FROM journal WHERE run = ? AND kind = 'bar' ORDER BY n DESC LIMIT 1"
_HEADER = "SELECT input FROM journal WHERE run = ? AND n = 0"


@dataclass(frozen=True, slots=True)
class RunMoney:
    """Decimal texts of the account's currency. opening: the book's cash at its start; realised: before fees."""

    opening: str
    cash: str
    position: str
    average: str | None
    close: str | None
    equity: str
    realised: str
    unrealised: str
    fees: str

    @property
    def realised_net(self) -> str:
        """Realised less every fee paid so far, those of a position that is still open included."""
        return text_from_e8(e8_from_text(self.realised) - e8_from_text(self.fees))


@dataclass(frozen=True, slots=True)
class ChartBar:
    """One recorded bar for a chart. Times in microseconds; prices as floats, for drawing alone."""

    bar: int
    open_us: int
    close_us: int
    open: float
    high: float
    low: float
    close: float
    equity: float


def run_money(reader: sqlite3.Connection, run: str) -> RunMoney | None:
    """The book after the last consumed bar; None before the run wrote its journal."""
    header = reader.execute(_HEADER, (run,)).fetchone()
    if header is None:
        return None
    body = json.loads(header[0])
    opening, tick, lot = body["opening_cash_e8"], body["instrument"]["tick_e8"], body["instrument"]["lot_e8"]
    row = reader.execute(_LAST, (run,)).fetchone()
    if row is None:
        text = text_from_e8(opening)
        return RunMoney(text, text, "0", None, None, text, "0", "0", "0")
    close = json.loads(row[0])["bar"][5]
    cash, lots, cost, realised, fees = json.loads(row[1])["book"]
    value = multiply_e8(close * tick, lots * lot)
    quantity = lots * lot
    average = None if lots == 0 else text_from_e8(abs(cost) * 10**8 // abs(quantity))
    return RunMoney(
        opening=text_from_e8(opening),
        cash=text_from_e8(cash),
        position=text_from_e8(quantity),
        average=average,
        close=text_from_e8(close * tick),
        equity=text_from_e8(cash + value),
        realised=text_from_e8(realised),
        unrealised=text_from_e8(value - cost),
        fees=text_from_e8(fees),
    )


def chart_bars(reader: sqlite3.Connection, run: str, last: int = 120) -> list[ChartBar]:
    """The last recorded bars, oldest first, with the equity at each close."""
    header = reader.execute(_HEADER, (run,)).fetchone()
    if header is None:
        return []
    instrument = json.loads(header[0])["instrument"]
    tick, lot = instrument["tick_e8"], instrument["lot_e8"]
    query = "SELECT bar, input, output FROM journal WHERE run = ? AND kind = 'bar' ORDER BY n DESC LIMIT ?"
    found = []
    for bar, inputs, outputs in reader.execute(query, (run, last)):
        opened, closed, *prices = json.loads(inputs)["bar"][:6]
        cash, lots, *_ = json.loads(outputs)["book"]
        equity = cash + multiply_e8(prices[3] * tick, lots * lot)
        o, h, low, c = (price * tick / 1e8 for price in prices)
        found.append(ChartBar(bar, opened // 1000, closed // 1000, o, h, low, c, equity / 1e8))
    return found[::-1]


def account_equity(reader: sqlite3.Connection, account: str) -> str:
    """The account's cash and its runs' positions at their last closes."""
    row = reader.execute("SELECT cash FROM account WHERE account = ?", (account,)).fetchone()
    total = e8_from_text(row[0])
    held = "SELECT run, position FROM run WHERE account = ? AND position != '0'"
    for run, position in reader.execute(held, (account,)).fetchall():
        header = reader.execute(_HEADER, (run,)).fetchone()
        last = reader.execute(_LAST, (run,)).fetchone()
        if header is None or last is None:
            continue
        tick = json.loads(header[0])["instrument"]["tick_e8"]
        total += multiply_e8(json.loads(last[0])["bar"][5] * tick, e8_from_text(position))
    return text_from_e8(total)
