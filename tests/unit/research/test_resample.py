"""Bootstrap intervals: seeded, undefined where the figure is, and as wide as theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inalpha.research.resample import block_length, intervals, stationary_indices


def normal(count: int, mean: float = 0.0005, deviation: float = 0.01) -> list[float]:
    values = np.random.default_rng(7).standard_normal(count)
    values = (values - values.mean()) / values.std(ddof=1)
    return [float(value) for value in mean + deviation * values]


def test_independent_returns_have_the_textbook_width() -> None:
    """Lo 2002: the ratio's standard error is sqrt((1 + SR^2 / 2) / n) for independent normal returns."""
    found = intervals(normal(1000), 1.0, block=1)
    assert found.sharpe is not None
    low, high = found.sharpe
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt((1 + 0.05**2 / 2) / 1000), rel=0.08)
    assert low < 0.05 < high


def test_the_total_return_has_the_textbook_width() -> None:
    """The log of the total return spreads by deviation * sqrt(n)."""
    found = intervals(normal(1000), 1.0, block=1)
    assert found.total_return is not None
    low, high = found.total_return
    assert math.log((1 + high) / (1 + low)) == pytest.approx(2 * 1.96 * 0.01 * math.sqrt(1000), rel=0.08)


def test_blocks_widen_the_interval_of_returns_that_persist() -> None:
    steps = normal(1000)
    values = [0.0]
    for step in steps:
        values.append(0.7 * values[-1] + step)
    alone, together = intervals(values[1:], 252.0, block=1), intervals(values[1:], 252.0, block=20)
    assert alone.sharpe is not None and together.sharpe is not None
    assert together.sharpe[1] - together.sharpe[0] > 1.5 * (alone.sharpe[1] - alone.sharpe[0])


def test_equal_returns_have_a_total_and_no_sharpe_ratio() -> None:
    found = intervals([0.01] * 50, 252.0)
    assert found.sharpe is None
    assert found.total_return == pytest.approx((1.01**50 - 1, 1.01**50 - 1))


def test_too_few_returns_have_no_interval() -> None:
    found = intervals([0.01, -0.01] * 9, 252.0)
    assert (found.sharpe, found.total_return) == (None, None)


def test_the_same_returns_give_the_same_interval() -> None:
    assert intervals(normal(200), 252.0) == intervals(normal(200), 252.0)


def test_the_method_states_its_blocks() -> None:
    assert (
        "stationary bootstrap of 1000 returns, 2000 resamples, blocks of 10"
        in intervals(normal(1000), 1.0).method
    )


@given(st.integers(1, 10**6))
def test_a_block_is_the_cube_root(count: int) -> None:
    block = block_length(count)
    assert (block - 1) ** 3 < count <= block**3


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 99))
def test_a_resample_walks_on_or_jumps(count: int, block: int, seed: int) -> None:
    found = stationary_indices(count, block, 3, seed)
    assert found.shape == (3, count)
    assert found.min() >= 0 and found.max() < count


def test_blocks_are_as_long_as_asked() -> None:
    found = stationary_indices(5000, 10, 20, 1)
    walks = (found[:, 1:] == (found[:, :-1] + 1) % 5000).mean()
    assert walks == pytest.approx(0.9, abs=0.01)
