"""One account's equity over its runs: day starts, high-water mark, locks and trips.

A fold of what the runs did; the daemon keeps one per account, a backtest one for its single run. What
a check reads from here is journalled as an input of the step, because it depends on other runs.

A step is marked twice: `begin` shows its run what its own fills at this bar have done (a new day, a lock), `mark`
takes it once it is committed. Between the two, other runs see only what the step has spent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from inalpha.model.money import E8
from inalpha.model.risk import AccountContext, Block, ClosedTrade, Lock, Mark, OpenTrade, RunClaim, Trip
from inalpha.model.states import HaltState, strictest
from inalpha.risk.controls import daily_loss, drawdown
from inalpha.risk.controls.base import percent_text, scaled
from inalpha.risk.locks import Seen, SymbolTrade, fresh_locks, lookback_ns
from inalpha.risk.rules import Rules

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCKS_KEPT = 256  # of the whole account


@dataclass(frozen=True, slots=True)
class Day:
    """A run's day in the zone of the rules: it ends at 00:00, and a bar that closes exactly then opens the next."""

    end_ns: int
    start_equity_e8: int


@dataclass(slots=True)
class RunBook:
    """What the account knows of one run: its last mark, its claim and what its past marks left.

    begun_e8: cash that a step which has begun and not yet committed has taken beyond cash flow and claim.
    begun: how that step's bar looks to the run itself. trades: closed ones of the lookback in force, oldest first.
    peaks: the account's (time, equity) at this run's marks of that lookback that no later one is above, oldest first.
    rules: what binds this run, where its mandate is tighter than the account; None = the account's.
    """

    symbol: str
    rules: Rules | None = None
    now_ns: int = 0
    cash_flow_e8: int = 0
    value_e8: int = 0
    claim: RunClaim = field(default_factory=RunClaim)
    begun_e8: int = 0
    begun: _Begun | None = None
    day: Day | None = None
    open: OpenTrade | None = None
    trades: deque[ClosedTrade] = field(default_factory=deque)
    peaks: deque[tuple[int, int]] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a mark would change: the run's day and the locks that it sets. moved, rules: the account as it was then."""

    mark: Mark
    day: Day
    locks: tuple[Lock, ...]
    moved: int
    rules: Rules


