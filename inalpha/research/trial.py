"""One strategy file on one stretch of bars, run as often as a question needs: the same sandbox, fees and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import ParamValue, RunSpec
from inalpha.model.bar import Bar
from inalpha.research.backtest import BacktestResult, run_backtest
from inalpha.research.reexecute import limits_of
from inalpha.research.risk_account import RiskAccount
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import Rules
from runners.local import LocalSandbox


@dataclass(frozen=True, slots=True)
class Trial:
    """spec: without parameters. rules: None checks cash, tick and lot only."""

    sandbox: LocalSandbox
    source: bytes
    spec: RunSpec
    rules: Rules | None

    def run(
        self,
        bars: Sequence[Bar],
        params: Mapping[str, ParamValue] | None = None,
        *,
        warm: Sequence[Bar] = (),
        journal: Callable[[JournalEntry], None] | None = None,
    ) -> BacktestResult:
        """A fresh runner, flat and with the opening cash. warm: bars that only its indicators see before.

        Raises RunnerEnded; a strategy's own exception is `error` in the result. result.spec.params holds all
        parameters, defaults too.
        """
        spec, rules = replace(self.spec, params=dict(params or {})), self.rules
        limits = limits_of(rules) if rules else None
        runner = self.sandbox.start_run(
            self.source, spec.strategy_sha256, spec.params, spec.instrument, spec.timeframe, spec.seed, limits,
            run=spec.run,
        )  # fmt: skip
        try:
            if warm:
                runner.warm(warm)
            return run_backtest(
                replace(spec, params=runner.params, warmup=len(warm)),
                numbered(bars),
                runner,
                RiskEngine(rules) if rules else NoRisk(),
                RiskAccount(spec.run, spec.symbol, spec.opening_cash_e8, rules) if rules else None,
                journal=journal,
                guard=PositionGuard(rules) if rules else None,
            )
        finally:
            runner.kill()


def numbered(bars: Sequence[Bar]) -> Sequence[Bar]:
    """Bars counted from 0, as every run counts its own."""
    if not bars or bars[0].sequence == 0:
        return bars
    return [msgspec.structs.replace(bar, sequence=index) for index, bar in enumerate(bars)]
