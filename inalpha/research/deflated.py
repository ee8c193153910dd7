"""How likely a Sharpe ratio is skill, given its length, its shape and how many others were tried.

Ratios here are per return, not annualised. Source: Bailey and López de Prado, "The Sharpe Ratio Efficient
Frontier" (2012) for the probabilistic, "The Deflated Sharpe Ratio" (2014) for the deflated ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from inalpha.research import returns as series

EULER_MASCHERONI = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class Shape:
    """A return series as these formulas see it. kurtosis: 3 for a normal distribution."""

    sharpe: float
    skewness: float
    kurtosis: float
    count: int


def shape(returns: Sequence[float]) -> Shape | None:
    """Sharpe ratio (ddof 1), skewness and kurtosis (population moments); None without a deviation."""
    average, spread = series.mean(returns), series.deviation(returns)
    if average is None or not spread:
        return None
    count = len(returns)
    second, third, fourth = (
        math.fsum((value - average) ** power for value in returns) / count for power in (2, 3, 4)
    )
    return Shape(average / spread, third / second**1.5, fourth / second**2, count)


def probabilistic_sharpe(found: Shape, benchmark: float = 0.0) -> float | None:
    """Probability that the true ratio is above benchmark.

    PSR = Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurt - 1) / 4 SR^2)). None below two returns, or
    where the variance in the root is not positive.
    """
    variance = 1 - found.skewness * found.sharpe + (found.kurtosis - 1) / 4 * found.sharpe**2
    if found.count < 2 or variance <= 0:
        return None
    return NormalDist().cdf((found.sharpe - benchmark) * math.sqrt(found.count - 1) / math.sqrt(variance))


def expected_maximum(variance: float, trials: int) -> float | None:
    """The best ratio to expect of `trials` independent strategies without skill.

    SR0 = sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e))), g the Euler-Mascheroni constant.
    None below two trials.
    """
    if trials < 2:
        return None
    inverse = NormalDist().inv_cdf
    return math.sqrt(variance) * (
        (1 - EULER_MASCHERONI) * inverse(1 - 1 / trials)
        + EULER_MASCHERONI * inverse(1 - 1 / (trials * math.e))
    )


@dataclass(frozen=True, slots=True)
class Deflated:
    """probability: PSR against expected_sharpe, the best to expect by chance of so many trials."""

    trials: int
    variance: float
    expected_sharpe: float
    probability: float | None


def deflated_sharpe(found: Shape, sharpes: Sequence[float]) -> Deflated | None:
    """sharpes: every trial's ratio, this one's too. None below two trials: nothing was selected."""
    spread = series.deviation(sharpes)
    if spread is None:
        return None
    expected = expected_maximum(spread**2, len(sharpes))
    assert expected is not None
    return Deflated(len(sharpes), spread**2, expected, probabilistic_sharpe(found, expected))
