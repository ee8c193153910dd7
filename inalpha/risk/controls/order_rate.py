"""P6: orders per bar, hour and day of the run's market time."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.model.timeframe import DAY_NS, HOUR_NS
from inalpha.risk.controls.base import refusal
from inalpha.risk.settings import OrderRate


def check(order: OrderRequest, view: RunView, settings: OrderRate, stage: Stage) -> Refusal | None:
    """Counts this order; a window holds events later than now minus its length. Binding stage only."""
    if stage is not Stage.BINDING:
        return None
    now = view.now_ns
    counts = (
        ("per_bar", view.orders_this_bar + 1, settings.per_bar),
        ("per_hour", 1 + sum(time > now - HOUR_NS for time in view.recent_orders_ns), settings.per_hour),
        ("per_day", 1 + sum(time > now - DAY_NS for time in view.recent_orders_ns), settings.per_day),
    )
    for key, count, limit in counts:
        if count > limit:
            unit = "orders " + key.replace("_", " ")
            return refusal(
                "ORDER_RATE", "P6", f"order_rate.{key}", str(count), str(limit), unit, "orders come too fast"
            )
    return None
