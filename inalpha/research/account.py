"""The account around a backtest: nothing but the run itself, its day start and its high-water mark."""

from __future__ import annotations

from typing import Protocol

from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, StepResult
from inalpha.model.bar import Bar
from inalpha.model.risk import AccountContext
from inalpha.model.timeframe import DAY_NS


class AccountSource(Protocol):
    """Where the account context of a synchronous run comes from."""

    def context(self) -> AccountContext:
        """The account as the next check reads it."""
        ...

    def admit(self, last: Bar, bar: Bar) -> Command | None:
        """Look at a bar before the run takes it; a command is journalled first."""
        ...

    def begin(self, kernel: Kernel) -> None:
        """Look at a bar whose orders have been matched, before anything is decided on it."""
        ...

    def mark(self, kernel: Kernel, result: StepResult) -> Command | None:
        """Take one finished bar; a command (a halt, say) is journalled before the next."""
        ...


class OwnAccount:
    """An account that holds this one run. Days begin at 00:00 UTC."""

    def __init__(self, opening_cash_e8: int) -> None:
        self._opening_e8 = opening_cash_e8
        self._equity_e8 = opening_cash_e8
        self._day_end_ns = 0
        self._day_start_e8 = opening_cash_e8
        self._high_e8 = opening_cash_e8
        self._context = self._make()

    def context(self) -> AccountContext:
        return self._context

    def admit(self, last: Bar, bar: Bar) -> Command | None:
        return None

    def begin(self, kernel: Kernel) -> None:
        """No rule of the risk engine is asked under this account but in tests."""

    def mark(self, kernel: Kernel, result: StepResult) -> Command | None:
        equity, now = result.equity_e8, result.bar.close_time_ns
        is_new_day = now >= self._day_end_ns
        if is_new_day:
            # A bar that closes exactly at midnight opens the new day with its own equity.
            self._day_start_e8 = equity if now % DAY_NS == 0 or self._day_end_ns == 0 else self._equity_e8
            self._day_end_ns = (now // DAY_NS + 1) * DAY_NS
        self._equity_e8 = equity
        if is_new_day or equity > self._high_e8:
            self._high_e8 = max(self._high_e8, equity)
            self._context = self._make()
        return None

    def _make(self) -> AccountContext:
        return AccountContext(
            base_cash_e8=self._opening_e8,
            day_start_equity_e8=self._day_start_e8,
            high_water_e8=self._high_e8,
        )
