"""Orders and run views for risk tests: a flat run of 100,000 on a price of 100.00."""

from __future__ import annotations

from dataclasses import replace

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.order import OrderRequest, OrderType, Side
from inalpha.model.risk import AccountContext, RunView

DAY = 86_400_000_000_000
NOW = 20_000 * DAY
CASH = 100_000 * E8


def make_bar(close: int = 10_000, high: int | None = None, low: int | None = None) -> Bar:
    return Bar(NOW - DAY, NOW, close, high or close, low or close, close, E8 * 1000)


def make_view(**changes: object) -> RunView:
    account = AccountContext(base_cash_e8=CASH, day_start_equity_e8=CASH, high_water_e8=CASH)
    view = RunView(
        run="run-1",
        symbol="X",
        timeframe_ns=DAY,
        instrument=Instrument("X"),
        allocation_e8=CASH,
        own_cash_flow_e8=0,
        position_lots=0,
        position_value_e8=0,
        bar=make_bar(),
        closes_ticks=(10_000,),
        now_ns=NOW,
        lag_ns=0,
        working=(),
        recent_orders_ns=(),
        orders_this_bar=0,
        entry_fills_ns=(),
        bar_requests=(),
        plan_close_ticks=10_000,
        fee_bps_e8=10 * E8,
        account=account,
    )
    return replace(view, **changes)  # type: ignore[arg-type]


def make_order(lots: int = 10, side: Side = Side.BUY, **changes: object) -> OrderRequest:
    order = OrderRequest("0:0", side, OrderType.MARKET, lots)
    return replace(order, **changes)  # type: ignore[arg-type]
