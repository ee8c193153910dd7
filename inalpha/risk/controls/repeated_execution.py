"""P8: filled entries of one side in a rolling day; a strategy that keeps entering has lost its mind."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import refusal
from inalpha.risk.controls.order_rate import DAY_NS
from inalpha.risk.settings import RepeatedExecution


def check(order: OrderRequest, view: RunView, settings: RepeatedExecution, stage: Stage) -> Refusal | None:
    """Entries already filled on the order's side; the trip also sets the run REDUCING."""
    if stage is not Stage.BINDING:
        return None
    side = int(order.side)
    filled = sum(s == side and time > view.now_ns - DAY_NS for time, s in view.entry_fills_ns)
    if filled > settings.entries:
        text = "too many entries of one side were filled in a day"
        limit = str(settings.entries)
        return refusal("P8", "repeated_execution", "entries", str(filled), limit, "entries", text)
    return None
