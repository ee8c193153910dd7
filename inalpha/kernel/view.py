"""The frozen snapshot of one run that a risk control reads."""

from __future__ import annotations

from collections import deque

from inalpha.kernel.book import Book
from inalpha.kernel.costs import notional_e8
from inalpha.kernel.orders import LiveOrder
from inalpha.kernel.spec import RunSpec
from inalpha.model.bar import Bar
from inalpha.model.risk import AccountContext, ClosedTrade, FillTerms, RunClaim, RunView
from inalpha.model.timeframe import DAY_NS

CLOSES_KEPT = 101  # a hundred returns


class Activity:
    """What rate controls and triggers count: executed plans and filled entries of a rolling day, this bar's orders,
    trades lost in a row (loss_bar: the bar that closed the last of them) and orders refused in a row (worst_row: the
    longest row of the present step).
    """

    __slots__ = (
        "bar_requests",
        "closed_ns",
        "closes",
        "entry_fills",
        "executed",
        "loss_bar",
        "losses",
        "orders_this_bar",
        "refusals",
        "worst_row",
    )

    def __init__(self) -> None:
        self.closes: deque[int] = deque(maxlen=CLOSES_KEPT)
        self.executed: deque[int] = deque()
        self.entry_fills: deque[tuple[int, int]] = deque()
        self.orders_this_bar = 0
        self.bar_requests: list[tuple[int, int]] = []
        self.losses = 0
        self.loss_bar = 0
        self.refusals = 0
        self.worst_row = 0
        self.closed_ns = 0

    def refused(self) -> None:
        """One order more of the row that is refused; what an order that passes afterwards ends is remembered."""
        self.refusals += 1
        self.worst_row = max(self.worst_row, self.refusals)

    def trade_closed(self, trade: ClosedTrade, bar: int) -> None:
        """A trade that neither won nor lost ends a row of losses too."""
        self.closed_ns = trade.closed_ns
        if trade.profit_e8 < 0:
            self.losses, self.loss_bar = self.losses + 1, bar
        else:
            self.losses = 0

    def new_bar(self) -> None:
        if self.orders_this_bar or self.bar_requests:
            self.orders_this_bar = 0
            self.bar_requests = []

    def order_executed(self, now_ns: int) -> None:
        self.executed.append(now_ns)
        self.orders_this_bar += 1

    def forget_before(self, now_ns: int) -> None:
        """Drop what a rolling day no longer holds."""
        oldest = now_ns - DAY_NS
        while self.executed and self.executed[0] < oldest:
            self.executed.popleft()
        while self.entry_fills and self.entry_fills[0][0] < oldest:
            self.entry_fills.popleft()


def make_view(
    spec: RunSpec,
    book: Book,
    activity: Activity,
    orders: tuple[LiveOrder, ...],
    bar: Bar,
    mark_ticks: int,
    now_ns: int,
    lag_ns: int,
    plan_close_ticks: int | None,
    context: AccountContext,
    fill: FillTerms | None = None,
) -> RunView:
    """mark_ticks: the last close, at which the position is valued. bar: the last bar, or the filling one."""
    activity.forget_before(now_ns)
    return RunView(
        run=spec.run,
        symbol=spec.symbol,
        timeframe_ns=spec.timeframe_ns,
        instrument=spec.instrument,
        allocation_e8=spec.opening_cash_e8,
        own_cash_flow_e8=book.cash_e8 - spec.opening_cash_e8,
        position_lots=book.lots,
        position_value_e8=book.value_e8(mark_ticks),
        bar=bar,
        closes_ticks=tuple(activity.closes),
        now_ns=now_ns,
        lag_ns=lag_ns,
        working=tuple(order.projection(mark_ticks) for order in orders),
        recent_orders_ns=tuple(activity.executed),
        orders_this_bar=activity.orders_this_bar,
        entry_fills_ns=tuple(activity.entry_fills),
        bar_requests=tuple(activity.bar_requests),
        plan_close_ticks=plan_close_ticks,
        fee_bps_e8=spec.fee.bps_e8,
        account=context,
        fill=fill,
        max_lag_ns=spec.lag_limit_ns,
        short_proceeds_e8=max(0, -book.cost_e8),
        losses=activity.losses,
        bars_since_loss=bar.sequence - activity.loss_bar,
        refusals=activity.worst_row,
        closed_ns=activity.closed_ns,
        timeframe=spec.timeframe,
        venue=spec.venue,
        candidate=spec.strategy_sha256,
    )


def make_claim(spec: RunSpec, book: Book, orders: tuple[LiveOrder, ...], close_ticks: int) -> RunClaim:
    """What working entries, plans and an open short of this run hold of its account."""
    buys = sells = fees = 0
    for order in orders:
        if not order.is_entry:
            continue
        seen = order.projection(close_ticks)
        notional = notional_e8(spec.instrument, seen.reference_ticks, seen.remaining_lots)
        fees += spec.fee.fee_e8(notional, spec.instrument.quantity_e8(seen.remaining_lots))
        if seen.side > 0:
            buys += notional
        else:
            sells += notional
    return RunClaim(buys, sells, fees, 2 * max(0, -book.cost_e8))
