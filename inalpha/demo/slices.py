"""Which real bars the demo's runs see; found by the strategy's own backtest, never by a stored answer."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarData, load_bars
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.research.backtest import BacktestResult, run_backtest
from inalpha.research.risk_account import RiskAccount
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import default_rules
from runners.local import LocalSandbox

CASH_E8 = 100_000 * E8
# An average of 200 bars is ready on the 200th.
WARM_BARS = 200


@dataclass(frozen=True, slots=True)
class Slice:
    """Bars [start, start + count) of a file. first_plan: bar of the slice on which its first plan falls."""

    start: int
    count: int
    first_plan: int | None


def backtest(source: bytes, data: BarData, start: int, count: int, sandbox: LocalSandbox) -> BacktestResult:
    """The strategy over a slice, under the shipped rules."""
    bars = [_renumber(bar, index) for index, bar in enumerate(data.bars[start : start + count])]
    rules = default_rules()
    spec = RunSpec(
        run="demo",
        strategy_sha256=hashlib.sha256(source).hexdigest(),
        symbol=data.instrument.symbol,
        timeframe=data.timeframe.name,
        instrument=data.instrument,
        opening_cash_e8=CASH_E8,
    )
    runner = sandbox.start_run(source, spec.strategy_sha256, {}, spec.instrument, spec.timeframe, spec.seed)
    try:
        account = RiskAccount(spec.run, spec.symbol, CASH_E8, rules)
        guard = PositionGuard(rules)
        return run_backtest(spec, bars, runner, RiskEngine(rules), account, guard=guard)
    finally:
        runner.kill()


def _renumber(bar: Bar, index: int) -> Bar:
    return Bar(
        bar.open_time_ns, bar.close_time_ns, bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks,
        bar.volume_e8, index, bar.tick_e8,
    )  # fmt: skip


def first_decision(result: BacktestResult) -> int | None:
    """The bar of the first order that risk let through; None when there was none."""
    bars = [int(row.order.split(":")[0]) for row in result.orders.values() if row.code in ("", "RUN_ENDED")]
    return min(bars, default=None)


def find_slice(
    source: bytes, path: Path, symbol: str, count: int, sandbox: LocalSandbox, *, lead: int = 0
) -> Slice:
    """The slice of count bars whose first plan falls on its last bar, or as shortly before as there is.

    lead > 0: instead a slice that runs to the end of the file, its first plan about lead bars after its
    start. first_plan is None where no slice of this length has a plan.
    """
    data = load(path, symbol)
    whole = backtest(source, data, 0, len(data.bars), sandbox)
    entries = sorted({int(row.order.split(":")[0]) for row in whole.orders.values() if row.side == "buy"})
    if lead:
        return _with_lead(source, data, entries, lead, sandbox)
    best = Slice(0, min(count, len(data.bars)), None)
    for entry in entries:
        start = entry - count + 1
        if start < 0 or count < WARM_BARS:
            continue
        found = first_decision(backtest(source, data, start, count, sandbox))
        if found is not None and (best.first_plan is None or found > best.first_plan):
            best = Slice(start, count, found)
        if found == count - 1:
            break
    if best.first_plan is None and count <= len(data.bars):
        best = Slice(0, count, first_decision(backtest(source, data, 0, count, sandbox)))
    return best


def _with_lead(source: bytes, data: BarData, entries: list[int], lead: int, sandbox: LocalSandbox) -> Slice:
    for entry in entries:
        start = entry - lead
        if start < 0:
            continue
        found = first_decision(backtest(source, data, start, lead + 1, sandbox))
        if found == lead:
            return Slice(start, len(data.bars) - start, found)
    return Slice(0, len(data.bars), None)


def load(path: Path, symbol: str) -> BarData:
    """A bundled file on the weekdays calendar, so that weekends are no gaps."""
    return load_bars(path, Instrument(symbol, calendar="weekdays"))


def write_slice(source: Path, target: Path, start: int, count: int) -> None:
    """The slice as a CSV file of its own."""
    with source.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows[start : start + count])
