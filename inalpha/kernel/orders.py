"""An order while it works: the one mutable record of the exchange, its state moved by the table alone."""

from __future__ import annotations

from inalpha.model.order import OrderRequest, OrderState, OrderType, next_order_state
from inalpha.model.risk import WorkingOrder
from inalpha.model.step import OrderView

STOP_LOSS = "stop_loss"
TAKE_PROFIT = "take_profit"


class LiveOrder:
    """A pending or working order. type changes once: a triggered stop-limit matches as a limit.

    from_sequence: the first bar that may match it (M12, M14). last_fill: the bar that filled it last (M3).
    """

    __slots__ = (
        "accepted_ns",
        "child",
        "ends_ns",
        "filled_lots",
        "from_sequence",
        "id",
        "last_fill",
        "number",
        "one_bar",
        "parent",
        "plan_close_ticks",
        "remaining_lots",
        "request",
        "state",
        "type",
    )

    def __init__(
        self,
        request: OrderRequest,
        number: int,
        plan_close_ticks: int,
        *,
        parent: LiveOrder | None = None,
        child: str | None = None,
    ) -> None:
        self.request = request
        self.number = number
        self.id = request.intent if child is None else f"{request.intent}:{child}"
        self.parent = parent
        self.child = child
        self.type: OrderType = request.type
        self.state = OrderState.INITIALIZED
        self.remaining_lots = request.quantity_lots
        self.filled_lots = 0
        self.accepted_ns = 0
        self.ends_ns: int | None = None
        self.one_bar = False
        self.from_sequence = 0
        self.last_fill = -1
        self.plan_close_ticks = plan_close_ticks

    def move(self, state: OrderState) -> None:
        self.state = next_order_state(self.state, state)

    def accept(self, accepted_ns: int) -> None:
        self.move(OrderState.SUBMITTED)
        self.move(OrderState.ACCEPTED)
        self.accepted_ns = accepted_ns

    @property
    def is_entry(self) -> bool:
        """The tag alone answers: what only reduces was judged when the order was made (model/reduction.py)."""
        return not self.request.reduce_only

    def view(self) -> OrderView:
        """The order as its strategy sees it."""
        request = self.request
        return OrderView(
            self.id,
            request.side.text,
            request.type.value,
            self.filled_lots + self.remaining_lots,
            self.filled_lots,
            request.limit_ticks,
            request.stop_ticks,
            request.time_in_force.value,
            self.state.value if self.state is not OrderState.INITIALIZED else "pending",
            request.reason,
            request.reduce_only,
            self.child or "",
        )

    def projection(self, close_ticks: int) -> WorkingOrder:
        """The order as risk projections count it: at its limit, else stop, else the last close."""
        request = self.request
        reference = request.limit_ticks or request.stop_ticks or close_ticks
        return WorkingOrder(self.id, int(request.side), self.remaining_lots, request.reduce_only, reference)


def by_number(order: LiveOrder) -> int:
    return order.number
