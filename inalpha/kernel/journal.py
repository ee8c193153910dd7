"""Canonical texts of inputs and outputs, and the chain over them.

Each head covers the one before, the step's inputs and what followed, so equal inputs must give an equal
head in any process, and a changed byte anywhere changes every later head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from inalpha.kernel.records import Command, Decision, Fill, OrderEnd
from inalpha.model.bar import Bar
from inalpha.model.order import OrderRequest, OrderType, Side, TimeInForce
from inalpha.model.risk import AccountContext, Lock, Refusal
from inalpha.model.states import HaltState
from inalpha.model.step import Intent, StepReply

GENESIS_HEAD = ""

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: object) -> str:
    """JSON with sorted keys, no spaces and no ASCII escapes."""
    return _encode(value)


def next_head(head: str, input_text: str, output_text: str) -> str:
    """SHA-256 of the head before, the inputs and the outputs, as hex."""
    return hashlib.sha256(f"{head}\n{input_text}\n{output_text}".encode()).hexdigest()


def bar_members(bar: Bar) -> list[int]:
    return [
        bar.open_time_ns,
        bar.close_time_ns,
        bar.open_ticks,
        bar.high_ticks,
        bar.low_ticks,
        bar.close_ticks,
        bar.volume_e8,
    ]


def bar_from_members(members: Sequence[int], sequence: int, tick_e8: int) -> Bar:
    open_ns, close_ns, open_, high, low, close, volume_e8 = members
    return Bar(open_ns, close_ns, open_, high, low, close, volume_e8, sequence, tick_e8)


def bar_input(bar: Bar, begin: str, finish: str, received_ns: int, lost: bool) -> str:
    """One bar's inputs. begin and finish: account contexts, `null` for unchanged since the last one.

    Written by hand because it is made for every bar; the members are sorted as in canonical JSON.
    """
    return (
        f'{{"bar":[{bar.open_time_ns},{bar.close_time_ns},{bar.open_ticks},{bar.high_ticks},{bar.low_ticks},'
        f'{bar.close_ticks},{bar.volume_e8}],"begin":{begin},"finish":{finish},'
        f'"lost":{"true" if lost else "false"},"received":{received_ns},"seq":{bar.sequence}}}'
    )


def context_text(context: AccountContext) -> str:
    return canonical(
        {
            "base_cash_e8": context.base_cash_e8,
            "other_value_e8": context.other_value_e8,
            "other_gross_e8": context.other_gross_e8,
            "other_symbol_value_e8": context.other_symbol_value_e8,
            "halt": context.halt.value,
            "halt_scope": context.halt_scope,
            "locks": [[k.rule, k.scope, k.reason, k.from_ns, k.until_ns] for k in context.locks],
            "blocks": list(context.blocks),
            "day_start_equity_e8": context.day_start_equity_e8,
            "high_water_e8": context.high_water_e8,
        }
    )


def context_from(data: Mapping[str, Any]) -> AccountContext:
    members = dict(data)
    members["halt"] = HaltState(members["halt"])
    members["locks"] = tuple(Lock(*lock) for lock in members["locks"])
    members["blocks"] = tuple(members["blocks"])
    return AccountContext(**members)


def order_members(order: OrderRequest | None) -> list[object] | None:
    if order is None:
        return None
    return [
        order.intent,
        int(order.side),
        order.type.value,
        order.quantity_lots,
        order.limit_ticks,
        order.stop_ticks,
        order.time_in_force.value,
        order.expires_ns,
        order.reduce_only,
        order.stop_loss_ticks,
        order.take_profit_ticks,
        order.reason,
    ]


def order_from(members: Sequence[Any] | None) -> OrderRequest | None:
    if members is None:
        return None
    intent, side, kind, quantity, limit, stop, tif, *rest = members
    return OrderRequest(intent, Side(side), OrderType(kind), quantity, limit, stop, TimeInForce(tif), *rest)


def command_input(command: Command, context: str) -> str:
    return canonical(
        {
            "kind": command.kind,
            "at": command.at_ns,
            "intent": command.intent,
            "state": command.state.value if command.state else None,
            "actor": command.actor,
            "code": command.code,
            "reason": command.reason,
            "order": order_members(command.order),
            "context": json.loads(context),
        }
    )


def command_from(data: Mapping[str, Any]) -> Command:
    return Command(
        kind=data["kind"],
        at_ns=data["at"],
        intent=data["intent"],
        state=HaltState(data["state"]) if data["state"] else None,
        actor=data["actor"],
        code=data["code"],
        reason=data["reason"],
        order=order_from(data["order"]),
    )


def fill_members(fill: Fill) -> list[object]:
    return [
        fill.intent,
        fill.child,
        fill.n,
        int(fill.side),
        fill.quantity_lots,
        fill.price_ticks,
        fill.fee_e8,
        fill.time_ns,
        fill.reason,
        fill.position_lots,
        fill.cash_e8,
        fill.warning,
    ]


def end_members(end: OrderEnd) -> list[object]:
    return [end.intent, end.child, end.state.value, end.code]


def refusal_members(refusal: Refusal) -> list[object]:
    return [
        refusal.code,
        refusal.control,
        refusal.measured,
        refusal.limit,
        refusal.unit,
        refusal.setting,
        refusal.message,
    ]


def decision_members(decision: Decision) -> list[object]:
    return [
        decision.intent,
        decision.outcome,
        decision.code,
        order_members(decision.order),
        [refusal_members(refusal) for refusal in decision.refusals],
    ]


def reply_members(reply: StepReply | None) -> dict[str, object] | None:
    if reply is None:
        return None
    return {
        "error": reply.error,
        "logs": list(reply.logs),
        "intents": [intent_members(intent) for intent in reply.intents],
    }


def intent_members(intent: Intent) -> dict[str, object]:
    return {name: getattr(intent, name) for name in intent.__struct_fields__}


def reply_from(data: Mapping[str, Any] | None, sequence: int) -> StepReply | None:
    if data is None:
        return None
    intents = tuple(Intent(**members) for members in data["intents"])
    return StepReply(sequence, intents, tuple(data["logs"]), data["error"])
