"""P11: no short position while long_only holds; restricted symbols are not entered."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.settings import Direction


def check(order: OrderRequest, view: RunView, settings: Direction, stage: Stage) -> Refusal | None:
    """Only entries reach this control; a sell that is no reduction opens or deepens a short."""
    if settings.long_only and order.side < 0:
        return Refusal(
            "DIRECTION",
            "P11",
            "-1",
            "1",
            "side",
            "direction.long_only",
            "a sell beyond the position would go short, and long_only holds. Sell at most the position.",
        )
    if view.symbol in settings.restricted:
        return Refusal(
            "DIRECTION",
            "P11",
            view.symbol,
            None,
            "symbol",
            "direction.restricted",
            f"{view.symbol} is on the restricted list, so it is not entered.",
        )
    return None
