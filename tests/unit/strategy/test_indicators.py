"""Streaming indicators against the `ta` package on real days and drawn minutes, and by hand where `ta` has none."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import pandas as pd
import pytest
import ta
from support.reference_bars import reference_bars

from inalpha.data import bundled
from inalpha.market.bars import load_bars
from inalpha.model.bar import Bar
from inalpha.model.money import E8
from inalpha.strategy.indicators import EMA, ROC, RSI, SMA, VWAP, WMA, Indicator, StdDev
from inalpha.strategy.ranges import ATR, MACD, Bollinger, Donchian, Stochastic


@pytest.fixture(scope="module", params=["GOOG daily", "drawn minutes"])
def bars(request: pytest.FixtureRequest) -> Sequence[Bar]:
    if request.param == "GOOG daily":
        return list(load_bars(bundled("GOOG")).bars)
    return reference_bars(3000)


@pytest.fixture(scope="module")
def frame(bars: Sequence[Bar]) -> pd.DataFrame:
    names = ("open", "high", "low", "close", "volume")
    return pd.DataFrame({name: [getattr(bar, name) for bar in bars] for name in names})


def column(indicator: Indicator, bars: Sequence[Bar], name: str = "value") -> list[float | None]:
    values = []
    for bar in bars:
        indicator.update(bar)
        values.append(getattr(indicator, name))
    return values


CASES: list[tuple[str, Callable[[], Indicator], str, Callable[[pd.DataFrame], pd.Series]]] = [
    ("sma", lambda: SMA(20), "value", lambda f: ta.trend.sma_indicator(f.close, 20)),
    ("ema", lambda: EMA(20), "value", lambda f: ta.trend.ema_indicator(f.close, 20)),
    ("wma", lambda: WMA(9), "value", lambda f: ta.trend.wma_indicator(f.close, 9)),
    ("rsi", lambda: RSI(14), "value", lambda f: ta.momentum.rsi(f.close, 14)),
    ("roc", lambda: ROC(12), "value", lambda f: ta.momentum.roc(f.close, 12)),
    ("macd", MACD, "value", lambda f: ta.trend.macd(f.close)),
    ("macd_signal", MACD, "signal", lambda f: ta.trend.macd_signal(f.close)),
    ("macd_histogram", MACD, "histogram", lambda f: ta.trend.macd_diff(f.close)),
    ("bollinger_upper", Bollinger, "upper", lambda f: ta.volatility.bollinger_hband(f.close)),
    ("bollinger_lower", Bollinger, "lower", lambda f: ta.volatility.bollinger_lband(f.close)),
    ("stochastic", Stochastic, "value", lambda f: ta.momentum.stoch(f.high, f.low, f.close)),
    ("stochastic_signal", Stochastic, "signal", lambda f: ta.momentum.stoch_signal(f.high, f.low, f.close)),
    (
        "vwap",
        VWAP,
        "value",
        lambda f: ta.volume.volume_weighted_average_price(f.high, f.low, f.close, f.volume),
    ),
    ("stddev", lambda: StdDev(20), "value", lambda f: f.close.rolling(20).std(ddof=0)),
    ("donchian_upper", Donchian, "upper", lambda f: f.high.rolling(20).max()),
    ("donchian_lower", Donchian, "lower", lambda f: f.low.rolling(20).min()),
    ("atr", ATR, "value", lambda f: ta.volatility.average_true_range(f.high, f.low, f.close)),
]


@pytest.mark.parametrize(("name", "make", "line", "reference"), CASES, ids=[case[0] for case in CASES])
def test_equal_to_ta_once_ready(
    name: str,
    make: Callable[[], Indicator],
    line: str,
    reference: Callable[[pd.DataFrame], pd.Series],
    bars: Sequence[Bar],
    frame: pd.DataFrame,
) -> None:
    ours, theirs = column(make(), bars, line), reference(frame).tolist()
    compared = 0
    for mine, other in zip(ours, theirs, strict=True):
        if mine is not None and not math.isnan(other):
            assert mine == pytest.approx(other, rel=1e-9, abs=1e-9)
            compared += 1
    assert compared > len(bars) - 50


@pytest.mark.parametrize(("name", "make", "line", "reference"), CASES, ids=[case[0] for case in CASES])
def test_reset_starts_again(
    name: str, make: Callable[[], Indicator], line: str, reference: object, bars: Sequence[Bar]
) -> None:
    indicator = make()
    first = column(indicator, bars[:80], line)
    indicator.reset()
    assert column(indicator, bars[:80], line) == first


def flat(ticks: int, sequence: int) -> Bar:
    return Bar(sequence, sequence + 1, ticks, ticks, ticks, ticks, E8, sequence)


def test_equal_averages_compare_equal() -> None:
    fast, slow = SMA(3), SMA(7)
    for index, ticks in enumerate([1, 5, 2, 10001, 10001, 10001, 10001, 10001, 10001, 10001]):
        fast.update(flat(ticks, index))
        slow.update(flat(ticks, index))
    assert fast.value == slow.value == 100.01


def test_a_flat_market_has_no_deviation() -> None:
    deviation = StdDev(5)
    for index in range(50):
        deviation.update(flat(123456789, index))
    assert deviation.value == 0.0


def test_stddev_by_hand() -> None:
    deviation = StdDev(4, ddof=1)
    for index, ticks in enumerate([100, 200, 400, 900]):
        deviation.update(flat(ticks, index))
    assert deviation.value == pytest.approx(statistics.stdev([1, 2, 4, 9]))


def test_rsi_without_a_loss_is_100() -> None:
    rsi = RSI(3)
    for index in range(6):
        rsi.update(flat(100 + index, index))
    assert rsi.value == 100.0


@pytest.mark.parametrize("window", [0, -1, 2.5, True])
def test_a_window_is_a_whole_number(window: object) -> None:
    with pytest.raises(ValueError, match="window"):
        SMA(window)  # type: ignore[arg-type]
