"""What stands behind `self` in a strategy: the step's state, and the intents that it collects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.step import MAX_LOG_BYTES, MAX_LOGS, Intent, OrderEvent, OrderView
from inalpha.strategy.bars import BarMemory
from inalpha.strategy.indicators import Indicator
from inalpha.strategy.numbers import decimal_of, price_text, wire_text
from inalpha.strategy.size import size_of
from inalpha.strategy.state import Account, Clock, Event, Moment, Order, Orders, Position
from inalpha.strategy.ta_window import TaWindow

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_REASON = 500
_MAX_WORD = 20
_MOST_NS = 2**63 - 1
_MAX_LOGGED = 16 * 1024  # bytes a bar: what is logged must leave room for the orders in one reply
_TYPES = {(False, False): "market", (True, False): "limit", (False, True): "stop", (True, True): "stop_limit"}

AnyIndicator = TypeVar("AnyIndicator", bound=Indicator)


class NoBar(RuntimeError):
    """NO_BAR: an order was placed before the first bar."""


class Session:
    """One run of one strategy, inside its own process."""

    def __init__(self, params: Mapping[str, object], instrument: Instrument, seed: int) -> None:
        self.params = MappingProxyType(dict(params))
        self.instrument = instrument
        self.moment = Moment(instrument)
        self.position = Position(self.moment)
        self.account = Account(self.moment)
        self.clock = Clock(self.moment)
        self.memory = BarMemory()
        self.updates: list[Callable[[Bar], None]] = []
        self.indicators: list[Indicator] = []
        self.windows: list[TaWindow] = []
        self.intents: list[Intent] = []
        self.logs: list[str] = []
        self.stopping = False
        self.random = Random(seed)
        self._seed = seed
        self._orders: dict[str, Order] = {}

    @cached_property
    def rng(self) -> np.random.Generator:
        import numpy as np

        return np.random.default_rng(self._seed)

    # Fed by the driver.

    def take_bar(self, bar: Bar) -> None:
        """A warm-up bar: it feeds indicators and history only."""
        self.memory.bars.append(bar)
        for update in self.updates:
            update(bar)

    def take_orders(self, views: tuple[OrderView, ...]) -> None:
        """Bring the author's order objects to what the kernel says."""
        listed = {view.id for view in views}
        for order_id in [order_id for order_id in self._orders if order_id not in listed]:
            order = self._orders.pop(order_id)
            if order.is_working:
                order.state = "ended"
        for view in views:
            order = self._order_for(view.id, view)
            order.state = view.state
            order.quantity = self._units(view.quantity)
            order.filled = self._units(view.filled)

    def event(self, event: OrderEvent, views: tuple[OrderView, ...]) -> Event:
        """The author's view of one order event, its order object moved already."""
        order = self.move_order(event, views)
        quantity, price = self._units(event.quantity), self._price(event.price)
        return Event(
            event.kind, order, event.time_ns, quantity, price, event.fee / E8, event.code, event.reason
        )

    def move_order(self, event: OrderEvent, views: tuple[OrderView, ...]) -> Order:
        """Bring the event's order object to what the event says."""
        order = self._orders.get(event.order)
        if order is None:
            view = next((view for view in views if view.id == event.order), None)
            order = self._order_for(event.order, view)
        order.state = event.kind
        if event.kind == "filled":
            order.filled += self._units(event.quantity)
            if order.quantity is not None and order.filled < order.quantity:
                order.state = "partially_filled"
        return order

    def _order_for(self, order_id: str, view: OrderView | None) -> Order:
        order = self._orders.get(order_id)
        if order is None:
            if view is None:
                order = Order(order_id, "", "", None, None, None, "GTC", "")
            else:
                order = Order(
                    order_id,
                    view.side,
                    view.type,
                    self._units(view.quantity),
                    self._price(view.limit),
                    self._price(view.stop),
                    view.tif,
                    view.reason,
                    view.reduce_only,
                    view.leg,
                )
            self._orders[order_id] = order
        return order

    def _units(self, lots: int) -> float:
        return lots * self.instrument.lot_e8 / E8

    def _price(self, ticks: int | None) -> float | None:
        return None if ticks is None else ticks * self.instrument.tick_e8 / E8

    # Behind the author's methods.

    def live_orders(self) -> Orders:
        if not self._orders:
            return Orders()
        return Orders(order for order in self._orders.values() if order.is_working)

    def quantity(self, percent: object, value: object) -> float:
        bar = self.moment.bar
        if bar is None:
            raise NoBar("NO_BAR: a size needs a price, so sizes are known from the first on_bar on")
        return size_of(percent, value, self.moment.account[1], bar.close_ticks, self.instrument)

    def indicator(self, indicator: AnyIndicator) -> AnyIndicator:
        """Fed on each bar from now on, once, however often it is declared."""
        if any(known is indicator for known in self.indicators):
            return indicator
        self.updates.append(indicator.update)
        self.indicators.append(indicator)
        return indicator

    def ta(
        self, function: Callable[..., Any], columns: tuple[str, ...], lookback: int, kwargs: Mapping[str, Any]
    ) -> TaWindow:
        # Two frames up: past Strategy.ta stands the author's line.
        line = sys._getframe(2).f_lineno
        window = TaWindow(function, columns, lookback, kwargs, self.memory, line)
        self.windows.append(window)
        return window

    def history(self, n: int) -> pd.DataFrame:
        return self.memory.frame(n)

    def log(self, text: str) -> None:
        """Lines beyond a bar's share are dropped: chatter must not cost the run its reply."""
        line = _plain(text).encode()[:MAX_LOG_BYTES]
        if len(self.logs) < MAX_LOGS and sum(map(len, self.logs)) + len(line) <= _MAX_LOGGED:
            self.logs.append(line.decode(errors="ignore"))

    def order(
        self,
        side: str,
        quantity: object,
        limit: object,
        stop: object,
        tif: str,
        expires: datetime | None,
        reduce_only: bool,
        stop_loss: object,
        take_profit: object,
        reason: str,
    ) -> Order:
        """Record the intent. Values that are no numbers are kept so that the kernel denies them on record."""
        number = self._next_number()
        kind = _TYPES[limit is not None, stop is not None]
        limit_text, stop_text = price_text(limit), price_text(stop)
        intent = Intent(
            number,
            "order",
            side,
            wire_text(quantity),
            limit_text,
            stop_text,
            kind,
            _plain(tif)[:_MAX_WORD],
            _ns(expires),
            bool(reduce_only),
            price_text(stop_loss),
            price_text(take_profit),
            _plain(reason)[:_MAX_REASON],
        )
        order = Order(
            f"{self.moment.sequence}:{number}",
            side,
            kind,
            _float(quantity),
            _float(limit),
            _float(stop),
            intent.tif,
            intent.reason,
            intent.reduce_only,
        )
        if self.stopping:
            self.log(f"order in on_stop ignored: {side} {quantity}")
            order.state = "ignored"
            return order
        self.intents.append(intent)
        self._orders[order.id] = order
        return order

    def close(self, reason: str) -> Order | None:
        lots = self.moment.position[0]
        if lots == 0:
            return None
        side = "sell" if lots > 0 else "buy"
        for order in self.live_orders():
            is_whole = order.quantity is not None and order.quantity >= abs(self.position.quantity)
            if order.type == "market" and order.side == side and is_whole:
                return order
        quantity = self.instrument.quantity_text(abs(lots))
        return self.order(side, quantity, None, None, "GTC", None, True, None, None, reason)

    def target(self, quantity: object, reason: str) -> Order | None:
        wanted = decimal_of(quantity)
        if wanted is None:
            return self.order("buy", None, None, None, "GTC", None, False, None, None, reason)
        held = Decimal(self.moment.position[0]) * self.instrument.lot_e8 / E8
        for order in self.live_orders():
            if order.type == "market":
                left = decimal_of((order.quantity or 0.0) - order.filled) or Decimal(0)
                held += left if order.side == "buy" else -left
        difference = wanted - held
        if difference == 0:
            return None
        side = "buy" if difference > 0 else "sell"
        return self.order(side, abs(difference), None, None, "GTC", None, False, None, None, reason)

    def cancel(self, order: Order) -> None:
        if not order.is_working or self.stopping:
            return
        number = self._next_number()
        self.intents.append(Intent(number, "cancel", cancel=order.id))
        order.state = "cancelled"

    def _next_number(self) -> int:
        if self.moment.bar is None:
            raise NoBar("NO_BAR: orders are possible from the first on_bar on")
        return len(self.intents)


def _ns(time: datetime | None) -> int | None:
    """Nanoseconds since 1970, at the ends of 64 bits for years beyond them. Naive times count as UTC."""
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise TypeError(f"expires is a datetime, not {type(time).__name__}")
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    found = (time - _EPOCH) // timedelta(microseconds=1) * 1000
    return max(-_MOST_NS, min(found, _MOST_NS))


def _plain(text: object) -> str:
    """Text that can cross to the kernel: UTF-8 without NUL."""
    return str(text).encode(errors="replace").decode().replace("\0", "?")


def _float(value: object) -> float | None:
    if value is None:
        return None
    if type(value) is int:
        return float(value)
    number = decimal_of(value)
    return None if number is None else float(number)
