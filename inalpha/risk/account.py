"""One account's equity over its runs: day starts, high-water mark, locks and trips.

A fold of what the runs did; the daemon keeps one per account, a backtest one for its single run. What
a check reads from here is journalled as an input of the step, because it depends on other runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from inalpha.model.risk import AccountContext, Block, Lock, RunClaim
from inalpha.model.states import HaltState, strictest
from inalpha.risk.controls import daily_loss, drawdown
from inalpha.risk.rules import Rules

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class RunBook:
    """What the account knows of one run: its cash flow since start, its position at the last close, its claim.

    begun_e8: cash that a step which has begun and not yet committed has taken beyond cash flow and claim.
    """

    symbol: str
    cash_flow_e8: int = 0
    value_e8: int = 0
    claim: RunClaim = field(default_factory=RunClaim)
    begun_e8: int = 0
    day: int | None = None
    day_end_ns: int = 0
    day_start_equity_e8: int | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """A trigger went off: the account may only reduce until a person resumes it."""

    rule: str
    state: HaltState
    measured: str


@dataclass(slots=True)
class AccountBook:
    """Cash at start (with deposits) plus the books of its runs. All amounts in 1e-8 units."""

    account: str
    start_cash_e8: int
    rules: Rules
    books: dict[str, RunBook] = field(default_factory=dict)
    high_water_e8: int = 0
    locks: list[Lock] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.high_water_e8 = max(self.high_water_e8, self.start_cash_e8)

    def open_book(self, run: str, symbol: str) -> None:
        """A run's book starts flat; what it opens with is the account's own cash."""
        self.books.setdefault(run, RunBook(symbol))

    @property
    def equity_e8(self) -> int:
        return self.start_cash_e8 + sum(book.cash_flow_e8 + book.value_e8 for book in self.books.values())

    @property
    def cash_e8(self) -> int:
        return self.start_cash_e8 + sum(book.cash_flow_e8 for book in self.books.values())

    def mark(self, run: str, now_ns: int, cash_flow_e8: int, value_e8: int) -> list[Trip]:
        """Take a run's book at its bar's close; answers the triggers that this mark sets off."""
        book = self.books[run]
        before = self.equity_e8
        book.cash_flow_e8, book.value_e8 = cash_flow_e8, value_e8
        equity = self.equity_e8
        self._roll_day(book, now_ns, before, equity)
        self.high_water_e8 = max(self.high_water_e8, equity)
        self._lock_daily_loss(run, book, now_ns, equity)
        settings = self.rules.controls.drawdown
        if settings.enabled and drawdown.is_tripped(equity, self.high_water_e8, settings):
            return [Trip("drawdown", HaltState.REDUCING, f"{self.high_water_e8 - equity}")]
        return []

    def claim(self, run: str, claim: RunClaim) -> None:
        """Take what a run's working entries, plans and short hold of the account, as just committed."""
        self.books[run].claim = claim

    def begin(self, run: str, cash_flow_e8: int, claim: RunClaim) -> None:
        """Reserve what a step has spent at its fills, until it commits or is void.

        What it has earned meanwhile counts only once it is committed.
        """
        book = self.books[run]
        free_before = book.cash_flow_e8 - book.claim.cash_e8
        book.begun_e8 = max(0, free_before - (cash_flow_e8 - claim.cash_e8))

    def settle(self, run: str) -> None:
        """The run's step has committed or is void."""
        self.books[run].begun_e8 = 0

    def context(
        self, run: str, halts: Iterable[tuple[str, HaltState]] = (), blocks: tuple[Block, ...] = ()
    ) -> AccountContext:
        """The account as this run's checks read it: everything but the run's own book."""
        mine = self.books[run]
        others = [book for name, book in self.books.items() if name != run]
        scopes = list(halts)
        halt = strictest(*(state for _, state in scopes))
        scope = next((name for name, state in scopes if state is halt and halt is not HaltState.ACTIVE), "")
        return AccountContext(
            base_cash_e8=self.start_cash_e8 + sum(book.cash_flow_e8 for book in others),
            other_value_e8=sum(book.value_e8 for book in others),
            other_gross_e8=sum(abs(book.value_e8) for book in others),
            other_symbol_value_e8=sum(book.value_e8 for book in others if book.symbol == mine.symbol),
            other_reserved_e8=sum(book.claim.cash_e8 + book.begun_e8 for book in others),
            other_buys_e8=sum(book.claim.buys_e8 for book in others),
            other_sells_e8=sum(book.claim.sells_e8 for book in others),
            other_symbol_buys_e8=sum(book.claim.buys_e8 for book in others if book.symbol == mine.symbol),
            other_symbol_sells_e8=sum(book.claim.sells_e8 for book in others if book.symbol == mine.symbol),
            halt=halt,
            halt_scope=scope,
            locks=tuple(self.locks),
            blocks=blocks,
            day_start_equity_e8=(
                mine.day_start_equity_e8 if mine.day_start_equity_e8 is not None else self.equity_e8
            ),
            high_water_e8=self.high_water_e8,
        )

    def deposit(self, amount_e8: int) -> None:
        """Cash from outside is neither a profit of the day nor a new high-water mark's distance."""
        self.start_cash_e8 += amount_e8
        self.high_water_e8 += amount_e8
        for book in self.books.values():
            if book.day_start_equity_e8 is not None:
                book.day_start_equity_e8 += amount_e8

    def rebase(self) -> None:
        """After a person's resume the mark starts again from the present equity."""
        self.high_water_e8 = self.equity_e8

    def _roll_day(self, book: RunBook, now_ns: int, before_e8: int, equity_e8: int) -> None:
        if book.day is not None and now_ns < book.day_end_ns:
            return
        zone = ZoneInfo(self.rules.zone)
        local = (_EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(zone)
        midnight = datetime.combine(local.date(), time(), zone)
        tomorrow = datetime.combine(local.date() + timedelta(days=1), time(), zone)
        # A bar that closes exactly at midnight opens the new day with its own equity.
        at_midnight = local == midnight or book.day is None
        book.day_start_equity_e8 = equity_e8 if at_midnight else before_e8
        book.day = local.date().toordinal()
        book.day_end_ns = int((tomorrow - _EPOCH).total_seconds()) * 1_000_000_000

    def _lock_daily_loss(self, run: str, book: RunBook, now_ns: int, equity: int) -> None:
        settings = self.rules.controls.daily_loss
        self.locks = [lock for lock in self.locks if lock.until_ns > now_ns or lock.scope != run]
        start = book.day_start_equity_e8
        if not settings.enabled or start is None or not daily_loss.is_tripped(equity, start, settings):
            return
        if not any(lock.rule == "daily_loss" and lock.scope == run for lock in self.locks):
            reason = f"equity lost {settings.pct} % or more of the day's start"
            self.locks.append(Lock("daily_loss", run, reason, now_ns, book.day_end_ns))
