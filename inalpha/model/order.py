"""Orders: enums, the state table and the frozen request that a plan signs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Side(IntEnum):
    """+1 buys, -1 sells: one formula serves both sides."""

    BUY = 1
    SELL = -1

    @property
    def text(self) -> str:
        return "buy" if self is Side.BUY else "sell"

    @classmethod
    def from_text(cls, text: str) -> Side:
        if text not in ("buy", "sell"):
            raise ValueError(f"unknown side {text!r}")
        return cls.BUY if text == "buy" else cls.SELL


class _Word(StrEnum):
    """A state or kind by its word. Hashed as its text: Enum's own hash is a Python call, made per order."""

    __hash__ = str.__hash__


class OrderType(_Word):
    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop"
    STOP_LIMIT = "stop_limit"


class TimeInForce(_Word):
    GTC = "GTC"
    IOC = "IOC"
    DAY = "DAY"
    GTD = "GTD"


class OrderState(_Word):
    INITIALIZED = "initialized"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    TRIGGERED = "triggered"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DENIED = "denied"
    REJECTED = "rejected"


_WORKING_ENDS = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED})

ORDER_TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.INITIALIZED: frozenset(
        {OrderState.SUBMITTED, OrderState.DENIED, OrderState.CANCELLED, OrderState.EXPIRED}
    ),
    OrderState.SUBMITTED: frozenset({OrderState.ACCEPTED, OrderState.REJECTED}),
    OrderState.ACCEPTED: _WORKING_ENDS | {OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED},
    OrderState.TRIGGERED: _WORKING_ENDS | {OrderState.PARTIALLY_FILLED},
    OrderState.PARTIALLY_FILLED: _WORKING_ENDS | {OrderState.PARTIALLY_FILLED},
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.EXPIRED: frozenset(),
    OrderState.DENIED: frozenset(),
    OrderState.REJECTED: frozenset(),
}


class IllegalTransition(ValueError):
    """A state machine was asked for a pair that its table does not hold."""


def next_order_state(current: OrderState, target: OrderState) -> OrderState:
    """target, when the table allows it. Raises IllegalTransition naming both states."""
    if target not in ORDER_TRANSITIONS[current]:
        raise IllegalTransition(f"an order cannot go from {current.value} to {target.value}")
    return target


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is asked of the exchange, normalised to ticks and lots. The plan's body is made from it.

    intent: `<bar>:<n>` inside its run. Times are ns of market time. stop_loss and take_profit: ticks.
    """

    intent: str
    side: Side
    type: OrderType
    quantity_lots: int
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_ns: int | None = None
    reduce_only: bool = False
    stop_loss_ticks: int | None = None
    take_profit_ticks: int | None = None
    reason: str = ""
