"""What became of each intent and each order: the one fold of their ends that every verb and screen tells.

A decision line says what was known at its bar. The end stands in later lines: the plan's verdict, the order's fills
and its end. An order that ended after a part of it had filled is `partially_filled`, with the code of its end; one
that reduced all there was (NOTHING_TO_REDUCE) has done its work and is `filled`.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from inalpha.ledger import readers
from inalpha.model.money import divide_half_even, e8_from_text, multiply_e8, text_from_e8

Row = dict[str, Any]

REFUSED = ("risk_rejected", "rejected")
_DECISIONS = (
    "SELECT d.*, ifnull(e.side, p.side) AS side, ifnull(e.quantity, p.quantity) AS quantity,"
    " e.reason, e.refusals, s.close, r.symbol, r.timeframe, r.account,"
    ' p.state AS plan_state, p.code AS plan_code, p."order", p.decided_by, p.proposed_by,'
    " o.state AS order_state, o.code AS order_code, o.filled, o.ended_seq"
    " FROM decision d LEFT JOIN decision_detail e ON e.intent = d.intent"
    " LEFT JOIN step s ON s.run = d.run AND s.bar = d.bar LEFT JOIN plan p ON p.plan = d.plan"
    ' LEFT JOIN run r ON r.run = d.run LEFT JOIN orders o ON o."order" = p."order"'
    " WHERE (?1 IS NULL OR d.run = ?1) AND d.seq > ?2"
)
_FILLS = 'SELECT "order", quantity, price, fee, seq FROM fill WHERE seq > ?1 AND (?2 IS NULL OR run = ?2) ORDER BY seq'
_ORDERS = (
    'SELECT o.*, p.account, p.type, p."limit", p.stop, p.reduce_only, p.proposed_by, p.decided_by, p.body'
    " FROM orders o JOIN plan p ON p.plan = o.plan WHERE (?1 IS NULL OR o.run = ?1) AND (?2 IS NULL OR o.plan = ?2)"
)


def order_outcome(state: str, filled: str | None, code: str | None) -> str:
    """working, filled, partially_filled, cancelled, expired or rejected."""
    some = filled not in (None, "0")
    if state == "filled" or not some:
        return state
    return "filled" if code == "NOTHING_TO_REDUCE" else "partially_filled"


def decision_outcome(row: Row) -> tuple[str, str | None]:
    """(outcome, code) of a decision joined with its plan and its order."""
    if row["plan_state"] is None or row["outcome"] in REFUSED:
        return str(row["outcome"]), row["code"]
    if row["plan_state"] != "executed":
        return str(row["plan_state"]), row["plan_code"]
    return order_outcome(row["order_state"], row["filled"], row["order_code"]), row["order_code"]


def decisions(
    reader: sqlite3.Connection,
    run_name: str | None = None,
    since_seq: int = -1,
    limit: int = 1_000_000,
    *,
    newest_first: bool = False,
) -> list[Row]:
    """One row per intent with its final `outcome` and `code`, what was asked, and what its order filled.

    recorded: the outcome of its own line. is_working: more of its order may still fill. told: a refusal's sentence,
    else the strategy's reason. price: of its fills, on average; last_seq: the line that ended it, else its own.
    """
    order = "DESC" if newest_first else "ASC"
    found = readers.with_words(
        reader,
        readers.rows(reader, f"{_DECISIONS} ORDER BY d.seq {order} LIMIT ?3", run_name, since_seq, limit),
    )
    first = min((row["seq"] for row in found), default=0)
    fills = _by_order(readers.rows(reader, _FILLS, first, run_name)) if found else {}
    return [_told(row, fills.get(row["order"], [])) for row in found]


def orders(
    reader: sqlite3.Connection,
    run_name: str | None = None,
    *,
    plan: str | None = None,
    working_only: bool = False,
) -> list[Row]:
    """Orders, oldest first, with `outcome`, what is left of them (`rest`), their kind and their price.

    kind: market, limit, stop, or a bracket's stop_loss or take_profit. is_exit: by its own terms it only reduces.
    """
    where = " AND o.state = 'working'" if working_only else ""
    found = readers.rows(reader, f"{_ORDERS}{where} ORDER BY o.created_seq, o.child", run_name, plan)
    return [_order(row) for row in found]


def fills_of(reader: sqlite3.Connection, order: Row) -> Row:
    """What one order filled: quantity, average price, fee, and the line of its last fill."""
    fills = [
        row
        for row in readers.rows(reader, _FILLS, order["created_seq"], order["run"])
        if row["order"] == order["order"]
    ]
    return {
        "price_filled": _average(fills),
        "fee": _fees(fills),
        "fill_seq": fills[-1]["seq"] if fills else None,
    }


def plans_decided(reader: sqlite3.Connection, limit: int) -> list[Row]:
    """Decided plans, newest first; `came_of` is how the order of an executed one ended, None for the others."""
    sql = (
        "SELECT p.*, o.state AS order_state, o.filled, o.code AS order_code FROM plan p"
        ' LEFT JOIN orders o ON o."order" = p."order" WHERE p.state != \'pending\''
        " ORDER BY p.decided_seq DESC LIMIT ?"
    )
    return [row | {"came_of": _came_of(row)} for row in readers.rows(reader, sql, limit)]


def _came_of(row: Row) -> str | None:
    if row["order_state"] is None:
        return None
    return order_outcome(row["order_state"], row["filled"], row["order_code"])


def refusals_of(reader: sqlite3.Connection, plan: Row) -> list[Row]:
    """Every refusal of a plan, in the one format: at its bar, at its approval or at its order's fill."""
    key = plan["intent"] or plan["plan"]
    found = reader.execute("SELECT refusals FROM decision_detail WHERE intent = ?", (key,)).fetchone()
    return list(json.loads(found[0])) if found else []


