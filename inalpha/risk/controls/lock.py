"""The refusal of an entry under a lock, whichever rule has set it."""

from __future__ import annotations

from inalpha.model.bar import utc_from_ns
from inalpha.model.risk import Lock, Refusal
from inalpha.model.timeframe import SECOND_NS
from inalpha.risk.controls.base import figure


def locked(lock: Lock, now_ns: int) -> Refusal:
    """Why it was set, in the figures of its rule; where the rule has none, how long it still binds in market time."""
    text = f"{lock.rule} locks entries of {lock.scope} until {time_text(lock.until_ns)}: {lock.reason}. Exits run."
    setting = lock.setting or lock.rule
    if lock.measured is not None:
        return Refusal("LOCKED", lock.rule, lock.measured, lock.limit, lock.unit, setting, text)
    rest = figure(lock.until_ns - now_ns, SECOND_NS, "0")
    return Refusal("LOCKED", lock.rule, rest, "0", "s until the lock ends", setting, text)


def time_text(ns: int) -> str:
    """ISO-8601 UTC, to the second."""
    return utc_from_ns(ns).strftime("%Y-%m-%dT%H:%M:%SZ")
