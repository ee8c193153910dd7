"""The figures of a report, each with its definition. A figure without a meaning here is None."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inalpha.kernel.costs import notional_e8
from inalpha.model.money import E8
from inalpha.model.timeframe import DAY_NS
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult
from inalpha.research.trades import Trade, closed_trades

PERIODS = {"24/7": 365.0, "fx": 260.0, "weekdays": 252.0}
_LONG_PERIODS = {"3d": 365 / 3, "1w": 52.0}
RISK_FREE_RATE = 0.0


@dataclass(frozen=True, slots=True)
class Metric:
    """unit: %, money, ratio, count, days, bars or text. A percentage's value is a fraction."""

    name: str
    group: str
    value: float | int | None
    unit: str
    definition: str


def periods_per_year(result: BacktestResult) -> float:
    """365 all week, 260 for currencies, 252 else; longer bars count themselves."""
    spec = result.spec
    return _LONG_PERIODS.get(spec.timeframe) or PERIODS.get(spec.instrument.calendar, 252.0)


def equity_points(result: BacktestResult) -> list[int]:
    """Opening cash, then equity per day (per bar for bars longer than a day)."""
    opening = result.spec.opening_cash_e8
    if result.spec.timeframe in _LONG_PERIODS:
        return [opening, *result.equity_e8]
    return series.day_ends(result.times_ns, result.equity_e8, opening)


