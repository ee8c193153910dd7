"""P15: a decision on an old bar is a decision on a market that is gone."""

from __future__ import annotations

from inalpha.model.money import E8, text_from_e8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.settings import StaleData

SECOND_NS = 1_000_000_000


def max_lag_ns(settings: StaleData, timeframe_ns: int) -> int:
    """The limit in force: the file's, else the larger of 30 s and a tenth of the timeframe."""
    if settings.max_lag_s:
        return settings.max_lag_s * SECOND_NS
    return max(30 * SECOND_NS, timeframe_ns // 10)


def check(order: OrderRequest, view: RunView, settings: StaleData, stage: Stage) -> Refusal | None:
    """Lag = received_at - close_time of the deciding bar. Binding stage only."""
    if stage is not Stage.BINDING:
        return None
    limit = max_lag_ns(settings, view.timeframe_ns)
    if view.lag_ns <= limit:
        return None
    measured, allowed = (text_from_e8(ns * E8 // SECOND_NS) for ns in (view.lag_ns, limit))
    return Refusal(
        "STALE_BAR",
        "P15",
        measured,
        allowed,
        "s",
        "stale_data.max_lag_s",
        f"the bar arrived {measured} s after its close, the limit is {allowed} s. "
        "Setting: controls.stale_data.max_lag_s.",
    )
