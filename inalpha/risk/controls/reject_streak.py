"""T4: a strategy that runs into the same wall again and again has lost touch with its account."""

from __future__ import annotations

from inalpha.model.risk import RunView, Trip
from inalpha.model.states import HaltState
from inalpha.risk.settings import RejectStreak


def trip(view: RunView, settings: RejectStreak) -> Trip | None:
    """An order that is taken, and a person's resume, begin the row anew."""
    if view.refusals < settings.refusals:
        return None
    unit = "orders refused in a row"
    return Trip("reject_streak", HaltState.REDUCING, str(view.refusals), str(settings.refusals), unit)
