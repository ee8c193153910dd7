"""Plans: what one order is, who may decide it, and the lines that each transition leaves.

States and their transitions are model.states.PLAN_TRANSITIONS. Approve and execute share one transaction,
so `approved` is never at rest; every other state but `pending` is final.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inalpha.audit.canonical import digest, digest_of, encode
from inalpha.audit.fold.base import account_of
from inalpha.execution import tokens
from inalpha.ledger.txn import Txn
from inalpha.model.errors import IntegrityError, Refused
from inalpha.model.instrument import Instrument
from inalpha.model.order import OrderRequest, OrderType
from inalpha.model.principals import DAEMON, RISK, RUNNER
from inalpha.model.risk import Refusal

PLAN_HEADER = "inalpha.audit/plan/v1"


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A stored plan, as far as deciding it needs. body: canonical JSON, exactly as signed into its line."""

    plan: str
    run: str | None
    account: str
    state: str
    digest: str
    body: str
    expires: int
    decided_by: str | None
    code: str | None
    order: str | None
    intent: str | None


def plan_body(
    order: OrderRequest,
    instrument: Instrument,
    *,
    account: str,
    rationale_commit: str,
    expires_us: int,
    run: str,
    mandate_sha256: str,
    intent: str | None = None,
) -> dict[str, Any]:
    """The body that the plan's digest covers. run: in whose book it works.

    intent: `run-N:<bar>:<n>`; None for a plan that a person or an agent proposes.
    """

    def price(ticks: int | None) -> str | None:
        return None if ticks is None else instrument.price_text(ticks)

    kind = "stop" if order.type is OrderType.STOP_LIMIT else order.type.value
    return {
        "account": account,
        "expires": expires_us,
        "intent": intent,
        "limit": price(order.limit_ticks),
        "mandate_sha256": mandate_sha256,
        "origin": "proposal" if intent is None else "run",
        "quantity": instrument.quantity_text(order.quantity_lots),
        "rationale_commit": rationale_commit,
        "reduce_only": order.reduce_only,
        "run": run,
        "side": order.side.text,
        "stop": price(order.stop_ticks),
        "stop_loss": price(order.stop_loss_ticks),
        "symbol": instrument.symbol,
        "take_profit": price(order.take_profit_ticks),
        "tif": order.time_in_force.value,
        "tif_expires": None if order.expires_ns is None else order.expires_ns // 1000,
        "type": kind,
        "v": 1,
    }


def plan_digest(body: Mapping[str, Any]) -> str:
    return digest(PLAN_HEADER, body)


def create_plan(
    txn: Txn, body: Mapping[str, Any], actor: str = RUNNER, *, proposal: str | None = None
) -> str:
    """A pending plan; returns `plan-N`. A known intent raises Refused("DUPLICATE") naming the stored plan."""
    if body["intent"] is not None:
        known = txn.conn.execute(
            "SELECT plan, state FROM plan WHERE intent = ?", (body["intent"],)
        ).fetchone()
        if known is not None:
            detail = {"plan": known[0], "state": known[1]}
            raise Refused("DUPLICATE", f"{body['intent']} is {known[0]}, {known[1]}.", detail=detail)
    if body["origin"] == "proposal" and account_of(txn.conn, actor) != body["account"]:
        raise Refused("NOT_OWNER", f"{actor} has no part in this account.", "Name your own account.")
    plan = txn.next_id("plan")
    data = {"body": dict(body), "plan": plan, "plan_sha256": plan_digest(body)}
    txn.line("plan.create", actor, data, proposal=proposal)
    return plan


def record_risk(
    txn: Txn,
    plan_id: str,
    refusal: Refusal | None,
    rules_sha256: str,
    *,
    is_error: bool = False,
    worth: str | None = None,
) -> None:
    """The risk result of a pending plan: None passes; of several refusals the first one is recorded.

    worth: at the price that risk took; a pass tells it beside the allocation of the plan's run (I8).
    """
    result = "pass" if refusal is None else "error" if is_error else "fail"
    plan = get_plan(txn.conn, plan_id)
    measured, limit = (refusal.measured, refusal.limit) if refusal else (None, None)
    if refusal is None and worth is not None and plan.run is not None:
        found = txn.conn.execute("SELECT allocation FROM run WHERE run = ?", (plan.run,)).fetchone()
        measured, limit = worth, found[0]
    data = {
        "limit": limit,
        "measured": measured,
        "plan": plan_id,
        "plan_sha256": plan.digest,
        "result": result,
        "rule": refusal.code if refusal else None,
        "rules_sha256": rules_sha256,
    }
    txn.line("risk.check", RISK, data)


