"""How much room an account has under each limit now: what the engine would measure, beside what it allows.

Read from the ledger alone, by the fold that the daemon makes its books with at a start.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from inalpha.daemon.accounts import Accounts
from inalpha.ledger import readers
from inalpha.model.money import E8, text_from_e8
from inalpha.model.timeframe import DAY_NS
from inalpha.risk.account import AccountBook
from inalpha.risk.controls.base import figure, limit_text, scaled
from inalpha.risk.rules import Rules, default_rules

_DAY_US = DAY_NS // 1000
_HOUR_US = _DAY_US // 24
# Orders of a run by the market time at which they were decided; a plan from outside counts at its run's last bar.
_ORDERS = (
    "SELECT s.close, o.decided_bar FROM orders o JOIN step s ON s.run = o.run AND s.bar = o.decided_bar"
    " WHERE o.run = ? AND o.child IS NULL AND s.close > ?"
)
_ENTRIES = (
    "SELECT o.side, count(DISTINCT f.\"order\") FROM fill f JOIN orders o ON o.\"order\" = f.\"order\""
    ' JOIN plan p ON p.plan = o.plan JOIN fill_detail t ON t.fill = f.fill'
    ' JOIN step s ON s.run = f.run AND s.bar = t.bar'
    " WHERE f.run = ? AND o.child IS NULL AND NOT p.reduce_only AND s.close > ? GROUP BY o.side"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Room:
    """One limit now. scope: the account, a symbol or a run. measured, limit, left: decimal strings in the unit."""

    control: str
    scope: str
    measured: str
    limit: str
    left: str
    unit: str
    setting: str


def folded(reader: sqlite3.Connection, rules: dict[str, Rules]) -> Accounts:
    """The accounts' books as the ledger's lines make them. rules: by account, those in force."""
    accounts = Accounts()

    def rules_of(account: str) -> Rules:
        return rules.get(account) or default_rules()

    accounts.fold(reader, rules_of, lambda account, run: rules_of(account))
    return accounts


def rooms(reader: sqlite3.Connection, book: AccountBook, rules: Rules) -> list[Room]:
    """Every limit that has a measure between orders, those of the account first."""
    controls, equity = rules.controls, book.equity_e8
    runs = [row for row in readers.runs(reader, live_only=True) if row["account"] == book.account]
    contexts = {run: book.context(run) for run in book.books}
    newest = contexts[max(contexts, key=lambda run: _last_close(reader, run))] if contexts else None
    found = []
    if controls.daily_loss.enabled:  # a run's day is its own: it runs on the run's market time
        days = {row["run"]: contexts[row["run"]] for row in runs if row["run"] in contexts}
        for scope, context in days.items() or [("account", newest)]:
            start = (context.day_start_equity_e8 if context is not None else None) or equity
            found.append(_share("T1", scope, start - equity, start, controls.daily_loss.pct,
                                "% of the day's start", "daily_loss.pct"))  # fmt: skip
    if controls.drawdown.enabled:
        mark = book.high_water_e8
        found.append(_share("T2", "account", mark - equity, mark, controls.drawdown.pct,
                            "% under the high-water mark", "drawdown.pct"))  # fmt: skip
    if controls.max_order.enabled:
        most = scaled(controls.max_order.equity_pct) * equity // (100 * E8)
        found.append(
            _money("P3", "account", 0, max(0, most), "notional of one order", "max_order.equity_pct")
        )
    if controls.max_position.enabled:
        found += _positions(book, equity, rules)
    promised = sum(one.claim.cash_e8 + one.begun_e8 for one in book.books.values())
    found.append(_money("P12", "account", promised, book.cash_e8, "cash promised to entries", "cash"))
    for row in runs:
        found += _run(reader, row, rules)
    return found


def _positions(book: AccountBook, equity: int, rules: Rules) -> list[Room]:
    """P4, with every working entry filled."""
    limits, books = rules.controls.max_position, list(book.books.values())
    found = []
    for symbol in sorted({one.symbol for one in books}):
        own = [one for one in books if one.symbol == symbol]
        value = sum(one.value_e8 for one in own)
        buys, sells = sum(one.claim.buys_e8 for one in own), sum(one.claim.sells_e8 for one in own)
        if value or buys or sells:
            most = max(abs(value + buys), abs(value - sells))
            found.append(_share("P4", symbol, most, equity, limits.symbol_pct, "% of equity",
                                "max_position.symbol_pct"))  # fmt: skip
    value = sum(one.value_e8 for one in books)
    buys, sells = sum(one.claim.buys_e8 for one in books), sum(one.claim.sells_e8 for one in books)
    gross = sum(abs(one.value_e8) for one in books) + buys + sells
    net = max(abs(value + buys), abs(value - sells))
    for key, amount, limit in (("gross_pct", gross, limits.gross_pct), ("net_pct", net, limits.net_pct)):
        found.append(_share("P4", "account", amount, equity, limit, "% of equity", f"max_position.{key}"))
    return found


def _run(reader: sqlite3.Connection, row: dict[str, Any], rules: Rules) -> list[Room]:
    controls, run, now = rules.controls, row["run"], row["last_close"] or 0
    found = []
    if controls.max_open.enabled:
        working = readers.count(reader, "orders", f"run = '{run}' AND state = 'working' AND child IS NULL")
        waiting = readers.count(reader, "plan", f"run = '{run}' AND state = 'pending'")
        found.append(
            _count("P5", run, working + waiting, controls.max_open.orders, "orders", "max_open.orders")
        )
    if controls.order_rate.enabled:
        made = reader.execute(_ORDERS, (run, now - _DAY_US)).fetchall()
        counts = (
            ("per_bar", sum(bar == row["bars"] - 1 for _, bar in made), controls.order_rate.per_bar),
            ("per_hour", sum(close > now - _HOUR_US for close, _ in made), controls.order_rate.per_hour),
            ("per_day", len(made), controls.order_rate.per_day),
        )
        for key, count, limit in counts:
            unit = "orders " + key.replace("_", " ")
            found.append(_count("P6", run, count, limit, unit, f"order_rate.{key}"))
    if controls.repeated_execution.enabled:
        sides = dict(reader.execute(_ENTRIES, (run, now - _DAY_US)).fetchall())
        most = max(sides.values(), default=0)
        found.append(_count("P8", run, most, controls.repeated_execution.entries, "entries of one side per day",
                            "repeated_execution.entries"))  # fmt: skip
    return found


def _last_close(reader: sqlite3.Connection, run: str) -> int:
    found = reader.execute("SELECT last_close FROM run WHERE run = ?", (run,)).fetchone()
    return int(found[0]) if found and found[0] is not None else 0


def _share(control: str, scope: str, amount: int, of: int, limit: Decimal, unit: str, setting: str) -> Room:
    """A percentage. Without equity everything is over the limit. A gain is room used below zero: none."""
    told = limit_text(limit)
    measured = figure(100 * max(0, amount), of, told) if of > 0 else told
    return Room(control, scope, measured, told, _minus(told, measured), unit, setting)


def _money(control: str, scope: str, amount: int, limit: int, unit: str, setting: str) -> Room:
    left = text_from_e8(limit - amount)
    return Room(control, scope, text_from_e8(amount), text_from_e8(limit), left, unit, setting)


def _count(control: str, scope: str, count: int, limit: int, unit: str, setting: str) -> Room:
    return Room(control, scope, str(count), str(limit), str(limit - count), unit, setting)


def _minus(limit: str, measured: str) -> str:
    return text_from_e8(int((Decimal(limit) - Decimal(measured)) * E8))
