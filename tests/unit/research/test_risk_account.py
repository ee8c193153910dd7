"""A backtest's account keeps its context between changes; what it keeps must be what it would make anew."""

from __future__ import annotations

import random

from support.bench import ScriptedRunner, buy, make_bar, make_spec, sell

from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, StepResult
from inalpha.model.money import E8
from inalpha.model.risk import AccountContext
from inalpha.model.states import HaltState
from inalpha.research.backtest import run_backtest
from inalpha.research.risk_account import RiskAccount
from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import parse_rules

RULES = """schema = 1
[controls.Cooldown]
stop_for = "3h"
[controls.daily_loss]
pct = 0.3
[controls.drawdown]
pct = 0.8
"""


class Watched(RiskAccount):
    """Compares what it kept with what its book would say now, whenever it is asked."""

    before: AccountContext | None = None
    kept = 0
    seen: frozenset[str] = frozenset()

    def context(self) -> AccountContext:
        context = super().context()
        assert context == self._book.context("run-1", ((self._scope, self._halt),))
        self.kept += context is self.before
        self.before = context
        self.seen |= {lock.rule for lock in context.locks}
        return context

    def mark(self, kernel: Kernel, result: StepResult) -> Command | None:
        command = super().mark(kernel, result)
        self.seen |= {command.state.value} if command and command.state else set()
        return command


def test_a_kept_context_is_the_one_made_anew() -> None:
    draw = random.Random(7)
    level, bars = 10_000, []
    for sequence in range(400):
        level = max(100, level + draw.randint(-160, 150))
        bars.append(make_bar((level, level, level, level), sequence, "1h"))
    script = {at: [buy("90") if at % 20 == 0 else sell("90")] for at in range(0, 400, 10)}
    spec = make_spec(timeframe="1h", opening_cash_e8=100_000 * E8)
    rules = parse_rules(RULES)
    account = Watched("run-1", spec.symbol, 100_000 * E8, rules)
    run_backtest(spec, bars, ScriptedRunner(script), RiskEngine(rules), account)
    assert account.kept > 100  # or the test proves nothing
    assert {"Cooldown", "daily_loss", HaltState.REDUCING} <= account.seen