def order_counts(reader: sqlite3.Connection, run_name: str) -> dict[str, int]:
    """How many orders of a run, bracket legs included, ended how; those still at work too."""
    found: dict[str, int] = {}
    sql = "SELECT state, filled, code FROM orders WHERE run = ? ORDER BY created_seq"
    for state, filled, code in reader.execute(sql, (run_name,)):
        word = order_outcome(state, filled, code)
        found[word] = found.get(word, 0) + 1
    return found


def fill_outcomes(reader: sqlite3.Connection) -> dict[str, tuple[str, str | None]]:
    """(outcome, code) of every order that has filled at all."""
    sql = "SELECT \"order\", state, filled, code FROM orders WHERE filled != '0'"
    return {
        name: (order_outcome(state, filled, code), code) for name, state, filled, code in reader.execute(sql)
    }


def _told(row: Row, fills: list[Row]) -> Row:
    refusals = json.loads(row["refusals"] or "[]")
    outcome, code = decision_outcome(row)
    last = fills[-1]["seq"] if fills else row["seq"]
    return row | {
        "recorded": row["outcome"],
        "outcome": outcome,
        "code": code,
        "refusals": refusals,
        "told": refusals[0]["message"] if refusals else row["reason"],
        "is_working": row["order_state"] == "working",
        "fills": len(fills),
        "price": _average(fills),
        "fee": _fees(fills),
        "last_seq": max(last, row["ended_seq"] or 0),
    }


def _order(row: Row) -> Row:
    body = json.loads(row.pop("body"))
    child = row["child"]
    price = body.get(child) if child else row["limit"] or row["stop"]
    return row | {
        "outcome": order_outcome(row["state"], row["filled"], row["code"]),
        "rest": text_from_e8(e8_from_text(row["quantity"]) - e8_from_text(row["filled"])),
        "kind": child or row["type"],
        "price": price,
        "is_exit": bool(child or row["reduce_only"]),
    }


def _by_order(fills: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for fill in fills:
        found.setdefault(fill["order"], []).append(fill)
    return found


def _fees(fills: list[Row]) -> str | None:
    return text_from_e8(sum(e8_from_text(fill["fee"]) for fill in fills)) if fills else None


def _average(fills: list[Row]) -> str | None:
    if len(fills) < 2:
        return str(fills[0]["price"]) if fills else None
    total = sum(e8_from_text(fill["quantity"]) for fill in fills)
    worth = sum(multiply_e8(e8_from_text(fill["quantity"]), e8_from_text(fill["price"])) for fill in fills)
    return text_from_e8(divide_half_even(worth * 10**8, total))
