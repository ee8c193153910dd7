"""The lock rule Cooldown for what the account cannot know yet: a trade that closed in this very step (same_close)."""

from __future__ import annotations

from inalpha.model.duration import duration_s
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Lock, Refusal, RunView, Stage
from inalpha.model.timeframe import SECOND_NS
from inalpha.risk.controls.lock import locked
from inalpha.risk.settings import CooldownLock

RULE = "Cooldown"


def check(order: OrderRequest, view: RunView, settings: CooldownLock, stage: Stage) -> Refusal | None:
    """Where the account's own lock stands, that one answers."""
    if view.closed_ns != view.now_ns or any(lock.rule == RULE for lock in view.account.locks):
        return None
    until_ns = view.now_ns + (duration_s(settings.stop_for) or 1) * SECOND_NS
    why = "a position was closed on this bar"
    return locked(Lock(RULE, view.symbol, why, view.now_ns, until_ns, view.symbol), view.now_ns)
