"""T2: equity too far under its high-water mark; the account may only reduce until a person resumes it."""

from __future__ import annotations

from inalpha.model.money import E8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import NoData, equity_e8, limit_text, percent_text, refusal, scaled
from inalpha.risk.settings import Drawdown


def is_tripped(equity: int, high_water: int, settings: Drawdown) -> bool:
    """A trigger trips at its limit: drawdown >= pct of the mark."""
    return (high_water - equity) * 100 * E8 >= scaled(settings.pct) * high_water


def check(order: OrderRequest, view: RunView, settings: Drawdown, stage: Stage) -> Refusal | None:
    """Needs the mark; without it nothing is entered."""
    mark = view.account.high_water_e8
    if mark is None or mark <= 0:
        raise NoData("the high-water mark is not known")
    equity = equity_e8(view)
    if not is_tripped(equity, mark, settings):
        return None
    limit = limit_text(settings.pct)
    measured = percent_text(mark - equity, mark, limit)
    return refusal(
        "DRAWDOWN",
        "T2",
        "drawdown.pct",
        measured,
        limit,
        "% under the high-water mark",
        "drawdown",
        trips=True,
    )
