"""The card that a person decides a plan by: one function makes it for the console and for `plan show`.

Its percentages are of the account's equity, as the risk engine measures them, and what the order is worth is the
engine's own figure where its result in the log tells one; else an estimate at the price that the engine would take.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from inalpha.execution.plans import plan_digest
from inalpha.ledger import outcomes, readers
from inalpha.ledger.runbook import account_equity, run_money
from inalpha.model.errors import InalphaError, Refused

Row = dict[str, Any]

NEAR = Decimal("0.8")
_CLOSE = "SELECT input FROM journal WHERE run = ? AND bar = ? AND kind = 'bar'"
_HEADER = "SELECT input FROM journal WHERE run = ? AND n = 0"


@dataclass(frozen=True, slots=True)
class Measure:
    """One risk figure beside its limit, both in the unit of the setting."""

    name: str
    measured: Decimal
    limit: Decimal
    unit: str

    @property
    def is_near(self) -> bool:
        return abs(self.measured) > NEAR * abs(self.limit)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the order would do. None where a part is missing. equity: the account's; cash and position: the run's book.

    is_measured: the notional is the risk engine's own, from its result in the log.
    """

    reference: Decimal | None
    notional: Decimal | None
    equity: Decimal | None
    before: Decimal | None
    after: Decimal | None
    cash_before: Decimal | None
    cash_after: Decimal | None
    drift_bps: Decimal | None
    is_measured: bool
    measures: tuple[Measure, ...] = ()

    @property
    def share_pct(self) -> Decimal | None:
        """The order's worth in percent of the account's equity."""
        return self.notional / self.equity * 100 if self.notional is not None and self.equity else None


@dataclass(frozen=True, slots=True)
class Card:
    """All that a person decides by. recomputed: the digest as computed here from the stored body.

    orders: what came of it, its bracket's legs after it. rules: the controls that judged it. refusals: of it, or of
    its order's fill.
    """

    row: Row
    body: Row
    recomputed: str
    rationale: str | None
    candidate: Row | None
    rules: Mapping[str, Any]
    figures: Figures
    orders: tuple[Row, ...]
    refusals: tuple[Row, ...] = ()


def read_card(home: Path, reader: sqlite3.Connection, name: str) -> Card:
    """The card of a plan, inside the caller's read transaction. Raises Refused("NO_PLAN")."""
    found = readers.one(reader, "SELECT * FROM plan WHERE plan = ?", name)
    if found is None:
        raise Refused("NO_PLAN", f"there is no {name}.", "'inalpha plan list' shows all.")
    body: Row = json.loads(found["body"])
    risk = readers.rows(reader, "SELECT * FROM risk_check WHERE plan = ? ORDER BY seq", name)
    run = readers.one(reader, "SELECT * FROM run WHERE run = ?", found["run"])
    candidate = None
    if run is not None and found["intent"] is not None:
        candidate = readers.one(reader, "SELECT * FROM candidate WHERE sha256 = ?", run["sha256"])
    rules = _rules(home, risk[-1]["rules_sha256"] if risk else None)
    return Card(
        row=found | {"risk": risk},
        body=body,
        recomputed=plan_digest(body),
        rationale=readers.read_text(home, body.get("rationale_commit")),
        candidate=candidate,
        rules=rules,
        figures=_figures(reader, found, body, risk, rules),
        orders=tuple(row | outcomes.fills_of(reader, row) for row in outcomes.orders(reader, plan=name)),
        refusals=tuple(outcomes.refusals_of(reader, found)),
    )


def _figures(
    reader: sqlite3.Connection, row: Row, body: Row, risk: list[Row], rules: Mapping[str, Any]
) -> Figures:
    money = run_money(reader, row["run"]) if row["run"] else None
    quantity, close = _decimal(body.get("quantity")), _decimal(money.close if money else None)
    side = 1 if body.get("side") == "buy" else -1
    made = _plan_close(reader, row)
    reference = _reference(body, close if close is not None else made, side)
    told = risk[-1] if risk and risk[-1]["result"] == "pass" and risk[-1]["measured"] is not None else None
    notional = _decimal(told["measured"]) if told else None
    if notional is None and reference is not None and quantity is not None:
        notional = reference * quantity
    before = _decimal(readers.run(reader, row["run"])["position"]) if money else None
    cash = _decimal(money.cash if money else None)
    equity = _decimal(account_equity(reader, row["account"]))
    drift = (close - made) / made * 10_000 if close is not None and made else None
    return Figures(
        reference=reference,
        notional=notional,
        equity=equity,
        before=before,
        after=before + side * quantity if before is not None and quantity is not None else None,
        cash_before=cash,
        cash_after=cash - side * notional if cash is not None and notional is not None else None,
        drift_bps=drift,
        is_measured=told is not None,
        measures=tuple(_measures(reader, row, rules, notional, equity, close, drift, side)),
    )


