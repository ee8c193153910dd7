"""From the kernel's results to the ledger: what one step or command writes, in its one transaction.

The kernel names orders by intent; here they get plan, order and fill numbers, tokens and signed lines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from inalpha.execution import plans
from inalpha.kernel.journal import bar_members, canonical
from inalpha.kernel.records import CommandResult, Decision, Fill, JournalEntry, OrderEnd, StepResult
from inalpha.ledger.writer import Txn
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import text_from_e8
from inalpha.model.order import OrderRequest, OrderType
from inalpha.model.risk import Refusal

RUNNER = "system:live_runner"
RISK = "system:risk"
DAEMON = "system:daemon"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What every line of a run repeats. plan_ttl_us: how long a plan of it waits, host time."""

    run: str
    account: str
    symbol: str
    instrument: Instrument
    mandate_sha256: str
    rules_sha256: str
    plan_ttl_us: int


def bar_sha256(bar: Bar) -> str:
    """Digest of a bar's canonical members; the journal holds the bar itself."""
    return hashlib.sha256(canonical([*bar_members(bar), bar.tick_e8]).encode()).hexdigest()


def write_journal(txn: Txn, run: str, entry: JournalEntry) -> None:
    txn.conn.execute(
        "INSERT INTO journal (run, n, kind, bar, input, output, head) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (run, entry.n, entry.kind, entry.bar, entry.input, entry.output, entry.head),
    )


def write_step(txn: Txn, facts: RunFacts, result: StepResult) -> list[str]:
    """One consumed bar: its line, fills, ends, then each decision with its plan. Answers the new plans."""
    bar = result.bar
    digest = bar_sha256(bar)
    txn.line(
        "step",
        RUNNER,
        {
            "run": facts.run,
            "bar": bar.sequence,
            "bar_sha256": digest,
            "open": bar.open_time_ns // 1000,
            "close": bar.close_time_ns // 1000,
            "intents": len(result.decisions),
            "state_sha256": result.entry.head,
        },
    )
    created: list[str] = []
    early, late = _split_by_decision(result)
    _write_fills(txn, facts, early)
    pending_ends = [end for end in result.ended if end.intent not in {d.intent for d in result.decisions}]
    _write_ends(txn, facts, pending_ends)
    for decision in result.decisions:
        plan = _write_decision(txn, facts, decision, digest, bar.sequence)
        if plan is not None:
            created.append(plan)
    _write_fills(txn, facts, late)
    _write_ends(txn, facts, [end for end in result.ended if end not in pending_ends])
    write_journal(txn, facts.run, result.entry)
    return created


def _split_by_decision(result: StepResult) -> tuple[list[Fill], list[Fill]]:
    """Fills of orders that worked before this step, and those of orders decided in it (`same_close`)."""
    decided = {decision.intent for decision in result.decisions}
    early = [fill for fill in result.fills if fill.intent not in decided]
    return early, [fill for fill in result.fills if fill.intent in decided]


def write_command(txn: Txn, facts: RunFacts, result: CommandResult) -> None:
    """A control command: what it ended, and its journal entry."""
    _write_fills(txn, facts, result.fills)
    _write_ends(txn, facts, result.ended)
    write_journal(txn, facts.run, result.entry)


def intent_id(run: str, intent: str) -> str:
    return f"{run}:{intent}"


def plan_of(txn: Txn, run: str, intent: str) -> str | None:
    """The plan that an intent became, if it became one."""
    row = txn.conn.execute("SELECT plan FROM plan WHERE intent = ?", (intent_id(run, intent),)).fetchone()
    return row[0] if row else None


def _write_fills(txn: Txn, facts: RunFacts, fills: Sequence[Fill]) -> None:
    for fill in fills:
        plans.record_fill(
            txn,
            intent=intent_id(facts.run, fill.intent),
            child=fill.child,
            side=fill.side.text,
            quantity=facts.instrument.quantity_text(fill.quantity_lots),
            price=facts.instrument.price_text(fill.price_ticks),
            fee=text_from_e8(fill.fee_e8),
            bar=fill.bar,
            time_us=fill.time_ns // 1000,
            reason=fill.reason,
        )


