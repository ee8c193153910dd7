"""One run, one bar at a time: the step that backtest, paper and replay share.

No wall clock, no input or output, no threads: everything arrives as an argument and is journalled, so
the journal alone rebuilds the run. `begin` is phases 1-3, `finish` 5-6; between them the runner thinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from inalpha.kernel import commands
from inalpha.kernel.book import Book
from inalpha.kernel.chain import Chain, bar_text
from inalpha.kernel.decide import Decider
from inalpha.kernel.exchange import Exchange
from inalpha.kernel.gateway import Gateway, NoRisk
from inalpha.kernel.guard import Guard, NoGuard
from inalpha.kernel.journal import (
    bar_input,
    bar_output,
    book_text,
    command_input,
    context_text,
    refusal_members,
    text_of,
)
from inalpha.kernel.orders import LiveOrder, by_number
from inalpha.kernel.records import Command, CommandResult, Fill, JournalEntry, OrderEnd, StepResult
from inalpha.kernel.spec import RunSpec
from inalpha.kernel.trades import TradeFold
from inalpha.kernel.view import Activity, make_claim, make_view
from inalpha.model.allowance import Allowance
from inalpha.model.bar import Bar
from inalpha.model.order import OrderState
from inalpha.model.risk import (
    AccountContext,
    ClosedTrade,
    FillTerms,
    Mark,
    Refusal,
    RiskCheck,
    RunClaim,
    RunView,
    Stage,
    Trip,
)
from inalpha.model.states import HaltState
from inalpha.model.step import OrderEvent, StepReply, StepRequest

_NOTHING: tuple[tuple[Fill, ...], tuple[OrderEnd, ...]] = ((), ())


class Runner(Protocol):
    """Answers one step: an in-process driver, a sandboxed one, or a recording."""

    def step(self, request: StepRequest) -> StepReply: ...


class StepError(RuntimeError):
    """The caller broke the step protocol: a bar out of order, finish without begin."""


class Kernel:
    """journal receives every entry, the header first; or lines receives them as text, many at a time.

    head covers all inputs and outputs so far.
    """

    def __init__(
        self,
        spec: RunSpec,
        risk: RiskCheck,
        gateway: Gateway,
        *,
        journal: Callable[[JournalEntry], None] | None = None,
        lines: Callable[[bytes], None] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.spec = spec
        self.risk = risk
        self._allowance = Allowance()
        self.gateway = gateway
        self.guard: Guard = guard or NoGuard()
        self.book = Book(spec.instrument, spec.opening_cash_e8)
        self.exchange = Exchange(spec, self.book, self._check_fill)
        self.pending: dict[str, LiveOrder] = {}
        self.activity = Activity()
        self.trades = TradeFold(spec.instrument, spec.opening_cash_e8)
        self.closed: list[ClosedTrade] = []
        self.decider = Decider(self)
        self.bars = 0
        self.last_bar: Bar | None = None
        self.now_ns = 0
        self.lag_ns = 0
        self.halt = HaltState.ACTIVE
        self.runner_ended = False
        self.ended = False
        self.warmed = 0
        self.trips = 0
        self.chain = Chain(journal, lines)
        self._guarded = not isinstance(self.guard, NoGuard)
        self._context: AccountContext | None = None
        self._begin_text = ""
        self._open: Bar | None = None
        self._equity_e8 = spec.opening_cash_e8
        self._asked = False
        self._folded = 0
        self._take_book()
        self.chain.add("header", spec.header(), "{}")

    # What others read.

    @property
    def head(self) -> str:
        return self.chain.head

    @property
    def received_ns(self) -> int:
        return self.now_ns + self.lag_ns

    @property
    def position_lots(self) -> int:
        return self.book.lots

    @property
    def orders(self) -> tuple[LiveOrder, ...]:
        """Every order that works or awaits approval, by order number."""
        if not self.exchange.working and not self.pending:
            return ()
        live = [*self.exchange.working.values(), *self.pending.values()]
        return tuple(sorted(live, key=by_number))

    @property
    def claim(self) -> RunClaim:
        """What this run may still do to its account: see RunClaim."""
        close = self.last_bar.close_ticks if self.last_bar else 0
        return make_claim(self.spec, self.book, self.orders, close)

    def mark(self, closed: tuple[ClosedTrade, ...] | None = None) -> Mark:
        """The run's book at its last bar, for its account. closed: of a finished step; else of the one begun."""
        bar = self.last_bar
        if bar is None:
            raise StepError("there is no bar yet")
        book = self.book
        return Mark(
            bar.close_time_ns,
            book.cash_e8 - self.spec.opening_cash_e8,
            book.value_e8(bar.close_ticks),
            tuple(self.closed) if closed is None else closed,
            self.trades.open,
        )

    @property
    def equity_e8(self) -> int:
        close = self.last_bar.close_ticks if self.last_bar else 0
        return self.book.cash_e8 + self.book.value_e8(close)

    def run_view(self, context: AccountContext) -> RunView:
        """The run as a risk control would see it now. Raises StepError before the first bar."""
        return self.view_at(context, self.now_ns, None)

    def view_at(self, context: AccountContext, now_ns: int, plan_close_ticks: int | None) -> RunView:
        bar = self.last_bar
        if bar is None:
            raise StepError("there is no bar yet")
        return make_view(
            self.spec,
            self.book,
            self.activity,
            self.orders,
            bar,
            bar.close_ticks,
            now_ns,
            self.lag_ns,
            plan_close_ticks,
            context,
        )

    # Inputs.

    def warm(self, bars: Sequence[Bar]) -> JournalEntry:
        """Bars before the run's first: they feed indicators and the rate of closes, never a decision."""
        if self.bars:
            raise StepError("warm-up comes before the first bar")
        for bar in bars:
            self.activity.closes.append(bar.close_ticks)
            self.exchange.previous_volume_e8 = bar.volume_e8
            self.guard.observe(bar, 0, 0)
        self.warmed += len(bars)
        return self.chain.add("warmup", f'{{"bars":[{",".join(map(bar_text, bars))}]}}', "{}")

    def anomaly(self, kind: str, detail: str) -> JournalEntry:
        """Journal what the gate found between two bars (gap, duplicate, revision); it fills nothing (M24)."""
        return self.chain.add("anomaly", text_of({"kind": kind, "detail": detail}), "{}")

    def begin(self, bar: Bar, received_ns: int, context: AccountContext) -> StepRequest | None:
        """Clock, timers and matching; then the runner's question, or None when the runner has ended."""
        if self._open is not None:
            raise StepError(f"bar {self._open.sequence} was begun and not finished")
        if bar.sequence != self.bars:
            raise StepError(f"got bar {bar.sequence}, want {self.bars}")
        now = bar.close_time_ns
        if bar.open_time_ns < self.now_ns or now <= bar.open_time_ns:
            raise StepError(f"bar {bar.sequence} opens before the run's time")
        self._begin_text = "" if context is self._context else self._context_input(context)
        self._open = bar
        self.lag_ns = received_ns - now
        exchange, activity = self.exchange, self.activity
        if activity.orders_this_bar or activity.bar_requests:
            activity.new_bar()
        if exchange.working:
            self._match(bar, now)
        self.now_ns = now
        self.last_bar = bar
        activity.closes.append(bar.close_ticks)
        exchange.previous_volume_e8 = bar.volume_e8
        book = self.book
        if self._guarded:
            self.guard.observe(bar, book.lots, exchange.position_number)
        cash = book.cash_e8
        self._equity_e8 = cash + book.value_e8(bar.close_ticks) if book.lots else cash
        if self.runner_ended:
            self._asked = False
            return None
        self._asked = True
        return StepRequest(
            bar.sequence,
            now,
            self._take_events() if exchange.events else (),
            bar,
            self._position,
            (cash, self._equity_e8),
            tuple([order.view() for order in self.orders]) if exchange.working or self.pending else (),
        )

    def finish(self, reply: StepReply | None, context: AccountContext) -> StepResult:
        """Guard, cancels, intents, journal.

        reply None where the runner was asked: it is lost, the run goes on without it, entries cancelled.
        """
        bar = self._open
        if bar is None:
            raise StepError("finish without begin")
        finish_text = "" if context is self._context else self._context_input(context)
        book = self.book
        decisions = self.decider.guard_exit(bar, context) if book.lots and self._guarded else ()
        self.activity.worst_row = refused_before = self.activity.refusals
        lost = False
        if reply is None:
            lost = self._asked
            reply = StepReply(bar.sequence)
        intents, logs, error = reply.intents, reply.logs, reply.error
        if lost or error:
            self.end_runner("RUN_FAILED")
        elif intents:
            decisions += self.decider.intents(reply, bar, context)
        self._open = None
        self.bars += 1
        exchange = self.exchange
        entered = bool(exchange.entry_fills)
        fills, ends = self._drain() if exchange.fills or exchange.ends else _NOTHING
        closed: tuple[ClosedTrade, ...] = ()
        trips: tuple[Trip, ...] = ()
        if fills or decisions:
            closed = self._take_closed()
            trips = self._trips(context, entered, self.activity.worst_row > refused_before)
        begin_text, lag_ns = self._begin_text, self.lag_ns
        spoke = intents or logs or error or lost or reply.dropped_bytes
        if spoke or fills or ends or decisions or lag_ns or begin_text or finish_text:
            if fills:
                self._take_book()
                self._equity_e8 = book.cash_e8 + book.value_e8(bar.close_ticks)
            written = self.chain.bar(
                bar_input(bar, begin_text, finish_text, lag_ns, lost),
                bar_output(book_text(book), fills, ends, decisions, reply),
            )
        else:
            written = self.chain.quiet(bar)
        return StepResult(
            bar, fills, ends, decisions, logs, error, book.lots, book.cash_e8, self._equity_e8, written,
            closed, trips, reply.dropped_bytes,
        )  # fmt: skip

    def heard(self, reply: StepReply) -> StepReply:
        """What a runner has just said about the open bar, with as much of its words as the run keeps."""
        return self._allowance.keep(reply, self.now_ns)

    def ask(self, request: StepRequest | None, runner: Runner) -> StepReply | None:
        """A runner's answer as the run keeps it; None where there is nobody to ask."""
        return None if request is None else self.heard(runner.step(request))

    def step(self, bar: Bar, received_ns: int, context: AccountContext, runner: Runner) -> StepResult:
        """One whole step for synchronous users."""
        request = self.begin(bar, received_ns, context)
        return self.finish(self.ask(request, runner), context)

    def command(self, command: Command, context: AccountContext) -> CommandResult:
        """Take a journalled control between two bars."""
        if self._open is not None:
            raise StepError("a command came inside a step")
        outcome = commands.apply(self, command, context)
        fills, ends = self._drain()
        if fills:
            self._take_book()
        output = text_of(
            {
                "accepted": outcome.accepted,
                "code": outcome.code,
                "ends": ends,
                "refusals": [refusal_members(refusal) for refusal in outcome.refusals],
            }
        )
        entry = self.chain.add("command", command_input(command, context), output)
        return CommandResult(entry, outcome.accepted, outcome.code, fills, ends, outcome.refusals)

    # Shared with decide.py and commands.py.

    def event(self, kind: str, order_id: str, code: str = "", reason: str = "", quantity: int = 0) -> None:
        self.exchange.events.append(
            OrderEvent(kind, order_id, self.now_ns, quantity, code=code, reason=reason)
        )

    def end_pending(self, order: LiveOrder, state: OrderState, code: str) -> None:
        self.pending.pop(order.id, None)
        self.exchange.end(order, state, code, self.now_ns)

    def cancel_orders(self, code: str, *, entries_only: bool) -> None:
        """Cancel working orders and every plan that awaits a person (entries_only: spare the exits)."""
        for order in self.orders:
            if entries_only and not order.is_entry:
                continue
            self.end_pending(order, OrderState.CANCELLED, code)

    def end_runner(self, code: str) -> None:
        """The strategy is asked no more. Its entries end; exits stay while there is a position to protect."""
        self.runner_ended = True
        for order in list(self.pending.values()):
            self.end_pending(order, OrderState.CANCELLED, code)
        self.cancel_orders(code, entries_only=True)

    # Helpers.

    def _match(self, bar: Bar, now: int) -> None:
        """Phase 3, with the timers that surround it."""
        exchange = self.exchange
        exchange.expire_before(now)
        exchange.process_bar(bar)
        exchange.expire_at(now)
        if exchange.fills:
            self._position = (self.book.lots, self.book.cost_e8)
            self.fold_trades()

    def fold_trades(self) -> None:
        """Fills since the last look, so that risk knows of a trade that closed on the very bar it judges."""
        fills = self.exchange.fills
        for fill in fills[self._folded :]:
            trade = self.trades.take(fill)
            if trade is not None:
                self.closed.append(trade)
                self.activity.trade_closed(trade, fill.bar)
        self._folded = len(fills)

    def _take_closed(self) -> tuple[ClosedTrade, ...]:
        closed = tuple(self.closed)
        self.closed.clear()
        return closed

    def _trips(self, context: AccountContext, entered: bool, refused: bool) -> tuple[Trip, ...]:
        """Triggers of the run alone. One that may only reduce already is not tripped again."""
        if self.halt is not HaltState.ACTIVE or not (entered or refused):
            return ()
        return self.risk.trips(self.run_view(context), entered=entered, refused=refused)

    def _take_events(self) -> tuple[OrderEvent, ...]:
        events = tuple(self.exchange.events)
        self.exchange.events.clear()
        return events

    def _check_fill(
        self, order: LiveOrder, bar: Bar, price_ticks: int, lots: int, fee_e8: int
    ) -> tuple[Refusal, ...]:
        """Risk's last look at an entry, at the price that would be paid. The view's bar is the filling one."""
        context = self._context
        if context is None or isinstance(self.risk, NoRisk):
            return ()
        mark = self.activity.closes[-1] if self.activity.closes else bar.open_ticks
        view = make_view(
            self.spec,
            self.book,
            self.activity,
            self.orders,
            bar,
            mark,
            max(self.now_ns, bar.open_time_ns),
            0,
            order.plan_close_ticks,
            context,
            FillTerms(price_ticks, lots, fee_e8),
        )
        return self.risk.check(order.request, view, Stage.FILL)

    def _context_input(self, context: AccountContext) -> str:
        """The context's text, or "" where it equals the one before it in the journal."""
        if context == self._context:
            return ""
        self._context = context
        return context_text(context)

    def _drain(self) -> tuple[tuple[Fill, ...], tuple[OrderEnd, ...]]:
        exchange = self.exchange
        self.fold_trades()
        self._folded = 0
        fills, ends = tuple(exchange.fills), tuple(exchange.ends)
        self.activity.entry_fills.extend(exchange.entry_fills)
        exchange.fills.clear()
        exchange.ends.clear()
        exchange.entry_fills.clear()
        return fills, ends

    def _take_book(self) -> None:
        """The book has changed: check it, and keep what each step repeats of it."""
        book = self.book
        book.verify()
        self._position = (book.lots, book.cost_e8)
        self.chain.expect(f'{{"book":{book_text(book)}}}')
