"""T3: a row of lost trades is a reason to wait, not to double."""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.settings import LossStreak


def check(order: OrderRequest, view: RunView, settings: LossStreak, stage: Stage) -> Refusal | None:
    """Locked for `bars` decisions, the one on the bar that closed the last lost trade included."""
    left = settings.bars - view.bars_since_loss
    if view.losses < settings.losses or left <= 0:
        return None
    return Refusal(
        "LOSS_STREAK",
        "T3",
        str(view.losses),
        str(settings.losses),
        "trades lost in a row",
        "loss_streak.losses",
        f"{view.losses} trades in a row were lost, it trips at {settings.losses}: entries wait for {left} more "
        f"{'bar' if left == 1 else 'bars'}. Setting: controls.loss_streak.losses.",
    )