@dataclass(slots=True)
class AccountBook:
    """Cash at start (with deposits) plus the books of its runs. All amounts in 1e-8 units."""

    account: str
    start_cash_e8: int
    rules: Rules
    books: dict[str, RunBook] = field(default_factory=dict)
    high_water_e8: int = 0
    locks: list[Lock] = field(default_factory=list)
    _moved: int = 0

    def __post_init__(self) -> None:
        self.high_water_e8 = max(self.high_water_e8, self.start_cash_e8)

    def open_book(self, run: str, symbol: str, rules: Rules | None = None) -> None:
        """A run's book starts flat; what it opens with is the account's own cash."""
        self.books.setdefault(run, RunBook(symbol, rules))

    @property
    def equity_e8(self) -> int:
        return self.start_cash_e8 + sum(book.cash_flow_e8 + book.value_e8 for book in self.books.values())

    @property
    def cash_e8(self) -> int:
        return self.start_cash_e8 + sum(book.cash_flow_e8 for book in self.books.values())

    def mark(self, run: str, mark: Mark) -> tuple[list[Trip], list[Lock]]:
        """Take a run's book at its bar's close; answers the triggers and the locks that this mark sets off."""
        book = self.books[run]
        rules = book.rules or self.rules
        seen = book.begun
        # Where nothing has moved since the step began, it saw what there is to see.
        if seen is None or seen.moved != self._moved or seen.rules is not rules or seen.mark != mark:
            seen = self._look(run, mark)
        equity = self._take(book, mark, seen.day)
        self.add_locks(seen.locks)
        return self._trips(rules, equity), list(seen.locks)

    def follow(self, run: str, mark: Mark) -> None:
        """Take a mark of the past, at a start: its locks and trips are on record, only what later marks read counts."""
        book = self.books[run]
        self._take(book, mark, self._day(book, mark.now_ns, self._equity_with(book, mark)))

    def _take(self, book: RunBook, mark: Mark, day: Day) -> int:
        """The account's equity with this mark in it."""
        if not book.peaks:
            book.peaks.append((mark.now_ns, self.equity_e8))  # what the run started from is a peak too
        self._moved += 1
        book.begun, book.begun_e8 = None, 0
        book.cash_flow_e8, book.value_e8, book.open = mark.cash_flow_e8, mark.value_e8, mark.open
        book.now_ns, book.day = mark.now_ns, day
        equity = self.equity_e8
        self._keep(book, mark, equity)
        self.high_water_e8 = max(self.high_water_e8, equity)
        return equity

    def add_locks(self, fresh: Sequence[Lock]) -> None:
        """A lock takes the place of an earlier one of its rule on the same run or symbol, which is over by then, as
        one market has one live run. Those of the whole account stay: another run may still be at an earlier time.
        """
        if not fresh:
            return
        for lock in fresh:
            if lock.scope != self.account:
                key = (lock.rule, lock.scope, lock.symbol, lock.side)
                self.locks = [old for old in self.locks if (old.rule, old.scope, old.symbol, old.side) != key]
            self.locks.append(lock)
        whole = [lock for lock in self.locks if lock.scope == self.account]
        for old in whole[:-_LOCKS_KEPT]:
            self.locks.remove(old)

    def _trips(self, rules: Rules, equity: int) -> list[Trip]:
        settings = rules.controls.drawdown
        if not settings.enabled or not drawdown.is_tripped(equity, self.high_water_e8, settings):
            return []
        measured = percent_text(self.high_water_e8 - equity, self.high_water_e8)
        return [
            Trip("drawdown", HaltState.REDUCING, measured, str(settings.pct), "% under the high-water mark")
        ]

    def claim(self, run: str, claim: RunClaim) -> None:
        """Take what a run's working entries, plans and short hold of the account, as just committed."""
        self.books[run].claim = claim

    def begin(self, run: str, mark: Mark, claim: RunClaim) -> None:
        """A step has matched its orders at a bar: reserve what it has spent, until it commits or is void, and show
        its run the day and the locks that follow. What it has earned counts for others only once it is committed.
        """
        book = self.books[run]
        free_before = book.cash_flow_e8 - book.claim.cash_e8
        book.begun_e8 = max(0, free_before - (mark.cash_flow_e8 - claim.cash_e8))
        book.begun = self._look(run, mark)

    def settle(self, run: str) -> None:
        """The run's step has committed or is void."""
        book = self.books[run]
        book.begun_e8, book.begun = 0, None

    def context(
        self,
        run: str,
        halts: Iterable[tuple[str, HaltState]] = (),
        blocks: tuple[Block, ...] = (),
        *,
        now_ns: int = 0,
        lifted: frozenset[str] = frozenset(),
    ) -> AccountContext:
        """The account as this run's checks read it: everything but the run's own book.

        now_ns: market time of a check between two bars, which may be in a new day. lifted: lock rules that the owner
        has waived for this run.
        """
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
            locks=self.locks_of(run, now_ns, lifted),
            blocks=blocks,
            lifted=tuple(sorted(lifted)),
            day_start_equity_e8=self.day_start_e8(run, now_ns),
            high_water_e8=self.high_water_e8,
        )

    def day_start_e8(self, run: str, now_ns: int = 0) -> int:
        """Equity at the start of the run's day; where that day is over, or none was seen, what it is worth now."""
        book = self.books[run]
        day = book.begun.day if book.begun is not None else book.day
        return self.equity_e8 if day is None or now_ns >= day.end_ns else day.start_equity_e8

    def locks_of(self, run: str, now_ns: int = 0, lifted: frozenset[str] = frozenset()) -> tuple[Lock, ...]:
        """The locks that may bind a run from its last bar, or now_ns, on."""
        book = self.books[run]
        begun = book.begun
        locks = [*self.locks, *begun.locks] if begun is not None else self.locks
        if not locks:
            return ()
        now = max(now_ns, begun.mark.now_ns if begun is not None else book.now_ns)
        return tuple(
            lock
            for lock in locks
            if lock.until_ns > now
            and lock.rule not in lifted
            and (lock.symbol == book.symbol if lock.symbol else lock.scope in (run, self.account))
        )

    def deposit(self, amount_e8: int) -> None:
        """Cash from outside is neither a profit of the day nor a new high-water mark's distance."""
        self._moved += 1
        self.start_cash_e8 += amount_e8
        self.high_water_e8 += amount_e8
        for book in self.books.values():
            if book.day is not None:
                book.day = Day(book.day.end_ns, book.day.start_equity_e8 + amount_e8)
            book.peaks = deque((at, equity + amount_e8) for at, equity in book.peaks)

    def rebase(self) -> None:
        """After a person's resume the mark starts again from the present equity."""
        self.high_water_e8 = self.equity_e8

    def _look(self, run: str, mark: Mark) -> _Begun:
        """What a mark would change, without taking it."""
        book = self.books[run]
        rules = book.rules or self.rules
        equity = self._equity_with(book, mark)
        day = self._day(book, mark.now_ns, equity)
        seen = Seen(
            self.account,
            book.symbol,
            mark.now_ns,
            equity,
            mark.closed,
            self._loser(rules, mark),
            lambda since_ns: self._trades_since(run, mark, since_ns),
            lambda since_ns: self._peak_e8(book, since_ns, mark.now_ns, equity),
        )
        fresh = self._daily_loss(rules, run, day, mark.now_ns, equity) + fresh_locks(rules, seen, self.locks)
        return _Begun(mark, day, tuple(fresh), self._moved, rules)

    def _equity_with(self, book: RunBook, mark: Mark) -> int:
        """The account's equity as this mark would leave it."""
        return self.equity_e8 - book.cash_flow_e8 - book.value_e8 + mark.cash_flow_e8 + mark.value_e8

    def _day(self, book: RunBook, now_ns: int, equity: int) -> Day:
        """The run's day at a bar's close. A run that starts within a day is judged from where its account began it."""
        if book.day is not None and now_ns < book.day.end_ns:
            return book.day
        day = _day_at((book.rules or self.rules).zone, book.day, now_ns, self.equity_e8, equity)
        if book.day is not None:
            return day
        others = [other.day for other in self.books.values() if other.day is not None]
        starts = [other.start_equity_e8 for other in others if other.end_ns == day.end_ns]
        return Day(day.end_ns, max(starts, default=day.start_equity_e8))

    def _keep(self, book: RunBook, mark: Mark, equity: int) -> None:
        """What later marks look back on. A lookback that is made longer reaches back as the marks go on."""
        controls = (book.rules or self.rules).controls
        peaks, trades = book.peaks, book.trades
        while peaks and peaks[-1][1] <= equity:
            peaks.pop()
        peaks.append((mark.now_ns, equity))
        oldest = mark.now_ns - lookback_ns(controls.MaxDrawdown)
        while peaks[0][0] <= oldest:
            peaks.popleft()
        trades.extend(mark.closed)
        if trades:
            oldest = mark.now_ns - max(lookback_ns(controls.StoplossGuard), lookback_ns(controls.LowProfit))
            while trades and trades[0].closed_ns <= oldest:
                trades.popleft()

    def _loser(self, rules: Rules, mark: Mark) -> ClosedTrade | None:
        """A position that loses now, as if it were closed at this mark; one past the guard's stop counts as stopped."""
        position = mark.open
        if position is None:
            return None
        profit = mark.cash_flow_e8 + mark.value_e8 - position.opened_e8
        if profit >= 0:
            return None
        is_stop = _is_past_stop(rules, position, profit)
        return ClosedTrade(position.side, mark.now_ns, profit, position.outlay_e8, is_stop)

    def _trades_since(self, run: str, mark: Mark, since_ns: int) -> list[SymbolTrade]:
        """Every run's trades closed within (since, now], and the positions that lose now, each as one trade more."""
        found = [SymbolTrade(self.books[run].symbol, trade) for trade in mark.closed]
        for name, book in self.books.items():
            found += [SymbolTrade(book.symbol, trade) for trade in book.trades]
            last = mark if name == run else Mark(mark.now_ns, book.cash_flow_e8, book.value_e8, (), book.open)
            loser = self._loser(book.rules or self.rules, last)
            if loser is not None:
                found.append(SymbolTrade(book.symbol, loser))
        return [item for item in found if since_ns < item.trade.closed_ns <= mark.now_ns]

    def _peak_e8(self, book: RunBook, since_ns: int, now_ns: int, equity: int) -> int:
        """The account's highest equity at any of its runs' marks within (since, now], this one included.

        What a run starts from is a peak too, though no mark of its own holds it yet.
        """
        found = equity if book.peaks else max(equity, self.equity_e8)
        for other in self.books.values():
            for at, peak in other.peaks:
                if since_ns < at <= now_ns:
                    found = max(found, peak)
                    break  # they fall from here on
        return found

    def _daily_loss(self, rules: Rules, run: str, day: Day, now_ns: int, equity: int) -> list[Lock]:
        settings = rules.controls.daily_loss
        start = day.start_equity_e8
        if not settings.enabled or start <= 0 or not daily_loss.is_tripped(equity, start, settings):
            return []
        if any(
            lock.rule == "daily_loss" and lock.scope == run and lock.until_ns == day.end_ns
            for lock in self.locks
        ):
            return []
        measured = percent_text(start - equity, start)
        return [
            Lock(
                "daily_loss", run, f"equity lost {measured} % of the day's start", now_ns, day.end_ns, "", 0,
                measured, str(settings.pct), "% of the day's start", "daily_loss.pct",
            )
        ]  # fmt: skip


def _is_past_stop(rules: Rules, position: OpenTrade, profit_e8: int) -> bool:
    """Whether an open position has lost what the guard would close it for: a stop that has only not filled yet."""
    guard = rules.controls.position_guard
    return guard.enabled and -profit_e8 * 100 * E8 >= scaled(guard.hard_stop_pct) * position.outlay_e8


def _day_at(zone_name: str, day: Day | None, now_ns: int, before_e8: int, equity_e8: int) -> Day:
    zone = ZoneInfo(zone_name)
    local = (_EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(zone)
    midnight = datetime.combine(local.date(), time(), zone)
    tomorrow = datetime.combine(local.date() + timedelta(days=1), time(), zone)
    # A bar that closes exactly at midnight opens the new day with its own equity. Instants are compared: where the
    # clocks go forward at midnight, the day begins at one.
    at_midnight = _instant_ns(midnight) == now_ns or day is None
    return Day(_instant_ns(tomorrow), equity_e8 if at_midnight else before_e8)


def _instant_ns(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds()) * 1_000_000_000
