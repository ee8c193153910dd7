"""A plan that waited for a person, judged again when the signature comes: never against itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.bench import CONTEXT, Bench, buy, make_spec, sell

from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import default_rules, rules_from_canonical

ACCOUNT = replace(CONTEXT, day_start_equity_e8=CONTEXT.base_cash_e8, high_water_e8=CONTEXT.base_cash_e8)
FLAT = (10000, 10000, 10000, 10000)


@pytest.mark.parametrize("reduce_only", [False, True])
def test_an_exit_of_the_whole_position_can_be_approved(reduce_only: bool) -> None:
    script = {0: [buy("5")], 1: [sell("5", reduce_only=reduce_only)]}
    made = Bench(make_spec(approval="human"), script, RiskEngine(default_rules()), ACCOUNT)
    made.feed(FLAT)
    assert made.command("approve", intent="0:0").accepted
    made.feed(FLAT)
    result = made.command("approve", intent="1:0")
    assert (result.accepted, result.code) == (True, "")
    made.feed(FLAT)
    assert made.kernel.position_lots == 0


def test_an_entry_is_counted_once_towards_the_largest_position() -> None:
    text = default_rules().canonical.replace('"symbol_pct":"25"', '"symbol_pct":"15"')
    script = {0: [buy("900")]}  # 9 % of equity: twice that would be over 15 %
    made = Bench(make_spec(approval="human"), script, RiskEngine(rules_from_canonical(text)), ACCOUNT)
    made.feed(FLAT)
    assert made.command("approve", intent="0:0").accepted


def test_rules_change_by_a_journalled_command() -> None:
    rules = default_rules()
    tighter = rules_from_canonical(
        rules.canonical.replace('"enabled":true,"pct":"10"', '"enabled":true,"pct":"1"')
    )
    assert tighter.sha256 != rules.sha256
    made = Bench(make_spec(), {}, RiskEngine(rules))
    made.feed(FLAT)
    assert made.command("limits", code=tighter.sha256, reason=tighter.canonical).accepted
    engine = made.kernel.risk
    assert isinstance(engine, RiskEngine) and engine.rules == tighter
