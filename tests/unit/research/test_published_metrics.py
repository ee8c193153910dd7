"""Figures against quantstats on drawn returns, and against its published formulas in numpy without it."""

from __future__ import annotations

import numpy as np
import pytest

from inalpha.research import returns as series

DAYS = 750
E8 = 10**8
# The normal distribution's 95 % point and its density there, from tables.
Z_95 = 1.6448536269514722
DENSITY_95 = 0.10313564037537128


def equity(seed: int) -> list[int]:
    """Two and a half years of daily values with drift, falls and idle days."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(3e-4, 0.012, DAYS) * (rng.random(DAYS) > 0.1)
    values = 100_000 * np.cumprod(np.concatenate(([1.0], 1 + steps)))
    return [round(value * E8) for value in values]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("periods", [252.0, 365.0])
@pytest.mark.filterwarnings("ignore")
def test_equal_to_quantstats(seed: int, periods: float) -> None:
    stats = pytest.importorskip("quantstats.stats", reason="quantstats is not installed")
    pd = pytest.importorskip("pandas")
    values = equity(seed)
    ours = series.simple_returns(values)
    days = pd.date_range("2020-01-01", periods=DAYS)
    returns = pd.Series(ours, index=days)
    whole = int(periods)
    pairs = {
        "sharpe": (series.sharpe(ours, periods), stats.sharpe(returns, periods=whole)),
        "sortino": (series.sortino(ours, periods), stats.sortino(returns, periods=whole)),
        "volatility": (series.volatility(ours, periods), stats.volatility(returns, periods=whole)),
        "max_drawdown": (min(series.drawdowns(values)), stats.max_drawdown(returns)),
        "var_95": (series.value_at_risk(ours), stats.value_at_risk(returns)),
        "cvar_95": (series.conditional_value_at_risk(ours), stats.conditional_value_at_risk(returns)),
        "best_day": (max(ours), stats.best(returns)),
        "worst_day": (min(ours), stats.worst(returns)),
        "total_return": (values[-1] / values[0] - 1, stats.comp(returns)),
    }
    for name, (mine, theirs) in pairs.items():
        assert mine == pytest.approx(float(theirs), rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_to_the_published_formulas(seed: int) -> None:
    values = equity(seed)
    points = np.array(values) / E8
    drawn = points[1:] / points[:-1] - 1
    ours = series.simple_returns(values)
    downside = np.sqrt((np.minimum(drawn, 0) ** 2).sum() / len(drawn))
    var = drawn.mean() - Z_95 * drawn.std(ddof=1)
    depths = points / np.maximum.accumulate(points) - 1
    pairs = {
        "sharpe": (series.sharpe(ours, 252), drawn.mean() / drawn.std(ddof=1) * np.sqrt(252)),
        "sortino": (series.sortino(ours, 252), drawn.mean() / downside * np.sqrt(252)),
        "volatility": (series.volatility(ours, 252), drawn.std(ddof=1) * np.sqrt(252)),
        "max_drawdown": (min(series.drawdowns(values)), depths.min()),
        "var_95": (series.value_at_risk(ours), var),
        "cvar_95": (
            series.conditional_value_at_risk(ours),
            drawn.mean() - drawn.std(ddof=1) * DENSITY_95 / 0.05,
        ),
        "ulcer_index": (series.ulcer_index(values), np.sqrt((depths[1:] ** 2).sum() / (len(drawn) - 1))),
    }
    for name, (mine, theirs) in pairs.items():
        assert mine == pytest.approx(float(theirs), rel=1e-9), name
