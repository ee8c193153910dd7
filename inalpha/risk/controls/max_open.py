"""P5: working orders and plans awaiting a person, per run."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import refusal
from inalpha.risk.settings import MaxOpen


def check(order: OrderRequest, view: RunView, settings: MaxOpen, stage: Stage) -> Refusal | None:
    """Counts the order itself."""
    others = sum(working.intent != order.intent for working in view.working)
    if others + 1 > settings.orders:
        return refusal(
            "MAX_OPEN",
            "P5",
            "max_open.orders",
            str(others + 1),
            str(settings.orders),
            "orders",
            "too many open orders",
        )
    return None
