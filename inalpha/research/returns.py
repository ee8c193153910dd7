"""Statistics of a return series. Undefined is None, never zero; fractions, not percent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist

from inalpha.model.timeframe import DAY_NS


def day_ends(times_ns: Sequence[int], values: Sequence[int], opening: int) -> list[int]:
    """The opening value, then the value at each UTC day's last bar. A bar closing at 00:00 ends its day."""
    kept = [opening]
    for index, now in enumerate(times_ns):
        is_last = index + 1 == len(times_ns)
        if is_last or (times_ns[index + 1] - 1) // DAY_NS != (now - 1) // DAY_NS:
            kept.append(values[index])
    return kept


def simple_returns(values: Sequence[int]) -> list[float]:
    return [after / before - 1 for before, after in pairwise(values) if before > 0]


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation (ddof 1); None below two values."""
    average = mean(values)
    if average is None or len(values) < 2:
        return None
    if min(values) == max(values):
        # Their mean is rounded: equal values would seem to deviate from it by a last digit.
        return 0.0
    return math.sqrt(math.fsum((value - average) ** 2 for value in values) / (len(values) - 1))


def volatility(returns: Sequence[float], periods: float) -> float | None:
    spread = deviation(returns)
    return None if spread is None else spread * math.sqrt(periods)


def sharpe(returns: Sequence[float], periods: float) -> float | None:
    """Annualised Sharpe ratio, risk-free rate 0. Source: Sharpe 1994."""
    average, spread = mean(returns), deviation(returns)
    return average / spread * math.sqrt(periods) if average is not None and spread else None


def sortino(returns: Sequence[float], periods: float) -> float | None:
    """Annualised Sortino ratio: the deviation below zero is taken over all returns. Source: Sortino 1994."""
    average = mean(returns)
    if average is None or len(returns) < 2:
        return None
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in returns) / len(returns))
    return average / downside * math.sqrt(periods) if downside else None


def drawdowns(values: Sequence[int]) -> list[float]:
    """Fraction below the highest value so far, zero or less."""
    high = 0
    result = []
    for value in values:
        high = max(high, value)
        result.append(value / high - 1 if high > 0 else 0.0)
    return result


def longest_drawdown(values: Sequence[int]) -> int:
    """The longest stretch of values below an earlier high, in values; an unfinished one counts."""
    high, since, longest = 0, 0, 0
    for index, value in enumerate(values):
        if value >= high:
            high, since = value, index
        longest = max(longest, index - since)
    return longest


def ulcer_index(values: Sequence[int]) -> float | None:
    """Root mean square drawdown (n - 1). Source: Martin and McCann 1989."""
    depths = drawdowns(values)
    count = len(values) - 1
    return math.sqrt(math.fsum(depth**2 for depth in depths) / (count - 1)) if count > 1 else None


def value_at_risk(returns: Sequence[float], confidence: float = 0.95) -> float | None:
    """The return that a normal distribution of this mean and deviation undercuts in 5 % of days."""
    average, spread = mean(returns), deviation(returns)
    if average is None or not spread:
        return None
    return NormalDist(average, spread).inv_cdf(1 - confidence)


def conditional_value_at_risk(returns: Sequence[float], confidence: float = 0.95) -> float | None:
    """Expected return of the days beyond the value at risk, of the same normal distribution.

    quantstats averaged the observed days beyond it until 0.0.82, which mixes two estimators.
    """
    average, spread = mean(returns), deviation(returns)
    if average is None or not spread:
        return None
    normal = NormalDist()
    return average - spread * normal.pdf(normal.inv_cdf(1 - confidence)) / (1 - confidence)


def cagr(opening: int, final: int, elapsed_days: float) -> float | None:
    """Compound annual growth on elapsed days / 365."""
    if opening <= 0 or final <= 0 or elapsed_days <= 0:
        return None
    exponent = 365 / elapsed_days * math.log(final / opening)
    return math.expm1(exponent) if exponent < 700 else None
