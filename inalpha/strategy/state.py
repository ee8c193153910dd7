"""What a strategy sees: its position, account, orders and the events about them. Read-only for authors."""

from __future__ import annotations

from datetime import datetime

from inalpha.model.bar import Bar, utc_from_ns
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8

LIVE_STATES = ("new", "pending", "submitted", "accepted", "triggered", "partially_filled")


class Moment:
    """What this step told, read by the objects below when their author asks; None before the first bar.

    position: lots and total cost; account: cash and equity, as they came.
    """

    __slots__ = ("account", "bar", "instrument", "position")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bar: Bar | None = None
        self.position = (0, 0)
        self.account = (0, 0)

    @property
    def sequence(self) -> int:
        return self.bar.sequence if self.bar else -1


class Position:
    """The run's own position at the last closed bar."""

    __slots__ = ("_moment",)

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    @property
    def quantity(self) -> float:
        """Signed: below zero is short."""
        return self._moment.position[0] * self._moment.instrument.lot_e8 / E8

    @property
    def is_flat(self) -> bool:
        return self._moment.position[0] == 0

    @property
    def is_long(self) -> bool:
        return self._moment.position[0] > 0

    @property
    def is_short(self) -> bool:
        return self._moment.position[0] < 0

    @property
    def average_price(self) -> float | None:
        """Total cost divided by quantity, fees apart; None when flat."""
        lots, cost_e8 = self._moment.position
        return cost_e8 / (lots * self._moment.instrument.lot_e8) if lots else None

    @property
    def unrealised(self) -> float:
        """Profit of the open position at the last close, fees apart."""
        lots, cost_e8 = self._moment.position
        bar, instrument = self._moment.bar, self._moment.instrument
        if bar is None:
            return 0.0
        value = bar.close_ticks * instrument.tick_e8 * lots * instrument.lot_e8
        return (value - cost_e8 * E8) / (E8 * E8)


class Account:
    """This run's own book; the allocation opens it."""

    __slots__ = ("_moment",)

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    @property
    def currency(self) -> str:
        return self._moment.instrument.currency

    @property
    def cash(self) -> float:
        return self._moment.account[0] / E8

    @property
    def equity(self) -> float:
        return self._moment.account[1] / E8


class Order:
    """One order as its author sees it. state is `new` until the next bar tells what became of it.

    leg: "stop_loss" or "take_profit" for the children of a bracket, else "".
    """

    __slots__ = (
        "filled", "id", "leg", "limit", "quantity", "reason", "reduce_only", "side", "state", "stop", "tif", "type"
    )  # fmt: skip

    def __init__(
        self,
        order_id: str,
        side: str,
        kind: str,
        quantity: float | None,
        limit: float | None,
        stop: float | None,
        tif: str,
        reason: str,
        reduce_only: bool = False,
        leg: str = "",
    ) -> None:
        self.id = order_id
        self.side = side
        self.type = kind
        self.quantity = quantity
        self.filled = 0.0
        self.limit = limit
        self.stop = stop
        self.tif = tif
        self.state = "new"
        self.reason = reason
        self.reduce_only = reduce_only
        self.leg = leg

    @property
    def is_working(self) -> bool:
        return self.state in LIVE_STATES

    def __repr__(self) -> str:
        return f"Order({self.id} {self.side} {self.quantity} {self.type} {self.state})"


class Orders(list[Order]):
    """Orders that work, await approval or were placed on this bar: a list, and its three parts.

    A bracketed position has legs as long as it is open. Whoever waits for "no orders" before closing waits
    for ever, so a guard against buying twice reads `entries`.
    """

    __slots__ = ()

    @property
    def legs(self) -> list[Order]:
        """The stop losses and take profits of brackets."""
        return [order for order in self if order.leg]

    @property
    def exits(self) -> list[Order]:
        """Orders that can only reduce, such as close(), without the legs."""
        return [order for order in self if order.reduce_only and not order.leg]

    @property
    def entries(self) -> list[Order]:
        """Every other order."""
        return [order for order in self if not order.reduce_only and not order.leg]


class Event:
    """What happened to an order: accepted, pending, denied, rejected, filled, cancelled or expired."""

    __slots__ = ("_time_ns", "code", "fee", "kind", "order", "price", "quantity", "reason")

    def __init__(
        self,
        kind: str,
        order: Order,
        time_ns: int,
        quantity: float,
        price: float | None,
        fee: float,
        code: str,
        reason: str,
    ) -> None:
        self.kind = kind
        self.order = order
        self._time_ns = time_ns
        self.quantity = quantity
        self.price = price
        self.fee = fee
        self.code = code
        self.reason = reason

    @property
    def time(self) -> datetime:
        return utc_from_ns(self._time_ns)


class Clock:
    """Market time: the close of the current bar."""

    __slots__ = ("_moment",)

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def now(self) -> datetime:
        """Aware UTC time of this step; 1970 before the first."""
        bar = self._moment.bar
        return utc_from_ns(bar.close_time_ns if bar else 0)
