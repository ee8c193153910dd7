"""A backtest's account under the same triggers as a paper account: day starts, locks, drawdown halts."""

from __future__ import annotations

from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, StepResult
from inalpha.model.bar import Bar
from inalpha.model.principals import RISK
from inalpha.model.risk import AccountContext
from inalpha.model.states import HaltState
from inalpha.risk.account import AccountBook
from inalpha.risk.controls.data_sanity import jump_text
from inalpha.risk.rules import Rules


class RiskAccount:
    """An account that holds one run. A trip becomes a halt command, journalled before the next bar."""

    def __init__(self, run: str, symbol: str, cash_e8: int, rules: Rules) -> None:
        self._run = run
        self._book = AccountBook("backtest", cash_e8, rules)
        self._book.open_book(run, symbol)
        self._halt, self._scope = HaltState.ACTIVE, "account"
        self._sanity = rules.controls.data_sanity
        self._known: tuple[object, ...] = ()
        self._context: AccountContext | None = None

    def context(self) -> AccountContext:
        """The account as the next check reads it; the same object while nothing in it has changed."""
        account = self._book
        # All that can move in an account of one run: what it is worth counts only before its first day.
        known = (
            self._halt,
            account.high_water_e8,
            account.day_start_e8(self._run),
            *account.locks_of(self._run),
        )
        if self._context is None or known != self._known:
            self._known = known
            self._context = account.context(self._run, ((self._scope, self._halt),))
        return self._context

    def begin(self, kernel: Kernel) -> None:
        """The run sees its own fills at this bar: a new day, a lock."""
        self._book.begin(self._run, kernel.mark(), kernel.claim)

    def admit(self, last: Bar, bar: Bar) -> Command | None:
        """P16: halts the run before it takes a bar beyond belief, so that no stop fires at such a price."""
        if self._halt.severity >= HaltState.HALTED.severity:
            return None
        why = jump_text(last.close_ticks, bar.close_ticks, self._sanity)
        if not why:
            return None
        self._halt, self._scope = HaltState.HALTED, "run"
        return Command("halt", last.close_time_ns, state=self._halt, actor=RISK, reason=why)

    def mark(self, kernel: Kernel, result: StepResult) -> Command | None:
        """Take one finished bar."""
        trips, _ = self._book.mark(self._run, kernel.mark(result.closed))
        found = [*(("account", trip) for trip in trips), *(("run", trip) for trip in result.trips)]
        fresh = [(scope, trip) for scope, trip in found if trip.state.severity > self._halt.severity]
        if not fresh:
            return None
        self._scope, trip = fresh[0]
        self._halt = trip.state
        at_ns = result.bar.close_time_ns
        return Command("halt", at_ns, state=self._halt, actor=RISK, reason=trip.reason)