def _reference(body: Row, close: Decimal | None, side: int) -> Decimal | None:
    """The price that the engine projects with: limit, else stop (of a purchase: or the close above it), else close."""
    limit, stop = _decimal(body.get("limit")), _decimal(body.get("stop"))
    if limit is not None:
        return limit
    if stop is not None:
        return max(stop, close) if side > 0 and close is not None else stop
    return close


def _measures(
    reader: sqlite3.Connection,
    row: Row,
    rules: Mapping[str, Any],
    notional: Decimal | None,
    equity: Decimal | None,
    close: Decimal | None,
    drift: Decimal | None,
    side: int,
) -> list[Measure]:
    """Figures that the record alone can measure, beside the rules that bound the plan."""

    def limit(control: str, key: str) -> Decimal | None:
        section = rules.get(control)
        if not isinstance(section, Mapping) or not section.get("enabled"):
            return None
        return _decimal(section.get(key))

    found = []
    if notional is not None and equity and (most := limit("max_order", "equity_pct")) is not None:
        found.append(Measure("max_order", notional / equity * 100, most, "%"))
    most = limit("max_position", "symbol_pct")
    if notional is not None and equity and close is not None and most is not None:
        held = _symbol_value(reader, row, close) + side * (notional + _working(reader, row, close))
        found.append(Measure("max_position", abs(held) / equity * 100, most, "%"))
    if drift is not None and (most := limit("price_drift", "bps")) is not None:
        found.append(Measure("price_drift", drift, most, "bp"))
    return found


def _symbol_value(reader: sqlite3.Connection, row: Row, close: Decimal) -> Decimal:
    """What the account's runs hold of the symbol, each at its own last close."""
    total = Decimal(0)
    sql = "SELECT run, position FROM run WHERE account = ? AND symbol = ? AND position != '0'"
    for run, position in reader.execute(sql, (row["account"], row["symbol"])).fetchall():
        money = run_money(reader, run) if run != row["run"] else None
        mark = close if run == row["run"] else _decimal(money.close if money else None)
        total += Decimal(position) * (mark or 0)
    return total


def _working(reader: sqlite3.Connection, row: Row, close: Decimal) -> Decimal:
    """Worth of the run's other orders on the same side, working or waiting for a person."""
    side = 1 if row["side"] == "buy" else -1
    total = Decimal(0)
    for order in outcomes.orders(reader, row["run"], working_only=True):
        if order["side"] == row["side"] and order["plan"] != row["plan"]:
            total += Decimal(order["rest"]) * (_decimal(order["price"]) or close)
    for plan in readers.plans(reader, "pending", row["run"]):
        if plan["side"] == row["side"] and plan["plan"] != row["plan"]:
            total += Decimal(plan["quantity"]) * (_reference(plan, close, side) or close)
    return total


def _plan_close(reader: sqlite3.Connection, row: Row) -> Decimal | None:
    """The close of the bar on which the plan was made."""
    run, _, rest = str(row["intent"] or "").partition(":")
    bar = rest.partition(":")[0]
    found = reader.execute(_CLOSE, (run, int(bar))).fetchone() if bar.isdigit() else None
    header = reader.execute(_HEADER, (run,)).fetchone()
    if found is None or header is None:
        return None
    ticks, tick = json.loads(found[0])["bar"][5], json.loads(header[0])["instrument"]["tick_e8"]
    return Decimal(ticks) * Decimal(tick) / 10**8


def _rules(home: Path, sha256: str | None) -> Mapping[str, Any]:
    try:
        data = readers.read_blob(home, sha256) if sha256 else None
        controls = json.loads(data)["controls"] if data else {}
    except (ValueError, KeyError, TypeError, InalphaError):
        return {}
    return controls if isinstance(controls, dict) else {}


def _decimal(value: object) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if value is not None and found.is_finite() else None
