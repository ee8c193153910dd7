"""The class that a strategy file subclasses. Everything is synchronous; there is one call per closed bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.strategy.indicators import Indicator
from inalpha.strategy.numbers import Number
from inalpha.strategy.state import Account, Clock, Event, Order, Orders, Position

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from inalpha.strategy.session import Session
    from inalpha.strategy.ta_window import TaWindow

AnyIndicator = TypeVar("AnyIndicator", bound=Indicator)


class Strategy:
    """One subclass per file. Annotated class attributes with defaults are its parameters.

    class Cross(Strategy):
        fast: int = 10
        slow: int = 30

        def on_start(self):
            self.quick = self.indicator(SMA(self.fast))
            self.calm = self.indicator(SMA(self.slow))

        def on_bar(self, bar):
            if self.calm.value is None or self.orders.entries:
                return
            if self.quick.value > self.calm.value and self.position.is_flat:
                self.buy(self.quantity(percent=5), reason="cross up")
            elif self.quick.value < self.calm.value and self.position.is_long:
                self.close(reason="cross down")

    Three traps:
    1. Do nothing in `__init__` and place no orders in `on_start`: there is no bar yet (NO_BAR).
    2. Bars are closed: `bar.close` is the past, not the price of the fill.
    3. A market order fills at the next open, a limit perhaps never. Until then the position is the old
       one: test `self.orders.entries` too, or the strategy buys on every bar. (`self.orders` alone holds
       the legs of a bracket as well: with it a position with a stop loss never exits by its rule.)
    """

    _session: Session

    # The run's own book and clock at this bar; read-only.
    position: Position
    account: Account
    clock: Clock

    # Callbacks: override what you need.

    def on_start(self) -> None:
        """Once, before any bar: declare indicators here."""

    def on_bar(self, bar: Bar) -> None:
        """Once per closed bar after warm-up."""
        raise NotImplementedError("a strategy needs on_bar")

    def on_order_event(self, event: Event) -> None:
        """Before on_bar, once per event, in sequence."""

    def on_stop(self) -> None:
        """Once at the end; orders placed here are ignored and logged."""

    # Actions.

    def buy(
        self,
        quantity: Number,
        *,
        limit: Number | None = None,
        stop: Number | None = None,
        tif: str = "GTC",
        expires: datetime | None = None,
        reduce_only: bool = False,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        reason: str = "",
    ) -> Order:
        """Ask to buy. limit and stop choose the type; expires only with tif="GTD"."""
        return self._session.order(
            "buy", quantity, limit, stop, tif, expires, reduce_only, stop_loss, take_profit, reason
        )

    def sell(
        self,
        quantity: Number,
        *,
        limit: Number | None = None,
        stop: Number | None = None,
        tif: str = "GTC",
        expires: datetime | None = None,
        reduce_only: bool = False,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        reason: str = "",
    ) -> Order:
        """Ask to sell; beyond the position only where the account may be short."""
        return self._session.order(
            "sell", quantity, limit, stop, tif, expires, reduce_only, stop_loss, take_profit, reason
        )

    def close(self, reason: str = "") -> Order | None:
        """Leave the whole position at the market. While such an order works it is returned; flat: None."""
        return self._session.close(reason)

    def target(self, quantity: Number, reason: str = "") -> Order | None:
        """Trade the difference to position plus working market orders; None when there is none."""
        return self._session.target(quantity, reason)

    def cancel(self, order: Order) -> None:
        """Cancel in this step; a finished order is left alone."""
        self._session.cancel(order)

    # What it sees.

    @property
    def orders(self) -> Orders:
        """Orders that work, await approval or were placed on this bar; also .entries, .exits and .legs.

        legs: stop losses and take profits of brackets; exits: other reduce_only orders; entries: the rest.
        """
        return self._session.live_orders()

    def quantity(self, *, percent: Number | None = None, value: Number | None = None) -> float:
        """How many units a share of the run's equity, or an amount of money, buys at the last close.

        self.buy(self.quantity(percent=5)) is for 5 % of equity (5, not 0.05), self.quantity(value=2000) for
        2,000 of the account's currency; rounded down to a lot, so it is 0.0 where one lot costs more. Neither
        the fee nor a gap before the fill is in it: percent=100 finds too little cash on most bars.
        """
        return self._session.quantity(percent, value)

    @property
    def params(self) -> Mapping[str, object]:
        return self._session.params

    @property
    def instrument(self) -> Instrument:
        """What is traded, read-only: symbol, tick, lot, currency, calendar. tick and lot are numbers."""
        return self._session.instrument

    @property
    def random(self) -> Random:
        """Seeded: the same draws in backtest, paper and replay."""
        return self._session.random

    @property
    def rng(self) -> np.random.Generator:
        """Seeded numpy generator."""
        return self._session.rng

    def log(self, text: object) -> None:
        """One line kept with the step. Claimed by the strategy, never trusted."""
        self._session.log(str(text))

    def history(self, n: int) -> pd.DataFrame:
        """A copy of the last n closed bars: open, high, low, close, volume, indexed by open time (UTC)."""
        return self._session.history(n)

    # Indicators; declare them in on_start.

    def indicator(self, indicator: AnyIndicator) -> AnyIndicator:
        """Register a streaming indicator: it is updated before every on_bar, and by warm-up bars."""
        return self._session.indicator(indicator)

    def ta(self, function: Callable[..., Any], *columns: str, lookback: int, **kwargs: Any) -> TaWindow:
        """A function of the `ta` package over the last `lookback` closed bars, recomputed per bar.

        self.adx = self.ta(ta.trend.adx, "high", "low", "close", lookback=210, window=14)
        value is None before `lookback` bars. The lookback is part of the result: choose at least
        15 times the window for recursive functions.
        """
        return self._session.ta(function, columns, lookback, kwargs)
