"""Random strategies on random bars with gaps, as a backtest sees them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random

from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarData, load_bars
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.research.backtest import BacktestResult, run_backtest
from inalpha.research.risk_account import RiskAccount
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import Rules
from runners.local import LocalSandbox

GENOME = Path(__file__).parent / "strategies" / "genome.py"
HOUR = 3600
FIRST = 1_704_067_200 // HOUR * HOUR


def write_bars(path: Path, seed: int, count: int = 120) -> Path:
    """Hourly bars of a random walk; some are missing, some thin, some gap far, all are whole cents."""
    dice = Random(f"bars {seed}")
    at, price = FIRST, 10_000
    lines = ["time,open,high,low,close,volume"]
    for _ in range(count):
        at += HOUR * (dice.choice([1] * 12 + [2, 5, 30]))
        open_ = max(500, price + dice.choice([0] * 5 + [dice.randint(-300, 300)]))
        close = max(500, open_ + dice.randint(-200, 200))
        high, low = max(open_, close) + dice.randint(0, 120), max(1, min(open_, close) - dice.randint(0, 120))
        lines.append(
            f"{at},{open_ / 100},{high / 100},{low / 100},{close / 100},{dice.choice([0, 5, 90, 10_000])}"
        )
        price = close
    path.write_text("\n".join(lines) + "\n")
    return path


def bars_of(path: Path) -> BarData:
    return load_bars(path, Instrument("RND"), "1h")


def spec_of(seed: int, data: BarData, rules: Rules) -> RunSpec:
    return RunSpec(
        run="genome",
        strategy_sha256=hashlib.sha256(GENOME.read_bytes()).hexdigest(),
        symbol="RND",
        timeframe="1h",
        instrument=data.instrument,
        opening_cash_e8=100_000 * E8,
        params={"genome": seed},
        data_sha256=data.sha256,
        rules_sha256=rules.sha256,
    )


def backtest(
    spec: RunSpec, data: BarData, rules: Rules, sandbox: LocalSandbox
) -> tuple[BacktestResult, list[JournalEntry]]:
    """In the sandbox, under the rules, with every journal entry kept."""
    entries: list[JournalEntry] = []
    runner = sandbox.start_run(
        GENOME.read_bytes(),
        spec.strategy_sha256,
        dict(spec.params),
        spec.instrument,
        spec.timeframe,
        spec.seed,
    )
    try:
        account = RiskAccount(spec.run, spec.symbol, spec.opening_cash_e8, rules)
        result = run_backtest(
            spec, data.bars, runner, RiskEngine(rules), account,
            journal=entries.append, guard=PositionGuard(rules),
        )  # fmt: skip
    finally:
        runner.kill()
    return result, entries
