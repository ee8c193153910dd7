"""P1: a limit or stop far from the last close is a typing error; a market entry that gaps is cancelled."""

from __future__ import annotations

from inalpha.model.money import E8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import limit_text, percent_text, refusal, scaled
from inalpha.risk.settings import PriceCollar


def check(order: OrderRequest, view: RunView, settings: PriceCollar, stage: Stage) -> Refusal | None:
    """Distance of limit and stop (at the fill: of the open) from the reference close, in percent."""
    reference = view.bar.close_ticks
    prices = [price for price in (order.limit_ticks, order.stop_ticks) if price is not None]
    if stage is Stage.FILL:
        reference = view.plan_close_ticks or reference
        prices = [view.fill.price_ticks] if not prices and view.fill is not None else []
    limit = scaled(settings.pct)
    for price in prices:
        distance = abs(price - reference)
        if distance * 100 * E8 > limit * reference:
            told = limit_text(settings.pct)
            measured = percent_text(distance, reference, told)
            text = "the price is too far from the last close"
            return refusal("PRICE_COLLAR", "P1", "price_collar.pct", measured, told, "% of last close", text)
    return None