def buy_and_hold(result: BacktestResult) -> list[int]:
    """Equity per bar of buying with all cash at the first open, same fees, never selling."""
    spec = result.spec
    bars = result.bars[: len(result.equity_e8)]
    if not bars:
        return []
    first = bars[0].open_ticks
    unit = notional_e8(spec.instrument, first, 1)
    lots = spec.opening_cash_e8 // unit if unit else 0
    while lots and _cost(result, first, lots) > spec.opening_cash_e8:
        # The fee leaves less than all cash: shrink by its share, at least by one lot.
        over = _cost(result, first, lots) - spec.opening_cash_e8
        lots -= max(1, over // (2 * unit))
    cash = spec.opening_cash_e8 - (_cost(result, first, lots) if lots else 0)
    return [cash + notional_e8(spec.instrument, bar.close_ticks, lots) for bar in bars]


def _cost(result: BacktestResult, ticks: int, lots: int) -> int:
    notional = notional_e8(result.spec.instrument, ticks, lots)
    return notional + result.spec.fee.fee_e8(notional, result.spec.instrument.quantity_e8(lots))


def compute_metrics(result: BacktestResult) -> list[Metric]:
    """Every metric, in report order."""
    trades = closed_trades(result.spec, result.fills, result.bars)
    return [*_from_returns(result), *_own(result), *_from_trades(result, trades), *_operation(result)]


def _from_returns(result: BacktestResult) -> list[Metric]:
    points = equity_points(result)
    periods = periods_per_year(result)
    values = series.simple_returns(points)
    opening, final = points[0], points[-1]
    year = f"{periods:g} periods a year"
    depth = min(series.drawdowns(points))

    def metric(name: str, value: float | None, unit: str, definition: str) -> Metric:
        return Metric(name, "returns", value, unit, definition)

    return [
        metric(
            "total_return", final / opening - 1 if opening else None, "%", "final equity / cash at start - 1"
        ),
        metric("volatility", series.volatility(values, periods), "%", f"deviation of returns, {year}"),
        metric("sharpe", series.sharpe(values, periods), "ratio", f"mean / deviation, {year}, rate 0"),
        metric("sortino", series.sortino(values, periods), "ratio", f"mean / downside deviation, {year}"),
        metric("max_drawdown", depth if len(points) > 1 else None, "%", "deepest fall from a high"),
        metric("var_95", series.value_at_risk(values), "%", "5 % quantile of a fitted normal distribution"),
        metric(
            "cvar_95",
            series.conditional_value_at_risk(values),
            "%",
            "expected return beyond var_95, same distribution",
        ),
        metric("ulcer_index", series.ulcer_index(points), "%", "root mean square drawdown"),
        metric("best_day", max(values, default=None), "%", "highest return of a day"),
        metric("worst_day", min(values, default=None), "%", "lowest return of a day"),
    ]


def _own(result: BacktestResult) -> list[Metric]:
    opening, final = result.spec.opening_cash_e8, result.final_equity_e8
    bars = len(result.equity_e8)
    elapsed = bars and (result.times_ns[-1] - result.bars[0].open_time_ns) / DAY_NS
    growth = series.cagr(opening, final, elapsed)
    depth = min(series.drawdowns([opening, *result.equity_e8]))
    points = equity_points(result)
    held = buy_and_hold(result)
    exposed = sum(lots != 0 for lots in result.position_lots)
    return [
        Metric("cagr", "own", growth, "%", "growth per year on elapsed days / 365"),
        Metric(
            "calmar", "own", growth / -depth if growth is not None and depth < 0 else None, "ratio",
            "cagr / max drawdown per bar",
        ),
        Metric(
            "drawdown_duration", "own", series.longest_drawdown(points) if bars else None, "days",
            "longest time below a high, unfinished ones too",
        ),
        Metric("exposure_time", "own", exposed / bars if bars else None, "%", "bars with a position / bars"),
        Metric(
            "buy_and_hold", "own", held[-1] / opening - 1 if held and opening else None, "%",
            "all cash at the first open, same fee model, never sold",
        ),
    ]  # fmt: skip


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def _from_trades(result: BacktestResult, trades: Sequence[Trade]) -> list[Metric]:
    profits = [trade.profit_e8 / E8 for trade in trades]
    wins = [profit for profit in profits if profit > 0]
    losses = [-profit for profit in profits if profit < 0]
    average, spread = series.mean(profits), series.deviation(profits)
    win, loss = series.mean(wins), series.mean(losses)
    count = len(trades)
    traded = sum(notional_e8(result.spec.instrument, f.price_ticks, f.quantity_lots) for f in result.fills)
    fees = sum(fill.fee_e8 for fill in result.fills) / E8
    sqn = math.sqrt(count) * average / spread if average is not None and spread else None

    def metric(name: str, value: float | None, unit: str, definition: str) -> Metric:
        return Metric(name, "trades", value, unit, definition)

    return [
        metric("trades", count, "count", "closed trades, flat to flat"),
        metric("win_rate", _ratio(len(wins), count), "%", "trades with a profit / trades"),
        metric("profit_factor", _ratio(math.fsum(wins), math.fsum(losses)), "ratio", "profits / losses"),
        metric("payoff", _ratio(win, loss) if win and loss else None, "ratio", "mean win / mean loss"),
        metric("expectancy", average, "money", "mean net profit of a trade"),
        metric("best_trade", max(profits, default=None), "money", "highest net profit"),
        metric("worst_trade", min(profits, default=None), "money", "lowest net profit"),
        metric("sqn", sqn, "ratio", "sqrt(trades) * mean / deviation of net profits"),
        metric("average_bars", series.mean([t.bars for t in trades]), "bars", "mean holding time"),
        metric("longest_win_streak", _streak(profits, 1), "count", "most winning trades in a row"),
        metric("longest_loss_streak", _streak(profits, -1), "count", "most losing trades in a row"),
        metric("average_mae", series.mean([t.mae_e8 / E8 for t in trades]), "money", "mean worst open loss"),
        metric("average_mfe", series.mean([t.mfe_e8 / E8 for t in trades]), "money", "mean best open profit"),
        metric("fees", fees, "money", "fees of all fills"),
        metric(
            "turnover", _ratio(traded, result.spec.opening_cash_e8), "ratio", "traded value / cash at start"
        ),
    ]


def _streak(profits: Sequence[float], sign: int) -> int | None:
    longest = current = 0
    for profit in profits:
        current = current + 1 if profit * sign > 0 else 0
        longest = max(longest, current)
    return longest if profits else None


def _operation(result: BacktestResult) -> list[Metric]:
    warned = sum(bool(fill.warning) for fill in result.fills)
    return [
        Metric("bars", "operation", len(result.equity_e8), "count", "bars consumed"),
        Metric("bars_missing", "operation", result.missing_bars, "count", "bars the calendar expected"),
        Metric("fills", "operation", len(result.fills), "count", "executions"),
        Metric("denied", "operation", sum(result.denials.values()), "count", "intents without an order"),
        Metric("participation_warnings", "operation", warned, "count", "fills above 2.5 % of volume"),
    ]
