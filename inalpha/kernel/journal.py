"""Canonical texts of inputs and outputs: what the chain covers, so equal inputs must give equal texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inalpha.kernel.book import Book
from inalpha.kernel.chain import bar_text
from inalpha.kernel.records import Command, Decision, Fill, OrderEnd
from inalpha.model.bar import Bar
from inalpha.model.order import OrderRequest, OrderType, Side, TimeInForce
from inalpha.model.plain import escaped_json
from inalpha.model.risk import AccountContext, Block, Lock, Refusal
from inalpha.model.states import HaltState
from inalpha.model.step import StepReply

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_encode_fast = msgspec.json.Encoder(order="sorted").encode


def canonical(value: object) -> str:
    """JSON with sorted keys, no spaces and no ASCII escapes."""
    return _encode(value)


def text_of(value: object) -> str:
    """The same text, ten times faster and of the domain's classes too, where no float occurs: msgspec
    spells those otherwise. What a terminal may obey stands as its escape: a journal is a file that people open.
    """
    return escaped_json(_encode_fast(value).decode())


def bar_members(bar: Bar) -> list[int]:
    """The bar without its place in a run."""
    return [
        bar.open_time_ns,
        bar.close_time_ns,
        bar.open_ticks,
        bar.high_ticks,
        bar.low_ticks,
        bar.close_ticks,
        bar.volume_e8,
    ]


def bar_from_members(members: Sequence[int]) -> Bar:
    return Bar(*members)


def bar_input(bar: Bar, begin: str, finish: str, lag_ns: int, lost: bool) -> str:
    """One bar's inputs; what is at rest is left out: unchanged account contexts, no lag, no lost runner.

    Written by hand because the bar's own text is shared with the chain; the members are sorted.
    """
    parts = [f'{{"bar":{bar_text(bar)}']
    if begin:
        parts.append(f'"begin":{begin}')
    if finish:
        parts.append(f'"finish":{finish}')
    if lag_ns:
        parts.append(f'"lag":{lag_ns}')
    if lost:
        parts.append('"lost":true')
    return ",".join(parts) + "}"


def book_text(book: Book) -> str:
    """Cash, lots, cost, realised profit, fees."""
    return f"[{book.cash_e8},{book.lots},{book.cost_e8},{book.realised_e8},{book.fees_e8}]"


def bar_output(
    book: str,
    fills: Sequence[Fill],
    ends: Sequence[OrderEnd],
    decisions: Sequence[Decision],
    reply: StepReply,
) -> str:
    """What followed from one bar: the book always, the rest where there is any."""
    parts = [f'{{"book":{book}']
    if decisions:
        parts.append(f'"decisions":{text_of([decision_members(decision) for decision in decisions])}')
    if ends:
        parts.append(f'"ends":{text_of(ends)}')
    if fills:
        parts.append(f'"fills":{text_of(fills)}')
    if reply.intents or reply.logs or reply.error or reply.dropped_bytes:
        parts.append(f'"reply":{text_of(reply)}')
    return ",".join(parts) + "}"


def context_text(context: AccountContext) -> str:
    return text_of(context)


def context_from(data: Mapping[str, Any]) -> AccountContext:
    members = dict(data)
    members["halt"] = HaltState(members["halt"])
    members["locks"] = tuple(Lock(**lock) for lock in members["locks"])
    members["lifted"] = tuple(members["lifted"])
    members["blocks"] = tuple(Block(**block) for block in members["blocks"])
    return AccountContext(**members)


def order_members(order: OrderRequest | None) -> list[object] | None:
    if order is None:
        return None
    return [
        order.intent,
        int(order.side),
        order.type,
        order.quantity_lots,
        order.limit_ticks,
        order.stop_ticks,
        order.time_in_force,
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


def command_input(command: Command, context: AccountContext) -> str:
    return text_of(
        {
            "kind": command.kind,
            "at": command.at_ns,
            "intent": command.intent,
            "state": command.state.value if command.state else None,
            "actor": command.actor,
            "code": command.code,
            "reason": command.reason,
            "order": order_members(command.order),
            "context": context,
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


def reply_from(data: Mapping[str, Any] | None, sequence: int) -> StepReply:
    """The recorded answer; nothing recorded is the empty one."""
    return StepReply(sequence) if data is None else msgspec.convert(data, StepReply)
