"""Each kind of indicator function and what its examination says."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import ta
from support.reference_bars import reference_bars

from inalpha.strategy.bars import BarMemory
from inalpha.strategy.causality import _reach, examine
from inalpha.strategy.indicators import SMA
from inalpha.strategy.ranges import MACD, Stochastic
from inalpha.strategy.ta_window import TaWindow

WEIGHTS = np.bartlett(21) / np.bartlett(21).sum()

_draws = itertools.count()


def examined(
    function: Callable[..., Any], *columns: str, lookback: int = 60, **kwargs: Any
) -> dict[str, Any]:
    memory = BarMemory()
    memory.bars.extend(reference_bars(900))
    window = TaWindow(function, columns or ("close",), lookback, kwargs, memory)
    return examine(window, memory.frame(900))


@pytest.mark.parametrize(
    "function",
    [
        lambda close: close.rolling(9, center=True).mean(),
        lambda close: close.rolling(9, center=True, min_periods=1).mean(),
        lambda close: close.rolling(21, center=True).apply(lambda w: (w * WEIGHTS).sum(), raw=True),
        lambda close: close.shift(-1),
        lambda close: close.shift(-3, fill_value=0.0),
        lambda close: close.shift(-3, fill_value=close.mean()),
        lambda close: close.diff(-1).fillna(0.0),
        lambda close: close.where(close.index.minute % 3 == 0).bfill().ffill(),
        lambda close: close.where(close.index.minute % 3 == 0).interpolate(),
        lambda close: pd.Series([close.iloc[min(i + 1, len(close) - 1)] for i in range(len(close))]),
    ],
    ids=[
        "centred", "centred and filled", "centred weights", "shift", "shift filled", "shift mean", "diff",
        "bfill", "interpolate", "next bar by position",
    ],
)  # fmt: skip
def test_what_looks_ahead_is_seen(function: Callable[..., Any]) -> None:
    found = examined(function)
    assert found["outcome"] == "look_ahead", found
    assert found["full"] != found["prefix"]


@pytest.mark.parametrize(
    "function",
    [
        lambda close: close.rank(pct=True),
        lambda close: (close - close.mean()) / close.std(),
        lambda close: (close - close.min()) / (close.max() - close.min()),
    ],
    ids=["rank", "z-score", "range"],
)
def test_a_statistic_of_the_whole_window_is_no_look_ahead(function: Callable[..., Any]) -> None:
    assert examined(function)["outcome"] == "whole"


@pytest.mark.parametrize(
    ("function", "columns", "outcome"),
    [
        (ta.volatility.donchian_channel_hband, ("high", "low", "close"), "exact"),
        (ta.trend.sma_indicator, ("close",), "settled"),
        (ta.volume.on_balance_volume, ("close", "volume"), "short"),
    ],
)
def test_what_only_looks_back_passes(
    function: Callable[..., Any], columns: tuple[str, ...], outcome: str
) -> None:
    assert examined(function, *columns)["outcome"] == outcome


def test_a_short_lookback_is_told_with_one_that_suffices() -> None:
    assert examined(ta.momentum.rsi, lookback=28, window=14)["wanted"] == 224
    assert examined(ta.momentum.rsi, lookback=15 * 14, window=14)["outcome"] == "settled"


def test_a_running_total_settles_at_no_lookback() -> None:
    assert examined(lambda close: close.cumsum())["wanted"] is None


def test_a_random_function_is_not_called_look_ahead() -> None:
    assert examined(lambda close: close * random.random())["outcome"] == "unsteady"
    assert examined(lambda close: close + next(_draws))["outcome"] == "unsteady"


def test_fewer_values_than_bars_cannot_be_examined() -> None:
    assert examined(lambda close: close.rolling(5).mean().dropna())["outcome"] == "unaligned"


def test_the_reach_of_an_indicator_counts_its_parts() -> None:
    assert [_reach(found) for found in (SMA(30), Stochastic(14, 3), MACD(12, 26, 9))] == [30, 17, 47]


def test_too_few_bars_are_told() -> None:
    assert examined(ta.trend.sma_indicator, lookback=900)["outcome"] == "too_few_bars"
