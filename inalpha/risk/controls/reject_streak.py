"""T4: a strategy that runs into the same wall again and again has lost touch with its account."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage, Trip
from inalpha.model.states import HaltState
from inalpha.risk.controls.base import refusal
from inalpha.risk.settings import RejectStreak


def trip(view: RunView, settings: RejectStreak) -> Trip | None:
    """An order that is taken, and a person's resume, begin the row anew."""
    if view.refusals < settings.refusals:
        return None
    unit = "orders refused in a row"
    return Trip("reject_streak", HaltState.REDUCING, str(view.refusals), str(settings.refusals), unit)


def check(order: OrderRequest, view: RunView, settings: RejectStreak, stage: Stage) -> Refusal | None:
    """The rest of the bar on which the row was reached; from then on the run may only reduce."""
    if view.refusals < settings.refusals:
        return None
    count, limit = str(view.refusals), str(settings.refusals)
    setting, unit, text = "reject_streak.refusals", "orders refused in a row", "too many refusals"
    return refusal("REJECT_STREAK", "T4", setting, count, limit, unit, text, trips=True)
