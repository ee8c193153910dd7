"""Lock rules: what closed badly, or fell too far, is not entered again for a while. Exits always run.

Pure functions over what an account has seen; RISK.md 2 is the contract. Every time is market time in nanoseconds.
A rule that trips under a lock of its own on the same scope makes no second one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from inalpha.model.duration import duration_s
from inalpha.model.money import E8
from inalpha.model.risk import ClosedTrade, Lock
from inalpha.model.timeframe import SECOND_NS
from inalpha.risk.controls.base import percent_text, scaled
from inalpha.risk.rules import Rules
from inalpha.risk.settings import CooldownLock, LowProfitLock, MaxDrawdownLock, StoplossGuardLock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SymbolTrade:
    """A closed trade of one of the account's runs, or a position of it that loses now."""

    symbol: str
    trade: ClosedTrade


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run's mark shows of its account. Amounts in 1e-8 money.

    closed: trades that this mark closed. loser: its run's position, where that loses. Since a time, up to now:
    trades of every run with their losing positions, and the highest equity.
    """

    account: str
    symbol: str
    now_ns: int
    equity_e8: int
    closed: Sequence[ClosedTrade]
    loser: ClosedTrade | None
    trades_since: Callable[[int], Sequence[SymbolTrade]]
    peak_since_e8: Callable[[int], int]


def fresh_locks(rules: Rules, seen: Seen, standing: Iterable[Lock]) -> list[Lock]:
    """The locks that this mark sets, beside those that stand already."""
    held = list(standing)
    found: list[Lock] = []
    for name, rule in _RULES.items():
        settings = getattr(rules.controls, name)
        if not settings.enabled:
            continue
        for lock in rule(settings, seen, rules.zone):
            if lock.until_ns > seen.now_ns and not any(_covers(other, lock) for other in held):
                held.append(lock)
                found.append(lock)
    return found


def _covers(old: Lock, new: Lock) -> bool:
    is_same = (old.rule, old.scope, old.symbol, old.side) == (new.rule, new.scope, new.symbol, new.side)
    return is_same and old.from_ns <= new.from_ns < old.until_ns


def lookback_ns(settings: MaxDrawdownLock | StoplossGuardLock | LowProfitLock) -> int:
    """Length of a rule's window."""
    return (duration_s(settings.lookback) or 0) * SECOND_NS


def _until_ns(stop_for: str, unlock_at: str, event_ns: int, zone: str) -> int:
    """The end of a lock: a time after the event, or the next HH:MM of the zone."""
    if not unlock_at:
        return event_ns + (duration_s(stop_for) or 0) * SECOND_NS
    hour, minute = (int(part) for part in unlock_at.split(":"))
    local = (_EPOCH + timedelta(microseconds=event_ns // 1000)).astimezone(ZoneInfo(zone))
    end = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if end <= local:
        end = (local + timedelta(days=1)).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return int((end.astimezone(UTC) - _EPOCH).total_seconds()) * SECOND_NS


def _max_drawdown(settings: MaxDrawdownLock, seen: Seen, zone: str) -> list[Lock]:
    peak = seen.peak_since_e8(seen.now_ns - lookback_ns(settings))
    if peak <= 0 or (peak - seen.equity_e8) * 100 * E8 < scaled(settings.pct) * peak:
        return []
    until = _until_ns(settings.stop_for, settings.unlock_at, seen.now_ns, zone)
    measured = percent_text(peak - seen.equity_e8, peak)
    return [
        Lock(
            "MaxDrawdown", seen.account, f"equity is {measured} % under its peak of {settings.lookback}",
            seen.now_ns, until, "", 0, measured, str(settings.pct), "% under the peak", "MaxDrawdown.pct",
        )
    ]  # fmt: skip


def _stoploss_guard(settings: StoplossGuardLock, seen: Seen, zone: str) -> list[Lock]:
    if not any(trade.is_stop for trade in (*seen.closed, seen.loser) if trade is not None):
        return []
    since = seen.now_ns - lookback_ns(settings)
    is_whole = settings.per == "account"
    stops = [
        item.trade.closed_ns
        for item in seen.trades_since(since)
        if item.trade.is_stop and (is_whole or item.symbol == seen.symbol)
    ]
    if len(stops) < settings.stops:
        return []
    event = max(stops)
    until = _until_ns(settings.stop_for, settings.unlock_at, event, zone)
    scope, symbol = (seen.account, "") if is_whole else (seen.symbol, seen.symbol)
    count = str(len(stops))
    return [
        Lock(
            "StoplossGuard", scope, f"{count} stops within {settings.lookback}", event, until, symbol, 0,
            count, str(settings.stops), f"stops in {settings.lookback}", "StoplossGuard.stops",
        )
    ]  # fmt: skip


def _cooldown(settings: CooldownLock, seen: Seen, zone: str) -> list[Lock]:
    found = []
    for trade in seen.closed:
        until = _until_ns(settings.stop_for, settings.unlock_at, trade.closed_ns, zone)
        found.append(
            Lock(
                "Cooldown", seen.symbol, "a position was closed", trade.closed_ns, until, seen.symbol, 0,
                None, settings.stop_for or settings.unlock_at, "since it was closed", "Cooldown.stop_for",
            )
        )  # fmt: skip
    return found


def _low_profit(settings: LowProfitLock, seen: Seen, zone: str) -> list[Lock]:
    if not seen.closed and seen.loser is None:
        return []
    found = []
    recent = seen.trades_since(seen.now_ns - lookback_ns(settings))
    for side in (1, -1):
        trades = [item for item in recent if item.symbol == seen.symbol and item.trade.side == side]
        if len(trades) < settings.trades:
            continue
        sum_e8 = sum(item.trade.profit_e8 * 100 * E8 // max(1, item.trade.outlay_e8) for item in trades)
        if sum_e8 > -scaled(settings.pct):
            continue
        event = max(item.trade.closed_ns for item in trades)
        until = _until_ns(settings.stop_for, settings.unlock_at, event, zone)
        measured = percent_text(sum_e8, 100 * E8)
        reason = f"{len(trades)} trades within {settings.lookback} lost {measured} % in sum"
        found.append(
            Lock(
                "LowProfit", seen.symbol, reason, event, until, seen.symbol, side,
                measured, str(settings.pct), "% lost in sum", "LowProfit.pct",
            )
        )  # fmt: skip
    return found


_RULES: dict[str, Callable[..., list[Lock]]] = {
    "MaxDrawdown": _max_drawdown,
    "StoplossGuard": _stoploss_guard,
    "Cooldown": _cooldown,
    "LowProfit": _low_profit,
}
