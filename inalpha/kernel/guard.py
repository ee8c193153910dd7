"""The position guard's seam: asked on each close while a position exists, even after the strategy ended."""

from __future__ import annotations

from typing import Protocol

from inalpha.model.bar import Bar
from inalpha.model.risk import RunView


class Guard(Protocol):
    """Answers the rule that wants the position closed (`HARD_STOP`, ...), or "". Must be deterministic.

    average: (total cost e8, signed lots) of the open position, so that the guard divides as it needs.
    """

    def observe(self, bar: Bar, lots: int, position: int) -> None:
        """Each closed bar, warm-up too, once its fills are booked. position: a new number for each position."""
        ...

    def trip(self, view: RunView, average: tuple[int, int]) -> str: ...

    def under(self, rules: str) -> Guard:
        """The same guard under other rules, given by their canonical text."""
        ...


class NoGuard:
    """No guard: a backtest that was asked for none."""

    def observe(self, bar: Bar, lots: int, position: int) -> None:
        """Nothing to watch."""

    def trip(self, view: RunView, average: tuple[int, int]) -> str:
        return ""

    def under(self, rules: str) -> NoGuard:
        return self
