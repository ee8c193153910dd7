"""How fast the kernel steps, beside backtesting.py and a bare loop with the same sums.

    python benchmarks/kernel.py [bars] [rounds] [peer ...]

The seeded market of the reference results, SMA(10) against SMA(30), journal written to a file, risk off,
strategy in this process. Engines run in shuffled order; the figure is the median CPU time of the rounds
(CPU, because other work on the machine must not count). Peers: backtesting, backtrader, vectorbt and
nautilus_trader where installed, or those named; "none" for our own figures and memory alone.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.peers import PEERS
from support.reference_bars import reference_bars

from inalpha.kernel.gateway import DirectGateway, NoRisk
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarArray
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.risk import AccountContext
from inalpha.research.report import JournalFile
from inalpha.strategy.base import Strategy
from inalpha.strategy.driver import StrategyDriver
from inalpha.strategy.indicators import SMA

CASH = 1_000_000


class Cross(Strategy):
    def on_start(self) -> None:
        self.fast = self.indicator(SMA(10))
        self.slow = self.indicator(SMA(30))

    def on_bar(self, bar: Bar) -> None:
        slow = self.slow.value
        if slow is None:
            return
        fast = self.fast.value
        if fast > slow:
            if self.position.is_flat:
                self.buy(10)
        elif fast < slow and self.position.is_long:
            self.close()


def kernel(bars: Sequence[Bar]) -> int:
    """Our kernel, as a backtest runs it."""
    instrument = Instrument("REF")
    spec = RunSpec("bench", "", "REF", "1m", instrument, CASH * E8)
    driver = StrategyDriver(Cross, {}, instrument, "1m", spec.seed)
    driver.start()
    context = AccountContext(CASH * E8)
    fills = 0
    with tempfile.TemporaryDirectory() as folder, JournalFile(Path(folder) / "journal") as journal:
        run = Kernel(spec, NoRisk(), DirectGateway(), lines=journal.write)
        for bar in bars:
            fills += len(run.step(bar, bar.close_time_ns, context, driver).fills)
        run.chain.flush()
    return fills


def bare_loop(bars: Sequence[Bar]) -> int:
    """The same sums and decisions with nothing around them."""
    fast: deque[int] = deque()
    slow: deque[int] = deque()
    fast_sum = slow_sum = lots = fills = wanted = 0
    cash = CASH * E8
    for bar in bars:
        if wanted:
            notional = bar.open_ticks * 10_000_000
            cash -= wanted * notional + notional // 1000
            lots += wanted
            fills += 1
            wanted = 0
        close = bar.close_ticks
        fast.append(close)
        slow.append(close)
        fast_sum += close
        slow_sum += close
        if len(fast) > 10:
            fast_sum -= fast.popleft()
        if len(slow) > 30:
            slow_sum -= slow.popleft()
        if len(slow) == 30:
            if fast_sum * 3 > slow_sum and not lots:
                wanted = 1
            elif fast_sum * 3 < slow_sum and lots:
                wanted = -1
    return fills


def peers(bars: Sequence[Bar], wanted: set[str]) -> dict[str, Callable[[Sequence[Bar]], int]]:
    """The installed engines, their data prepared outside the clock."""
    found: dict[str, Callable[[Sequence[Bar]], int]] = {}
    for name, build in PEERS.items():
        if wanted and name not in wanted:
            continue
        try:
            run = build(bars)
        except ImportError:
            continue
        found[name] = lambda _, run=run: run()[0]  # type: ignore[misc]
    return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    bars = BarArray(reference_bars(count), E8 // 100)
    engines: dict[str, Callable[[Sequence[Bar]], int]] = {"inalpha": kernel, "bare loop": bare_loop}
    engines |= peers(bars, set(sys.argv[3:]))
    warnings.simplefilter("ignore")
    times: dict[str, list[float]] = {name: [] for name in engines}
    fills: dict[str, int] = {}
    order = [name for name in engines for _ in range(rounds)]
    random.Random(1).shuffle(order)
    for name in order:
        began = time.process_time()
        fills[name] = engines[name](bars)
        times[name].append(time.process_time() - began)
    ours = statistics.median(times["inalpha"])
    print(f"{count} bars, median CPU of {rounds} rounds, Python {sys.version.split()[0]}")
    print(f"{'engine':<16}{'seconds':>9}{'us/bar':>9}{'times ours':>12}{'fills':>8}")
    for name in engines:
        median = statistics.median(times[name])
        print(f"{name:<16}{median:>9.3f}{median / count * 1e6:>9.2f}{median / ours:>12.2f}{fills[name]:>8}")
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB (with the peers')"
    )


if __name__ == "__main__":
    main()
