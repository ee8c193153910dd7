"""T1: a day that lost too much takes no further entries."""

from __future__ import annotations

from inalpha.model.money import E8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import NoData, equity_e8, limit_text, percent_text, refusal, scaled
from inalpha.risk.settings import DailyLoss


def is_tripped(equity: int, day_start: int, settings: DailyLoss) -> bool:
    """A trigger trips at its limit: loss >= pct of the day's opening equity."""
    return (day_start - equity) * 100 * E8 >= scaled(settings.pct) * day_start


def check(order: OrderRequest, view: RunView, settings: DailyLoss, stage: Stage) -> Refusal | None:
    """Needs the day's opening equity; without it nothing is entered."""
    start = view.account.day_start_equity_e8
    if start is None or start <= 0:
        raise NoData("the day's opening equity is not known")
    equity = equity_e8(view)
    if not is_tripped(equity, start, settings):
        return None
    limit = limit_text(settings.pct)
    measured = percent_text(start - equity, start, limit)
    return refusal(
        "DAILY_LOSS",
        "T1",
        "daily_loss.pct",
        measured,
        limit,
        "% of the day's start",
        "daily loss",
        trips=True,
    )
