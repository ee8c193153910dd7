"""The reference table: fills and final equity that independent engines reproduce on the same bars."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.bench import CONTEXT
from support.reference_bars import reference_bars

from inalpha.kernel.gateway import DirectGateway, NoRisk
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.spec import RunSpec
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8, text_from_e8
from inalpha.strategy.base import Strategy
from inalpha.strategy.driver import StrategyDriver
from inalpha.strategy.indicators import SMA


class Cross(Strategy):
    first: int = 29

    def on_start(self) -> None:
        self.fast = self.indicator(SMA(10))
        self.slow = self.indicator(SMA(30))

    def on_bar(self, bar: Bar) -> None:
        fast, slow = self.fast.value, self.slow.value
        if bar.sequence < self.first or fast is None or slow is None:
            return
        if fast > slow and self.position.is_flat:
            self.buy(10)
        elif fast < slow and self.position.is_long:
            self.close()


@pytest.fixture(scope="module")
def bars() -> list[Bar]:
    return reference_bars(100_000)


def run(bars: list[Bar], fill: str, first: int) -> tuple[int, str]:
    instrument = Instrument("REF")
    spec = RunSpec("ref", "", "REF", "1m", instrument, 1_000_000 * E8, fill=fill, params={"first": first})
    kernel = Kernel(spec, NoRisk(), DirectGateway(), journal=lambda entry: None)
    driver = StrategyDriver(Cross, spec.params, instrument, "1m", spec.seed)
    driver.start()
    fills = 0
    for bar in bars:
        fills += len(kernel.step(bar, bar.close_time_ns, CONTEXT, driver).fills)
    equity = Decimal(text_from_e8(kernel.equity_e8)).quantize(Decimal("0.0001"))
    return fills, str(equity)


@pytest.mark.parametrize(
    ("fill", "first", "fills", "equity"),
    [
        ("next_open", 29, 3838, "996119.1376"),  # backtrader, freqtrade, vectorbt (shifted)
        ("next_open", 30, 3838, "996118.4369"),  # backtesting.py
        ("same_close", 29, 3838, "996108.0337"),  # nautilus_trader
        ("same_close", 30, 3838, "996107.1328"),  # backtesting.py trade_on_close
    ],
)
def test_100k_bars_give_the_reference_books(
    bars: list[Bar], fill: str, first: int, fills: int, equity: str
) -> None:
    assert run(bars, fill, first) == (fills, equity)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("fill", "fills", "equity"),
    [("next_open", 38933, "965511.3858"), ("same_close", 38933, "965447.8745")],
)
def test_1m_bars_give_the_reference_books(fill: str, fills: int, equity: str) -> None:
    assert run(reference_bars(1_000_000), fill, 29) == (fills, equity)
