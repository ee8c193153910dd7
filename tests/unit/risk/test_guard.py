"""The position guard judges closes against cost, at its limit, on both sides."""

from __future__ import annotations

import pytest
from support.risk import make_view

from inalpha.model.money import E8
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import default_rules, parse_rules


@pytest.mark.parametrize(
    ("cost", "value", "rule"),
    [
        (5_000, 4_001, ""),
        (5_000, 4_000, "HARD_STOP"),
        (5_000, 9_000, ""),
        (-5_000, -5_999, ""),
        (-5_000, -6_000, "HARD_STOP"),
    ],
)
def test_a_loss_of_a_fifth_of_the_cost_closes_the_position(cost: int, value: int, rule: str) -> None:
    view = make_view(position_lots=50 if cost > 0 else -50, position_value_e8=value * E8)
    assert PositionGuard(default_rules()).trip(view, (cost * E8, view.position_lots)) == rule


def test_a_disabled_guard_is_silent() -> None:
    rules = parse_rules("schema = 1\n[controls.position_guard]\nenabled = false")
    view = make_view(position_lots=50, position_value_e8=1 * E8)
    assert PositionGuard(rules).trip(view, (5_000 * E8, 50)) == ""
