"""What a candidate's evidence says beside pass and fail: figures that warn a reader and never block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inalpha.model.money import E8, text_from_e8
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult
from inalpha.research.deflated import Deflated, deflated_sharpe, shape
from inalpha.research.metrics import (
    RISK_FREE_RATE,
    buy_and_hold,
    compute_metrics,
    equity_points,
    periods_per_year,
)
from inalpha.research.out_of_sample import Part, split
from inalpha.research.resample import Intervals, intervals
from inalpha.research.sensitivity import Sensitivity, sensitivity
from inalpha.research.trial import Trial

CURVE_POINTS = 120
LIKELY = 0.95


@dataclass(frozen=True, slots=True)
class Tried:
    """Another candidate of the same lineage, as its evidence recorded it. sharpe: per return."""

    candidate: str
    symbol: str
    timeframe: str
    sharpe: float

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tried:
        return cls(str(data["candidate"]), str(data["symbol"]), str(data["timeframe"]), float(data["sharpe"]))


@dataclass(frozen=True, slots=True)
class Figures:
    """evidence: members for the record. told: (check, sentence) in order. warnings: for the reader."""

    evidence: dict[str, Any]
    told: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def figures(result: BacktestResult, trial: Trial, tried: Sequence[Tried]) -> Figures:
    """Backtest beside buy and hold, the last 30 %, intervals, deflation where several were tried, sensitivity.

    tried: the other candidates of the same submitter; those on this symbol and timeframe make the lineage.
    """
    metrics = {metric.name: metric.value for metric in compute_metrics(result)}
    periods = periods_per_year(result)
    returns = series.simple_returns(equity_points(result))
    parts, found, ranges = split(result), shape(returns), intervals(returns, periods)
    near = sensitivity(trial, result.bars)
    alike = [t for t in tried if (t.symbol, t.timeframe) == (result.spec.symbol, result.spec.timeframe)]
    deflated = deflated_sharpe(found, [found.sharpe, *(t.sharpe for t in alike)]) if found else None
    told = [
        ("backtest", _beside(metrics)),
        ("out of sample", "; ".join(parts.warnings) or _after(parts.before, parts.after)),
        ("bootstrap", _ranges(ranges)),
    ]
    warnings = [*parts.warnings]
    if ranges.sharpe and metrics["sharpe"] is not None and ranges.sharpe[0] <= 0 < float(metrics["sharpe"]):
        warnings.append("the Sharpe ratio's interval holds zero: it may be chance")
    if deflated is not None:
        told.append(("deflated sharpe", _deflated(deflated)))
        if deflated.probability is None or deflated.probability < LIKELY:
            warnings.append(
                f"{deflated.trials} of this lineage were tried: the best of so many may be chance"
            )
    told.append(("sensitivity", "; ".join(near.warnings) or _steady(near)))
    evidence: dict[str, Any] = {
        "metrics": metrics,
        "periods_per_year": periods,
        "risk_free_rate": RISK_FREE_RATE,
        "final_equity": text_from_e8(result.final_equity_e8),
        "out_of_sample": parts.as_dict(),
        "bootstrap": {**asdict(ranges), "method": ranges.method},
        "shape": asdict(found) if found else None,
        "sensitivity": near.as_dict(),
        "curve": curve(result),
    }
    if deflated is not None:
        evidence["deflated_sharpe"] = {**asdict(deflated), "lineage": [t.candidate for t in alike]}
    return Figures(evidence, tuple(told), (*warnings, *near.warnings))


def curve(result: BacktestResult) -> dict[str, list[float]]:
    """Equity and buy-and-hold at evenly spaced bars, the last one included; money."""
    count = len(result.equity_e8)
    points = min(CURVE_POINTS, count)
    picked = [(index + 1) * count // points - 1 for index in range(points)]
    held = buy_and_hold(result)
    return {
        "equity": [result.equity_e8[index] / E8 for index in picked],
        "buy_and_hold": [held[index] / E8 for index in picked],
    }


def percent(value: float | int | None) -> str:
    return "undefined" if value is None else f"{value:+.2%}"


def _beside(metrics: Mapping[str, float | int | None]) -> str:
    return (
        f"{percent(metrics['total_return'])} after fees, {percent(metrics['buy_and_hold'])} by buy and hold,"
        f" {metrics['trades']} trades"
    )


def _after(before: Part, after: Part) -> str:
    ratios = ["undefined" if part.sharpe is None else f"{part.sharpe:.2f}" for part in (before, after)]
    return (
        f"last {after.bars} bars: {percent(after.total_return)}, {percent(after.buy_and_hold)} by buy and hold,"
        f" {after.trades} trades, Sharpe {ratios[1]} after {ratios[0]}"
    )


def _ranges(found: Intervals) -> str:
    if found.total_return is None:
        return "no interval: too few returns"
    ratio = "undefined" if found.sharpe is None else f"{found.sharpe[0]:.2f} to {found.sharpe[1]:.2f}"
    low, high = found.total_return
    return (
        f"{found.confidence:.0%} of resamples: Sharpe {ratio}, total return {percent(low)} to {percent(high)}"
        f" (blocks of {found.block} returns)"
    )


def _steady(found: Sensitivity) -> str:
    if not found.neighbours:
        return "no numeric parameter to move"
    rest = f"; not moved: {', '.join(found.left_out)}" if found.left_out else ""
    return f"{len(found.neighbours)} neighbours tried, none turns it over{rest}"


def _deflated(found: Deflated) -> str:
    likely = "undefined" if found.probability is None else f"{found.probability:.1%}"
    return (
        f"{likely} likely above {found.expected_sharpe:.4f} a return, the best to expect by chance of"
        f" {found.trials} tries of this submitter on this market"
    )
