"""What a strategy sees: its position, account, orders and the events about them. Read-only for authors."""

from __future__ import annotations

from datetime import datetime

from inalpha.model.bar import utc_from_ns
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8

LIVE_STATES = ("new", "pending", "submitted", "accepted", "triggered", "partially_filled")


class Position:
    """The run's own position at the last closed bar."""

    __slots__ = ("_close_ticks", "_cost_e8", "_instrument", "_lots")

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._lots = 0
        self._cost_e8 = 0
        self._close_ticks = 0

    @property
    def quantity(self) -> float:
        """Signed: below zero is short."""
        return self._lots * self._instrument.lot_e8 / E8

    @property
    def is_flat(self) -> bool:
        return self._lots == 0

    @property
    def is_long(self) -> bool:
        return self._lots > 0

    @property
    def is_short(self) -> bool:
        return self._lots < 0

    @property
    def average_price(self) -> float | None:
        """Total cost divided by quantity, fees apart; None when flat."""
        return self._cost_e8 / (self._lots * self._instrument.lot_e8) if self._lots else None

    @property
    def unrealised(self) -> float:
        """Profit of the open position at the last close, fees apart."""
        value = self._close_ticks * self._instrument.tick_e8 * self._lots * self._instrument.lot_e8
        return (value - self._cost_e8 * E8) / (E8 * E8)


class Account:
    """This run's own book; the allocation opens it."""

    __slots__ = ("_cash_e8", "_equity_e8", "currency")

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self._cash_e8 = 0
        self._equity_e8 = 0

    @property
    def cash(self) -> float:
        return self._cash_e8 / E8

    @property
    def equity(self) -> float:
        return self._equity_e8 / E8


class Order:
    """One order as its author sees it. state is `new` until the next bar tells what became of it."""

    __slots__ = ("filled", "id", "limit", "quantity", "reason", "side", "state", "stop", "tif", "type")

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

    @property
    def is_working(self) -> bool:
        return self.state in LIVE_STATES

    def __repr__(self) -> str:
        return f"Order({self.id} {self.side} {self.quantity} {self.type} {self.state})"


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

    __slots__ = ("_now_ns",)

    def __init__(self) -> None:
        self._now_ns = 0

    def now(self) -> datetime:
        """Aware UTC time of this step."""
        return utc_from_ns(self._now_ns)