def approve_and_execute(
    txn: Txn, plan_id: str, approver: str = RUNNER, gate: str | None = None, now_us: int | None = None
) -> str:
    """Approve a pending plan and execute it with a single-use token; returns `order-N`.

    Raises Refused (PLAN_STATE with the first decision, PLAN_EXPIRED, PLAN_DIGEST_MISMATCH, NOT_OWNER) or
    GateRefused. Risk and halts are judged by the caller before, and by the ledger's fold again.
    """
    now = txn.now_us if now_us is None else now_us
    plan = pending_plan(txn.conn, plan_id)
    if digest_of(PLAN_HEADER, plan.body.encode()) != plan.digest:
        raise Refused("PLAN_DIGEST_MISMATCH", f"{plan_id} is not what was planned.", "Verify the ledger.")
    if now >= plan.expires:
        raise Refused("PLAN_EXPIRED", f"{plan_id} has expired.", "Have it proposed again.")
    if approver.startswith("op:") and account_of(txn.conn, approver) != plan.account:
        raise Refused("NOT_OWNER", f"{plan_id} belongs to another account.", "Its owner decides.")
    token = tokens.mint(txn, plan_id, plan.digest, approver, gate)
    executor = DAEMON if approver.startswith("op:") else RUNNER
    return tokens.execute(txn, plan_id, token, plan.digest, executor, now)


def reject_plan(
    txn: Txn,
    plan_id: str,
    actor: str,
    code: str,
    *,
    reason_commit: str | None = None,
    gate: str | None = None,
) -> None:
    """pending -> rejected, by risk (code) or by a person (gate and reason)."""
    plan = pending_plan(txn.conn, plan_id)
    if actor.startswith("op:") and account_of(txn.conn, actor) != plan.account:
        raise Refused("NOT_OWNER", f"{plan_id} belongs to another account.", "Its owner decides.")
    data = {"code": code, "plan": plan_id, "plan_sha256": plan.digest, "reason_commit": reason_commit}
    txn.line("plan.reject", actor, data, gate=gate)


def expire_plan(txn: Txn, plan_id: str) -> None:
    """pending -> expired, once host time has reached the plan's expiry."""
    plan = pending_plan(txn.conn, plan_id)
    if txn.now_us < plan.expires:
        raise Refused("PLAN_STATE", f"{plan_id} has not expired yet.")
    txn.line("plan.expire", DAEMON, {"plan": plan_id})


def cancel_plan(txn: Txn, plan_id: str, actor: str = DAEMON, reason: str = "stop") -> None:
    """pending -> cancelled, by stop, halt or a person."""
    pending_plan(txn.conn, plan_id)
    txn.line("plan.cancel", actor, {"plan": plan_id, "reason": reason})


def due_plans(conn: sqlite3.Connection, now_us: int) -> list[str]:
    """Pending plans whose time is over, oldest first."""
    found = conn.execute(
        "SELECT plan FROM plan WHERE state = 'pending' AND expires <= ? ORDER BY created_seq", (now_us,)
    )
    return [plan for (plan,) in found.fetchall()]


def get_plan(conn: sqlite3.Connection, plan_id: str) -> PlanRow:
    """Raises Refused("NO_PLAN")."""
    found = conn.execute(
        'SELECT plan, run, account, state, digest, body, expires, decided_by, code, "order", intent FROM plan'
        " WHERE plan = ?",
        (plan_id,),
    ).fetchone()
    if found is None:
        raise Refused("NO_PLAN", f"there is no {plan_id}.", "'inalpha plan list' shows all.")
    return PlanRow(*found)


def pending_plan(conn: sqlite3.Connection, plan_id: str) -> PlanRow:
    """The plan, still open. A decided one raises Refused("PLAN_STATE"), naming outcome and author."""
    plan = get_plan(conn, plan_id)
    if plan.state != "pending":
        detail = {"state": plan.state, "decided_by": plan.decided_by, "code": plan.code, "order": plan.order}
        raise Refused(
            "PLAN_STATE", f"{plan_id} is {plan.state}, decided by {plan.decided_by}.", detail=detail
        )
    return plan


def check_body(conn: sqlite3.Connection, plan_id: str) -> dict[str, Any]:
    """The stored body, proven to be the one that was planned. Raises IntegrityError."""
    plan = get_plan(conn, plan_id)
    body: dict[str, Any] = json.loads(plan.body)
    if encode(body).decode() != plan.body or plan_digest(body) != plan.digest:
        raise IntegrityError("PLAN_DIGEST_MISMATCH", f"{plan_id} was changed.", "Verify the ledger.")
    return body
