"""P9: the same side and quantity twice in one bar is a stutter, not a decision."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.settings import Duplicate


def check(order: OrderRequest, view: RunView, settings: Duplicate, stage: Stage) -> Refusal | None:
    """Against the earlier requests of this bar."""
    if (int(order.side), order.quantity_lots) not in view.bar_requests:
        return None
    return Refusal(
        "DUPLICATE",
        "P9",
        "2",
        "1",
        "equal orders per bar",
        "duplicate.enabled",
        "the bar already holds an order of the same side and quantity. Test self.orders.entries first.",
    )
