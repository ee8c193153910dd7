"""The position guard: closes what lost too much, whatever its strategy does or whether it still lives.

It judges closes, so a wick trips nothing; the exit is a market order, so a gap may lose more than the limit.
"""

from __future__ import annotations

from inalpha.model.money import E8
from inalpha.model.risk import RunView
from inalpha.risk.controls.base import scaled
from inalpha.risk.rules import Rules, rules_from_canonical


class PositionGuard:
    """Answers the rule that wants the position closed, or an empty text. Deterministic, in integers."""

    def __init__(self, rules: Rules) -> None:
        self._settings = rules.controls.position_guard

    def under(self, rules: str) -> PositionGuard:
        """A guard of the rules that a canonical text holds."""
        return PositionGuard(rules_from_canonical(rules))

    def trip(self, view: RunView, average: tuple[int, int]) -> str:
        """average: signed total cost in 1e-8 money and signed lots. A trigger trips at its limit."""
        cost_e8, _ = average
        loss_e8 = cost_e8 - view.position_value_e8
        if self._settings.enabled and loss_e8 * 100 * E8 >= scaled(self._settings.hard_stop_pct) * abs(
            cost_e8
        ):
            return "HARD_STOP"
        return ""
