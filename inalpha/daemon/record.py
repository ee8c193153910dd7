"""From the kernel's results to the ledger: what one step or command writes, in its one transaction.

The kernel names orders by intent; here they get plan, order and fill numbers, tokens and signed lines.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from inalpha.execution import lines, plans
from inalpha.kernel.costs import notional_e8
from inalpha.kernel.journal import bar_members, canonical
from inalpha.kernel.records import CommandResult, Decision, Fill, JournalEntry, OrderEnd, StepResult
from inalpha.kernel.trades import GUARD_N
from inalpha.ledger.txn import Txn
from inalpha.model.bar import Bar
from inalpha.model.errors import IntegrityError
from inalpha.model.instrument import Instrument
from inalpha.model.money import text_from_e8
from inalpha.model.order import OrderState
from inalpha.model.principals import DAEMON, RISK, RUNNER
from inalpha.model.risk import Refusal
from inalpha.risk.controls.base import reference_ticks

_FIGURE = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


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
        plan = _write_decision(txn, facts, decision, digest, bar.sequence, bar.close_ticks)
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


def _order(txn: Txn, facts: RunFacts, name: str, child: str | None) -> tuple[str, str] | None:
    """(plan, order) of what the kernel calls `<bar>:<n>`, or by its plan where no strategy asked for it."""
    if ":" in name:
        return lines.order_of_intent(txn.conn, intent_id(facts.run, name), child)
    order = lines.order_of(txn.conn, name, child)
    return None if order is None else (name, order)


def _write_fills(txn: Txn, facts: RunFacts, fills: Sequence[Fill]) -> None:
    for fill in fills:
        found = _order(txn, facts, fill.intent, fill.child)
        if found is None:
            raise IntegrityError("NO_ORDER", f"the fill of {fill.intent} has no order.", "Verify the ledger.")
        lines.record_fill(
            txn,
            *found,
            quantity=facts.instrument.quantity_text(fill.quantity_lots),
            price=facts.instrument.price_text(fill.price_ticks),
            fee=text_from_e8(fill.fee_e8),
            bar=fill.bar,
            time_us=fill.time_ns // 1000,
            reason=fill.reason,
        )


def _write_ends(txn: Txn, facts: RunFacts, ends: Sequence[OrderEnd]) -> None:
    """A working order ends with order.end, a plan that still waited with plan.cancel; a plan that a
    person, risk or the clock has just ended has its line already."""
    for end in ends:
        found = _order(txn, facts, end.intent, end.child)
        if end.state is OrderState.FILLED:
            # Its fills say so, except of one that was clamped to the position (M17): the rest ends here.
            if found is not None and lines.is_working(txn.conn, found[1]):
                lines.end_order(txn, found[1], OrderState.CANCELLED.value, "NOTHING_TO_REDUCE")
            continue
        if found is not None:
            lines.end_order(txn, found[1], end.state.value, end.code or None)
            keep_refusals(txn, facts.run, end.intent, end.refusals)
            continue
        row = txn.conn.execute(
            "SELECT plan, state FROM plan WHERE intent = ? OR plan = ?",
            (intent_id(facts.run, end.intent), end.intent),
        ).fetchone()
        if row is not None and row[1] == "pending":
            plans.cancel_plan(txn, row[0], DAEMON, end.code or "stop")


def keep_refusals(txn: Txn, run: str, name: str, refusals: Sequence[Refusal]) -> None:
    """Why an order was refused after its decision: at its approval or at its fill. A line holds one code alone.

    name: the kernel's; a plan from outside has no decision and is kept by its own name.
    """
    if not refusals:
        return
    key = intent_id(run, name) if ":" in name else name
    told = json.dumps([asdict(refusal) for refusal in refusals])
    txn.conn.execute(
        "INSERT INTO decision_detail (intent, side, quantity, reason, refusals) VALUES (?, NULL, NULL, '', ?)"
        " ON CONFLICT (intent) DO UPDATE SET refusals = excluded.refusals",
        (key, told),
    )


def close_open(txn: Txn, run: str) -> None:
    """End what a run without a usable kernel leaves open: no plan and no order outlives its run."""
    waiting = txn.conn.execute("SELECT plan FROM plan WHERE run = ? AND state = 'pending'", (run,)).fetchall()
    for (plan,) in waiting:
        plans.cancel_plan(txn, plan, DAEMON, "RUN_ENDED")
    working = "SELECT \"order\" FROM orders WHERE run = ? AND state = 'working' ORDER BY created_seq"
    for (order,) in txn.conn.execute(working, (run,)).fetchall():
        lines.end_order(txn, order, "cancelled", "RUN_ENDED")


def _write_decision(
    txn: Txn, facts: RunFacts, decision: Decision, digest: str, bar: int, close_ticks: int
) -> str | None:
    plan: str | None = None
    if decision.order is not None and decision.outcome != "rejected":
        plan = _write_plan(txn, facts, decision, close_ticks)
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


def _write_plan(txn: Txn, facts: RunFacts, decision: Decision, close_ticks: int) -> str:
    order = decision.order
    assert order is not None
    body = plans.plan_body(
        order,
        facts.instrument,
        account=facts.account,
        rationale_commit=_rationale(txn, facts, decision),
        expires_us=txn.now_us + facts.plan_ttl_us,
        run=facts.run,
        intent=intent_id(facts.run, order.intent),
        mandate_sha256=facts.mandate_sha256,
    )
    plan = plans.create_plan(txn, body, RISK if decision.n == GUARD_N else RUNNER)
    refusal = decision.refusals[0] if decision.refusals else None
    worth = notional_e8(facts.instrument, reference_ticks(order, close_ticks), order.quantity_lots)
    write_risk(txn, plan, facts.rules_sha256, refusal, text_from_e8(worth))
    if refusal is not None:
        plans.reject_plan(txn, plan, RISK, refusal.code)
    elif decision.outcome == "working":
        plans.approve_and_execute(txn, plan, RUNNER)
    return plan


def write_risk(
    txn: Txn, plan: str, rules_sha256: str, refusal: Refusal | None, worth: str | None = None
) -> None:
    """The verdict that stands between a plan and its approval. A line holds figures, not words."""
    is_error = refusal is not None and refusal.code == "RISK_ERROR"
    if refusal is not None:
        refusal = replace(refusal, measured=_decimal(refusal.measured), limit=_decimal(refusal.limit))
    plans.record_risk(txn, plan, refusal, rules_sha256, is_error=is_error, worth=worth)


def _rationale(txn: Txn, facts: RunFacts, decision: Decision) -> str:
    """A strategy's reason came as its commitment; the guard's is the name of a rule."""
    assert decision.order is not None
    reason = decision.order.reason
    return reason if reason and decision.n != GUARD_N else txn.commit_text(reason, run=facts.run)


def _decimal(text: str | None) -> str | None:
    """A figure in canonical form, with all its places; None for a word such as a halt state."""
    if text is None or not _FIGURE.fullmatch(text):
        return None
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
