"""The last 30 % of the bars apart: what a strategy earned where its author looked less closely."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult
from inalpha.research.metrics import buy_and_hold, equity_points, periods_per_year
from inalpha.research.trades import closed_trades

SHARE = 0.3
FEW_TRADES = 30
# The part of the earlier Sharpe ratio below which the later one counts as decayed.
KEPT = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of bars. Returns are fractions, sharpe is None where it is undefined."""

    bars: int
    total_return: float | None
    buy_and_hold: float | None
    sharpe: float | None
    trades: int


@dataclass(frozen=True, slots=True)
class Split:
    """Before and after the cut, and what about them should make a reader pause."""

    before: Part
    after: Part
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def split(result: BacktestResult) -> Split:
    """Cut one run's own equity: a strategy's parameters are fixed, so nothing is fitted on either side."""
    count = len(result.equity_e8)
    cut = count - int(count * SHARE)
    opening = result.spec.opening_cash_e8
    equity = [opening, *result.equity_e8]
    held = [opening, *buy_and_hold(result)]
    entries = [trade.entry_bar for trade in closed_trades(result.spec, result.fills, result.bars)]
    points, periods = equity_points(result), periods_per_year(result)
    days = len(points) - int(len(points) * SHARE)

    def part(first: int, last: int, values: list[int]) -> Part:
        return Part(
            last - first,
            _growth(equity[first], equity[last]),
            _growth(held[first], held[last]) if len(held) > last else None,
            series.sharpe(series.simple_returns(values), periods),
            sum(first <= entry < last for entry in entries),
        )

    before = part(0, cut, points[:days])
    after = part(cut, count, points[days - 1 :])
    return Split(before, after, tuple(_warnings(result, before, after)))


def _growth(start: int, end: int) -> float | None:
    return end / start - 1 if start else None


def _warnings(result: BacktestResult, before: Part, after: Part) -> list[str]:
    if not result.orders:
        return ["no orders: the strategy never asked for any on these bars"]
    found = []
    trades = before.trades + after.trades
    if trades < FEW_TRADES:
        found.append(f"{trades} closed trades: below {FEW_TRADES} its figures are mostly chance")
    if before.sharpe is not None and before.sharpe > 0:
        if after.sharpe is None or after.trades == 0:
            found.append("decay: no trade was closed in the last 30 %")
        elif after.sharpe < KEPT * before.sharpe:
            found.append(f"decay: Sharpe {before.sharpe:.2f} before, {after.sharpe:.2f} in the last 30 %")
    return found
