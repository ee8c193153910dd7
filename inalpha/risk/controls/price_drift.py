"""P2: the market moved since the plan was made; what was approved is no longer what would be traded."""

from __future__ import annotations

from inalpha.model.money import E8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import limit_text, percent_text, refusal, scaled
from inalpha.risk.settings import PriceDrift


def check(order: OrderRequest, view: RunView, settings: PriceDrift, stage: Stage) -> Refusal | None:
    """Last close against the close on which the plan was made, in basis points. Binding stage only."""
    if stage is not Stage.BINDING or view.plan_close_ticks is None:
        return None
    distance = abs(view.bar.close_ticks - view.plan_close_ticks)
    if distance * 10_000 * E8 > scaled(settings.bps) * view.plan_close_ticks:
        limit = limit_text(settings.bps)
        measured = percent_text(distance * 100, view.plan_close_ticks, limit)
        text = "the price drifted since the plan was made"
        return refusal("PRICE_DRIFT", "P2", "price_drift.bps", measured, limit, "bps", text)
    return None
