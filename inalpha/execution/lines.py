"""The lines of a step: bar seen, decisions, fills, ended orders. Amounts are computed here."""

from __future__ import annotations

import sqlite3

from inalpha.audit.fold.base import e8, notional, plus, position, sign_of
from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused
from inalpha.model.principals import DAEMON, RUNNER


def record_step(
    txn: Txn,
    run: str,
    bar: int,
    open_us: int,
    close_us: int,
    intents: int,
    bar_sha256: str,
    state_sha256: str,
) -> int:
    """One per bar; intents: how many decision lines follow. Returns the seq."""
    data = {
        "bar": bar,
        "bar_sha256": bar_sha256,
        "close": close_us,
        "intents": intents,
        "open": open_us,
        "run": run,
        "state_sha256": state_sha256,
    }
    return txn.line("step", RUNNER, data)


def record_decision(
    txn: Txn,
    run: str,
    bar: int,
    bar_sha256: str,
    n: int,
    outcome: str,
    plan: str | None = None,
    code: str | None = None,
) -> int:
    """What became of intent `run:bar:n`: working, pending, risk_rejected or rejected."""
    data = {
        "bar": bar,
        "bar_sha256": bar_sha256,
        "code": code,
        "intent": f"{run}:{bar}:{n}",
        "outcome": outcome,
        "plan": plan,
        "run": run,
    }
    return txn.line("decision", RUNNER, data)


def record_fill(
    txn: Txn,
    plan_id: str,
    order_id: str,
    quantity: str,
    price: str,
    fee: str,
    *,
    bar: int | None = None,
    time_us: int | None = None,
    reason: str = "",
) -> str:
    """Write one fill and move the account's cash and position; returns `fill-N`.

    bar, time_us and reason go to fill_detail (unsigned; replay proves them).
    """
    found = txn.conn.execute(
        "SELECT o.symbol, o.side, o.intent, p.account, a.cash FROM orders o JOIN plan p ON p.plan = o.plan"
        ' JOIN account a ON a.account = p.account WHERE o."order" = ? AND o.plan = ?',
        (order_id, plan_id),
    ).fetchone()
    if found is None:
        raise Refused("NO_ORDER", f"{plan_id} has no {order_id}.")
    symbol, side, intent, account, cash = found
    sign = sign_of(side)
    fill = txn.next_id("fill")
    data = {
        "cash": plus(cash, -sign * notional(quantity, price) - e8(fee)),
        "fee": fee,
        "fill": fill,
        "intent": intent,
        "order": order_id,
        "plan": plan_id,
        "position": plus(position(txn.conn, account, symbol), sign * e8(quantity)),
        "price": price,
        "quantity": quantity,
        "side": side,
        "symbol": symbol,
    }
    txn.line("fill", DAEMON, data)
    if bar is not None and time_us is not None:
        txn.conn.execute("INSERT INTO fill_detail VALUES (?, ?, ?, ?)", (fill, bar, time_us, reason))
    return fill


def end_order(txn: Txn, order_id: str, outcome: str, code: str | None = None) -> None:
    """A working order ends without (further) fills: cancelled, expired or rejected."""
    found = txn.conn.execute('SELECT intent FROM orders WHERE "order" = ?', (order_id,)).fetchone()
    if found is None:
        raise Refused("NO_ORDER", f"there is no {order_id}.")
    data = {"code": code, "intent": found[0], "order": order_id, "outcome": outcome}
    txn.line("order.end", DAEMON, data)


def is_working(conn: sqlite3.Connection, order_id: str) -> bool:
    """Whether the ledger still holds an order open."""
    query = "SELECT 1 FROM orders WHERE \"order\" = ? AND state = 'working'"
    return conn.execute(query, (order_id,)).fetchone() is not None


def order_of(conn: sqlite3.Connection, plan_id: str, child: str | None = None) -> str | None:
    """The plan's order, or its stop_loss / take_profit leg; None before it exists (legs: first fill)."""
    found = conn.execute(
        'SELECT "order" FROM orders WHERE plan = ? AND child IS ?', (plan_id, child)
    ).fetchone()
    return str(found[0]) if found else None


def order_of_intent(
    conn: sqlite3.Connection, intent: str, child: str | None = None
) -> tuple[str, str] | None:
    """(plan, order) of an intent `run-N:<bar>:<n>`."""
    found = conn.execute(
        'SELECT plan, "order" FROM orders WHERE child IS ?2'
        " AND plan = (SELECT plan FROM plan WHERE intent = ?1)",
        (intent, child),
    ).fetchone()
    return (str(found[0]), str(found[1])) if found else None


def record_snapshot(txn: Txn, account: str) -> int:
    """The account's cash and positions as a line, for auditors to compare."""
    cash = txn.conn.execute("SELECT cash FROM account WHERE account = ?", (account,)).fetchone()[0]
    held = txn.conn.execute(
        "SELECT symbol, quantity FROM position WHERE account = ? AND quantity != '0' ORDER BY symbol",
        (account,),
    ).fetchall()
    data = {"account": account, "cash": cash, "positions": [list(item) for item in held]}
    return txn.line("account.snapshot", DAEMON, data)
