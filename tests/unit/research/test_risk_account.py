"""A backtest's account keeps its context between changes; what it keeps must be what it would make anew."""

from __future__ import annotations

import random

from support.bench import make_bar

from inalpha.kernel.records import StepResult
from inalpha.model.money import E8
from inalpha.model.states import HaltState
from inalpha.research.risk_account import RiskAccount
from inalpha.risk.rules import default_rules

CASH = 100_000 * E8


def test_a_kept_context_is_the_one_made_anew() -> None:
    draw = random.Random(7)
    account = RiskAccount("run", "TEST", CASH, default_rules())
    level, kept, halts, locked = 10_000, 0, set(), False
    before = None
    for sequence in range(400):
        level = max(100, level + draw.randint(-160, 150))
        bar = make_bar((level, level, level, level), sequence, "1h")
        value = level * 800 * E8 // 100
        result = StepResult(bar, (), (), (), (), "", 800, CASH - 80_000 * E8, CASH - 80_000 * E8 + value)
        command = account.mark(result, -80_000 * E8, value)
        halts.add(command.state if command else None)
        context = account.context()
        anew = account._book.context("run", (("account", account._halt),))
        assert context == anew
        kept += context is before
        locked = locked or bool(context.locks)
        before = context
    assert kept > 100 and locked and HaltState.REDUCING in halts  # or the test proves nothing
