"""P8: filled entries of one side in a rolling day; a strategy that keeps entering has lost its mind."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage, Trip
from inalpha.model.states import HaltState
from inalpha.model.timeframe import DAY_NS
from inalpha.risk.controls.base import refusal
from inalpha.risk.settings import RepeatedExecution


def filled_entries(view: RunView, side: int) -> int:
    """Entries of one side that were filled in the rolling day before now."""
    return sum(s == side and time > view.now_ns - DAY_NS for time, s in view.entry_fills_ns)


def trip(view: RunView, settings: RepeatedExecution) -> Trip | None:
    """Over the limit on either side: the run may only reduce."""
    filled = max(filled_entries(view, 1), filled_entries(view, -1))
    if filled <= settings.entries:
        return None
    limit = f"more than {settings.entries}"
    unit = "entries of one side filled in a day"
    return Trip("repeated_execution", HaltState.REDUCING, str(filled), limit, unit)


def check(order: OrderRequest, view: RunView, settings: RepeatedExecution, stage: Stage) -> Refusal | None:
    """Entries already filled on the order's side; it still refuses after a person has resumed the run."""
    if stage is not Stage.BINDING:
        return None
    filled = filled_entries(view, int(order.side))
    if filled > settings.entries:
        text = "too many entries of one side were filled in a day"
        limit = str(settings.entries)
        return refusal(
            "REPEATED_EXECUTION", "P8", "repeated_execution.entries", str(filled), limit, "entries", text
        )
    return None
