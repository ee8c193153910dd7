"""Folds of working orders: their ends and their fills, down to the account's cash."""

from __future__ import annotations

import sqlite3

from inalpha.audit.event import Event
from inalpha.audit.fold.base import (
    Violation,
    e8,
    last_number,
    notional,
    only,
    plus,
    position,
    require,
    row,
    sign_of,
    take_number,
)
from inalpha.audit.fold.plans import halt_state
from inalpha.audit.fold.runbook import charge, own_position
from inalpha.model.money import text_from_e8
from inalpha.model.states import HaltState

_CHILDREN = ("stop_loss", "take_profit")


def order_end(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    cursor = conn.execute(
        'UPDATE orders SET state = ?, code = ?, ended_seq = ? WHERE "order" = ?'
        " AND state = 'working' AND intent IS ?",
        (data["outcome"], data["code"], event.seq, data["order"], data["intent"]),
    )
    only(cursor, "I15", f"{data['order']} is not working, or of another intent")


def fill(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    take_number(conn, data["fill"])
    found = row(
        conn,
        "SELECT o.plan, o.symbol, o.side, o.quantity, o.filled, o.state, o.run, o.child, o.intent,"
        " o.decided_bar,"
        " p.account, p.decided_by, p.body, p.run, p.reduce_only FROM orders o JOIN plan p ON p.plan = o.plan"
        ' WHERE o."order" = ?',
        data["order"],
    )
    if found is None:
        raise Violation("I1", f"{data['fill']}: no plan was executed into {data['order']}")
    plan, symbol, side, quantity, filled, state, run, child, intent, decided, account, by, body, own, tag = (
        found
    )
    only_exits = bool(tag) or child is not None  # a bracket's legs only reduce
    same = (plan, symbol, side, intent) == (data["plan"], data["symbol"], data["side"], data["intent"])
    require(same, "I1", f"{data['fill']}: plan, symbol, side or intent differ from its order's")
    require(state == "working", "I1", f"{data['order']} is {state}")
    done = e8(filled) + e8(data["quantity"])
    require(
        e8(data["quantity"]) > 0 and done <= e8(quantity),
        "I1",
        f"{data['order']}: filled beyond its quantity",
    )
    held = position(conn, account, symbol)
    require(halt_state(conn, account, run).severity < HaltState.HALTED.severity, "I9", "a fill while halted")
    worth = notional(data["quantity"], data["price"])
    bar = _check_fill_bar(conn, event, run, decided, child)
    if own is not None:
        figures = (e8(data["quantity"]), e8(data["price"]), e8(data["fee"]))
        charge(conn, own, sign_of(side), *figures, reduce_only=only_exits)
    _settle(conn, event, account, held, worth, is_entry=not only_exits)
    conn.execute(
        'UPDATE orders SET filled = ?, state = ?, ended_seq = ? WHERE "order" = ?',
        (
            text_from_e8(done), "filled" if done == e8(quantity) else "working",
            event.seq if done == e8(quantity) else None, data["order"],
        ),
    )  # fmt: skip
    if child is None:
        _bracket(conn, event, body, done)
    if run is not None:
        change = sign_of(side) * e8(data["quantity"])
        conn.execute(
            "UPDATE run SET fills = fills + 1, position = ? WHERE run = ?",
            (plus(own_position(conn, run), change), run),
        )
    conn.execute(
        "INSERT INTO fill VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            data["fill"], data["order"], plan, intent, run, bar, account, symbol, side, data["quantity"],
            data["price"], data["fee"], data["cash"], data["position"], by, event.seq, event.ts,
        ),
    )  # fmt: skip


def _check_fill_bar(
    conn: sqlite3.Connection, event: Event, run: str | None, decided: int | None, child: str | None
) -> int | None:
    if run is None:
        return None
    found = row(conn, "SELECT bars, fill FROM run WHERE run = ?", run)
    if found is None:
        raise Violation("I1", f"a fill in the unknown {run}")
    bar = int(found[0]) - 1
    if child is None and decided is not None:
        earliest = decided + 1 if found[1] == "next_open" else decided
        require(bar >= earliest, "I12", f"{event.data['fill']}: filled in the bar of its decision")
    return bar


def _settle(
    conn: sqlite3.Connection, event: Event, account: str, held: str, worth: int, *, is_entry: bool
) -> None:
    data = event.data
    sign = sign_of(data["side"])
    cash = row(conn, "SELECT cash FROM account WHERE account = ?", account)
    after = plus(cash[0] if cash else "0", -sign * worth - e8(data["fee"]))
    require(data["cash"] == after, "I13", f"{data['fill']}: cash {data['cash']}, computed {after}")
    if is_entry:
        require(e8(after) >= 0, "I13", f"{data['fill']}: an entry takes the account's cash to {after}")
    quantity = plus(held, sign * e8(data["quantity"]))
    require(
        data["position"] == quantity,
        "I13",
        f"{data['fill']}: position {data['position']}, computed {quantity}",
    )
    conn.execute("UPDATE account SET cash = ? WHERE account = ?", (after, account))
    conn.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (account, data["symbol"], quantity))


def _bracket(conn: sqlite3.Connection, event: Event, body_text: str, filled_e8: int) -> None:
    """M13: a bracket's legs exist from the entry's first fill, for what has been filled so far."""
    if '"stop_loss":null' in body_text and '"take_profit":null' in body_text:
        return
    data = event.data
    known = conn.execute(
        "UPDATE orders SET quantity = ? WHERE plan = ? AND child IS NOT NULL",
        (text_from_e8(filled_e8), data["plan"]),
    )
    if known.rowcount:
        return
    run = row(conn, 'SELECT run, decided_bar FROM orders WHERE "order" = ?', data["order"])
    for child in _CHILDREN:
        if f'"{child}":null' in body_text:
            continue
        name = f"order-{last_number(conn, 'order') + 1}"
        take_number(conn, name)
        conn.execute(
            'INSERT INTO orders("order", plan, run, intent, child, symbol, side, quantity, state,'
            " decided_bar, created_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'working', ?, ?)",
            (
                name, data["plan"], run[0] if run else None, data["intent"], child, data["symbol"],
                "sell" if data["side"] == "buy" else "buy", text_from_e8(filled_e8), run[1] if run else None,
                event.seq,
            ),
        )  # fmt: skip
