"""P15: a decision on an old bar is a decision on a market that is gone; so is one by a clock that is wrong.

A bar's lag is judged with the order. A feed that fell silent and clocks that disagree are conditions that last: the
daemon finds them by the functions here and blocks entries until they end.
"""

from __future__ import annotations

from inalpha.model.calendar import Calendar, trading_ns
from inalpha.model.money import E8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Block, Refusal, RunView, Stage
from inalpha.model.timeframe import SECOND_NS
from inalpha.risk.controls.base import figure, limit_text, scaled
from inalpha.risk.settings import StaleData

STALE_FEED, CLOCK_SKEW = "STALE_FEED", "CLOCK_SKEW"


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
    allowed = figure(limit, SECOND_NS)
    measured = figure(view.lag_ns, SECOND_NS, allowed)
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


def feed_block(
    settings: StaleData, calendar: Calendar, timeframe_ns: int, last_close_ns: int, now_ns: int
) -> Block | None:
    """STALE_FEED where the last close is older than max_age_bars timeframes and the grace, in trading time.

    now_ns: by the source's clock. None while the next bar is not overdue, and where the control is off.
    """
    limit_ns = scaled(settings.max_age_bars) * timeframe_ns // E8 + settings.grace_s * SECOND_NS
    if not settings.enabled:
        return None
    age_ns = trading_ns(calendar, last_close_ns, now_ns, timeframe_ns, limit_ns)
    if age_ns <= limit_ns:
        return None
    limit = figure(limit_ns, SECOND_NS)
    measured = figure(age_ns, SECOND_NS, limit)
    text = (
        f"the last close is more than {limit} s of trading time old: {limit_text(settings.max_age_bars)} bars and"
        f" {settings.grace_s} s (controls.stale_data.max_age_bars)"
    )
    unit = "s of trading time since the last close"
    return Block(STALE_FEED, "P15", measured, limit, unit, "stale_data.max_age_bars", text)


def skew_block(settings: StaleData, skew_ns: int) -> Block | None:
    """CLOCK_SKEW where the source's clock is ahead of the one that dates its bars by more than max_skew_s."""
    limit_ns = scaled(settings.max_skew_s) * SECOND_NS // E8
    if not settings.enabled or skew_ns <= limit_ns:
        return None
    limit = limit_text(settings.max_skew_s)
    measured = figure(skew_ns, SECOND_NS, limit)
    text = (
        f"the source dates a bar {measured} s ahead of our clock, the limit is {limit} s"
        " (controls.stale_data.max_skew_s)"
    )
    return Block(CLOCK_SKEW, "P15", measured, limit, "s", "stale_data.max_skew_s", text)
