"""How far a backtest's figures could have come out otherwise: bootstrap intervals of daily returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000
MIN_RETURNS = 20
SEED = 15

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Intervals:
    """Percentile intervals; None where the figure is undefined. block: mean length in returns."""

    sharpe: Bounds | None
    total_return: Bounds | None
    block: int
    returns: int
    confidence: float = CONFIDENCE
    resamples: int = RESAMPLES

    @property
    def method(self) -> str:
        return (
            f"{self.confidence:.0%} percentile interval, stationary bootstrap of {self.returns} returns,"
            f" {self.resamples} resamples, blocks of {self.block} on average"
        )


def block_length(count: int) -> int:
    """Mean block length for count returns: the cube root, rounded up.

    The order n^(1/3) is the one that estimating a variance calls for. Source: Hall, Horowitz and Jing 1995.
    """
    return max(1, math.ceil(round(math.cbrt(count), 9)))


def intervals(returns: Sequence[float], periods: float, block: int | None = None) -> Intervals:
    """Intervals of the annualised Sharpe ratio and of the total return; fractions, seeded.

    Blocks of geometric length begin anywhere and wrap around, so that neighbouring days stay together.
    Source: Politis and Romano 1994, "The stationary bootstrap". None below MIN_RETURNS returns; the Sharpe
    ratio also where a tenth of the resamples have no deviation.
    """
    import numpy as np

    count = len(returns)
    block = block or block_length(count)
    if count < MIN_RETURNS:
        return Intervals(None, None, block, count)
    values = np.asarray(returns, dtype=float)
    drawn = values[stationary_indices(count, block, RESAMPLES, SEED)]
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]

    def bounds(figures: np.ndarray) -> Bounds:
        low, high = np.quantile(figures, tails)
        return float(low), float(high)

    moves = drawn.max(axis=1) > drawn.min(axis=1)
    sharpe = None
    if moves.mean() >= 0.9:
        rows = drawn[moves]
        sharpe = bounds(rows.mean(axis=1) / rows.std(axis=1, ddof=1) * math.sqrt(periods))
    return Intervals(sharpe, bounds(np.prod(1 + drawn, axis=1) - 1), block, count)


def stationary_indices(count: int, block: int, resamples: int, seed: int) -> np.ndarray:
    """Indices into a series of count, one resample a row; a new block begins with probability 1 / block."""
    import numpy as np

    rng = np.random.default_rng(seed)
    found = np.empty((resamples, count), dtype=np.int64)
    found[:, 0] = rng.integers(count, size=resamples)
    for step in range(1, count):
        begins = rng.random(resamples) < 1 / block
        found[:, step] = np.where(
            begins, rng.integers(count, size=resamples), (found[:, step - 1] + 1) % count
        )
    return found
