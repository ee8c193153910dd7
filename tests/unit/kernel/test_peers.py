"""Other people's engines on the reference market, beside ours under their convention: equal books.

What differs between them is convention alone: which price a market order gets, and on which bar a strategy
is asked first. Where both agree, fills are equal and equity is equal to the fourth decimal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from support.peers import Run, backtesting_py, backtrader, nautilus_trader, vectorbt
from support.reference_bars import reference_bars

from inalpha.kernel.gateway import DirectGateway, NoRisk
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.spec import RunSpec
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.risk import AccountContext
from inalpha.strategy.base import Strategy
from inalpha.strategy.driver import StrategyDriver
from inalpha.strategy.indicators import SMA

pytestmark = pytest.mark.filterwarnings("ignore")

# package, how to build its run, our fill convention, the first bar that its strategy is asked on, why
PEERS: list[tuple[str, Callable[[Sequence[Bar]], Run], str, int, str]] = [
    ("backtesting", backtesting_py, "next_open", 30, "asks first one bar after the averages are complete"),
    (
        "backtesting",
        lambda bars: backtesting_py(bars, same_close=True),
        "same_close",
        30,
        "trade_on_close fills at the deciding close; asks first one bar later",
    ),
    ("backtrader", backtrader, "next_open", 29, "the same convention as ours"),
    ("vectorbt", vectorbt, "next_open", 29, "no event loop: signals shifted by a bar, at that bar's open"),
    ("nautilus_trader", nautilus_trader, "same_close", 29, "a bar is matched before its strategy sees it"),
]
IDS = [f"{name}-{fill}" for name, _, fill, _, _ in PEERS]


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


def ours(bars: Sequence[Bar], fill: str, first: int) -> tuple[int, float]:
    instrument = Instrument("REF")
    spec = RunSpec("peer", "", "REF", "1m", instrument, 1_000_000 * E8, fill=fill, params={"first": first})
    kernel = Kernel(spec, NoRisk(), DirectGateway(), lines=lambda text: None)
    driver = StrategyDriver(Cross, spec.params, instrument, "1m", spec.seed)
    driver.start()
    context = AccountContext(1_000_000 * E8)
    fills = sum(len(kernel.step(bar, bar.close_time_ns, context, driver).fills) for bar in bars)
    return fills, kernel.equity_e8 / E8


@pytest.fixture(scope="module")
def bars() -> list[Bar]:
    return reference_bars(10_000)


@pytest.mark.parametrize(("package", "build", "fill", "first", "why"), PEERS, ids=IDS)
def test_a_peer_under_its_convention_has_our_books(
    bars: list[Bar],
    package: str,
    build: Callable[[Sequence[Bar]], Run],
    fill: str,
    first: int,
    why: str,
) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    fills, equity = build(bars)()
    mine, own = ours(bars, fill, first)
    assert mine == fills > 100, why
    assert equity == pytest.approx(own, abs=5e-5), why


@pytest.mark.campaign
@pytest.mark.parametrize(("package", "build", "fill", "first", "why"), PEERS, ids=IDS)
def test_a_peer_has_our_books_over_100k_bars(
    package: str, build: Callable[[Sequence[Bar]], Run], fill: str, first: int, why: str
) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    bars = reference_bars(100_000)
    fills, equity = build(bars)()
    mine, own = ours(bars, fill, first)
    assert (mine, round(own, 4)) == (fills, round(equity, 4)), why


def test_the_conventions_themselves_differ(bars: list[Bar]) -> None:
    """So that the equalities above are no accident of a market that cannot tell them apart."""
    books = {ours(bars, fill, first)[1] for fill in ("next_open", "same_close") for first in (29, 30)}
    assert len(books) == 4