def _write_ends(txn: Txn, facts: RunFacts, ends: Sequence[OrderEnd]) -> None:
    """Working orders end with order.end; a plan that still waited ends as cancelled."""
    for end in ends:
        plans.record_end(
            txn,
            intent=intent_id(facts.run, end.intent),
            child=end.child,
            outcome=end.state.value,
            code=end.code,
        )


def _write_decision(txn: Txn, facts: RunFacts, decision: Decision, digest: str, bar: int) -> str | None:
    plan: str | None = None
    if decision.order is not None and decision.outcome != "rejected":
        plan = _write_plan(txn, facts, decision)
    txn.line(
        "decision",
        RUNNER,
        {
            "run": facts.run,
            "bar": bar,
            "bar_sha256": digest,
            "intent": intent_id(facts.run, decision.intent),
            "outcome": decision.outcome,
            "plan": plan,
            "code": decision.code or None,
        },
    )
    raw = decision.raw
    txn.conn.execute(
        "INSERT INTO decision_detail (intent, side, quantity, reason, refusals) VALUES (?, ?, ?, ?, ?)",
        (
            intent_id(facts.run, decision.intent),
            raw.side,
            raw.quantity,
            raw.reason,
            json.dumps([asdict(refusal) for refusal in decision.refusals]),
        ),
    )
    return plan


def _write_plan(txn: Txn, facts: RunFacts, decision: Decision) -> str:
    order = decision.order
    assert order is not None
    is_guard = decision.intent.endswith(":guard")
    proposer = RISK if is_guard else RUNNER
    body = plan_body(txn, facts, order)
    plan, plan_digest = plans.create_plan(txn, body, proposer)
    refusal = decision.refusals[0] if decision.refusals else None
    write_risk(txn, plan, plan_digest, facts.rules_sha256, refusal)
    if refusal is not None:
        plans.reject_plan(txn, plan, RISK, code=refusal.code)
    elif decision.outcome == "working":
        plans.approve_and_execute(txn, plan, RUNNER)
    return plan


def plan_body(txn: Txn, facts: RunFacts, order: OrderRequest) -> dict[str, object]:
    """The signed content of a plan, from the order as the kernel normalised it."""
    price = facts.instrument.price_text
    kind = "stop" if order.type in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT) else order.type.value
    return {
        "account": facts.account,
        "expires": txn.now_us + facts.plan_ttl_us,
        "intent": intent_id(facts.run, order.intent),
        "limit": None if order.limit_ticks is None else price(order.limit_ticks),
        "mandate_sha256": facts.mandate_sha256,
        "origin": "run",
        "quantity": facts.instrument.quantity_text(order.quantity_lots),
        "rationale_commit": txn.commit_text(order.reason),
        "reduce_only": order.reduce_only,
        "run": facts.run,
        "side": order.side.text,
        "stop": None if order.stop_ticks is None else price(order.stop_ticks),
        "stop_loss": None if order.stop_loss_ticks is None else price(order.stop_loss_ticks),
        "symbol": facts.symbol,
        "take_profit": None if order.take_profit_ticks is None else price(order.take_profit_ticks),
        "tif": order.time_in_force.value,
        "tif_expires": None if order.expires_ns is None else order.expires_ns // 1000,
        "type": kind,
        "v": 1,
    }


def write_risk(txn: Txn, plan: str, plan_digest: str, rules_sha256: str, refusal: Refusal | None) -> None:
    """The verdict that stands between a plan and its approval."""
    is_error = refusal is not None and refusal.code == "RISK_ERROR"
    txn.line(
        "risk.check",
        RISK,
        {
            "plan": plan,
            "plan_sha256": plan_digest,
            "result": "pass" if refusal is None else "error" if is_error else "fail",
            "rule": refusal.setting if refusal else None,
            "measured": _decimal(refusal.measured) if refusal else None,
            "limit": _decimal(refusal.limit) if refusal else None,
            "rules_sha256": rules_sha256,
        },
    )


def _decimal(text: str | None) -> str | None:
    """A figure as a line may hold it; words such as halt states are told by the rule alone."""
    if text is None or not text.replace(".", "", 1).lstrip("-").isdigit():
        return None
    return text
