"""One run, one bar at a time: the step that backtest, paper and replay share.

No wall clock, no input or output, no threads: everything arrives as an argument and is journalled, so
the journal alone rebuilds the run. `begin` is phases 1-3, `finish` 5-6; between them the runner thinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from inalpha.kernel import commands
from inalpha.kernel.book import Book
from inalpha.kernel.decide import Decider
from inalpha.kernel.exchange import Exchange
from inalpha.kernel.gateway import Gateway
from inalpha.kernel.guard import Guard, NoGuard
from inalpha.kernel.journal import (
    GENESIS_HEAD,
    bar_input,
    bar_members,
    canonical,
    command_input,
    context_text,
    decision_members,
    end_members,
    fill_members,
    next_head,
    reply_members,
)
from inalpha.kernel.orders import LiveOrder
from inalpha.kernel.records import Command, CommandResult, Decision, Fill, JournalEntry, OrderEnd, StepResult
from inalpha.kernel.spec import RunSpec
from inalpha.kernel.view import Activity, make_view
from inalpha.model.bar import Bar
from inalpha.model.order import OrderState
from inalpha.model.risk import AccountContext, RiskCheck, RunView, Stage
from inalpha.model.states import HaltState
from inalpha.model.step import OrderEvent, StepReply, StepRequest


class Runner(Protocol):
    """Answers one step: an in-process driver, a sandboxed one, or a recording."""

    def step(self, request: StepRequest) -> StepReply: ...


class StepError(RuntimeError):
    """The caller broke the step protocol: a bar out of order, finish without begin."""


class Kernel:
    """journal receives every entry, the header first. head covers all inputs and outputs so far."""

    def __init__(
        self,
        spec: RunSpec,
        risk: RiskCheck,
        gateway: Gateway,
        *,
        journal: Callable[[JournalEntry], None],
        guard: Guard | None = None,
    ) -> None:
        self.spec = spec
        self.risk = risk
        self.gateway = gateway
        self.guard: Guard = guard or NoGuard()
        self.book = Book(spec.instrument, spec.opening_cash_e8)
        self.exchange = Exchange(spec, self.book, self._check_fill)
        self.pending: dict[str, LiveOrder] = {}
        self.activity = Activity()
        self.decider = Decider(self)
        self.bars = 0
        self.last_bar: Bar | None = None
        self.now_ns = 0
        self.lag_ns = 0
        self.received_ns = 0
        self.head = GENESIS_HEAD
        self.halt = HaltState.ACTIVE
        self.runner_ended = False
        self.ended = False
        self.warmed = 0
        self.trips = 0
        self._journal = journal
        self._entries = 0
        self._context: AccountContext | None = None
        self._begin_text = "null"
        self._open: Bar | None = None
        self._asked = False
        self._quiet = self._quiet_lost = ""
        self._mark_book()
        self._link("header", spec.header(), "{}")

    # What others read.

    @property
    def position_lots(self) -> int:
        return self.book.lots

    @property
    def orders(self) -> tuple[LiveOrder, ...]:
        """Every order that works or awaits approval, by order number."""
        if not self.exchange.working and not self.pending:
            return ()
        live = [*self.exchange.working.values(), *self.pending.values()]
        return tuple(sorted(live, key=_by_number))

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
        self.warmed += len(bars)
        return self._link("warmup", canonical({"bars": [bar_members(bar) for bar in bars]}), "{}")

    def anomaly(self, kind: str, detail: str) -> JournalEntry:
        """Journal what the gate found between two bars (gap, duplicate, revision); it fills nothing (M24)."""
        return self._link("anomaly", canonical({"kind": kind, "detail": detail}), "{}")

    def begin(self, bar: Bar, received_ns: int, context: AccountContext) -> StepRequest | None:
        """Clock, timers and matching; then the runner's question, or None when the runner has ended."""
        if self._open is not None:
            raise StepError(f"bar {self._open.sequence} was begun and not finished")
        if bar.sequence != self.bars:
            raise StepError(f"got bar {bar.sequence}, want {self.bars}")
        now = bar.close_time_ns
        if bar.open_time_ns < self.now_ns or now <= bar.open_time_ns:
            raise StepError(f"bar {bar.sequence} opens before the run's time")
        self._begin_text = "null" if context is self._context else self._context_input(context)
        self._open = bar
        self.received_ns = received_ns
        self.lag_ns = received_ns - now
        activity = self.activity
        if activity.orders_this_bar or activity.bar_requests:
            activity.new_bar()
        exchange = self.exchange
        if exchange.working:
            exchange.expire_before(now)
            exchange.process_bar(bar)
            exchange.expire_at(now)
        self.now_ns = now
        self.last_bar = bar
        activity.closes.append(bar.close_ticks)
        exchange.previous_volume_e8 = bar.volume_e8
        self._asked = not self.runner_ended
        return self._request(bar) if self._asked else None

    def finish(self, reply: StepReply | None, context: AccountContext) -> StepResult:
        """Guard, cancels, intents, journal.

        reply None where the runner was asked: it is lost, the run goes on without it, entries cancelled.
        """
        bar = self._open
        if bar is None:
            raise StepError("finish without begin")
        finish_text = "null" if context is self._context else self._context_input(context)
        lost = self._asked and reply is None
        error = reply.error if reply is not None else ""
        decisions = self.decider.guard_exit(bar, context) if self.book.lots else ()
        if lost or error:
            self.end_runner("RUN_FAILED")
        elif reply is not None and reply.intents:
            decisions += self.decider.intents(reply, bar, context)
        self._open = None
        self.bars += 1
        fills, ends = self._drain()
        book = self.book
        value = book.value_e8(bar.close_ticks)
        book.verify(value)
        if fills:
            self._mark_book()
        input_text = bar_input(bar, self._begin_text, finish_text, self.received_ns, lost)
        entry = self._link("bar", input_text, self._bar_output(fills, ends, decisions, reply))
        logs = reply.logs if reply is not None else ()
        return StepResult(
            bar,
            entry,
            fills,
            ends,
            decisions,
            logs,
            error,
            book.lots,
            book.cash_e8,
            book.cash_e8 + value,
        )

    def step(self, bar: Bar, received_ns: int, context: AccountContext, runner: Runner) -> StepResult:
        """One whole step for synchronous users."""
        request = self.begin(bar, received_ns, context)
        return self.finish(runner.step(request) if request is not None else None, context)

    def command(self, command: Command, context: AccountContext) -> CommandResult:
        """Take a journalled control between two bars."""
        if self._open is not None:
            raise StepError("a command came inside a step")
        outcome = commands.apply(self, command, context)
        fills, ends = self._drain()
        if fills:
            self._mark_book()
        output = canonical(
            {
                "accepted": outcome.accepted,
                "code": outcome.code,
                "ends": [end_members(end) for end in ends],
                "refusals": [refusal.code for refusal in outcome.refusals],
            }
        )
        entry = self._link("command", command_input(command, context_text(context)), output)
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
            if entries_only and not order.is_entry(self.book.lots):
                continue
            self.end_pending(order, OrderState.CANCELLED, code)

    def end_runner(self, code: str) -> None:
        """The strategy is asked no more. Its entries end; exits stay while there is a position to protect."""
        self.runner_ended = True
        for order in list(self.pending.values()):
            self.end_pending(order, OrderState.CANCELLED, code)
        self.cancel_orders(code, entries_only=True)

    # Helpers.

    def _request(self, bar: Bar) -> StepRequest:
        book, exchange = self.book, self.exchange
        events: tuple[OrderEvent, ...] = ()
        if exchange.events:
            events = tuple(exchange.events)
            exchange.events.clear()
        return StepRequest(
            bar.sequence,
            bar.close_time_ns,
            events,
            (
                bar.open_time_ns,
                bar.close_time_ns,
                bar.open_ticks,
                bar.high_ticks,
                bar.low_ticks,
                bar.close_ticks,
                bar.volume_e8,
            ),
            (book.lots, book.cost_e8),
            (book.cash_e8, book.cash_e8 + book.value_e8(bar.close_ticks)),
            tuple(order.view() for order in self.orders) if exchange.working or self.pending else (),
        )

    def _check_fill(self, order: LiveOrder, price_ticks: int, bar: Bar) -> str:
        """Risk's last look, at the price that would be paid. The view's bar is the filling one."""
        context = self._context
        if context is None:
            return ""
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
            price_ticks,
        )
        refusals = self.risk.check(order.request, view, Stage.FILL)
        return refusals[0].code if refusals else ""

    def _context_input(self, context: AccountContext) -> str:
        """The context's text, or null where it equals the one before it in the journal."""
        if context == self._context:
            return "null"
        self._context = context
        return context_text(context)

    def _drain(self) -> tuple[tuple[Fill, ...], tuple[OrderEnd, ...]]:
        exchange = self.exchange
        if not exchange.fills and not exchange.ends:
            return (), ()
        fills, ends = tuple(exchange.fills), tuple(exchange.ends)
        self.activity.entry_fills.extend(exchange.entry_fills)
        exchange.fills.clear()
        exchange.ends.clear()
        exchange.entry_fills.clear()
        return fills, ends

    def _mark_book(self) -> None:
        """Keep the output of a bar on which nothing happens: most bars are such."""
        book = self.book
        text = f"[{book.cash_e8},{book.lots},{book.cost_e8},{book.realised_e8},{book.fees_e8}]"
        start = f'{{"book":{text},"decisions":[],"ends":[],"fills":[],"reply":'
        self._quiet = start + '{"error":"","intents":[],"logs":[]}}'
        self._quiet_lost = start + "null}"

    def _bar_output(
        self,
        fills: tuple[Fill, ...],
        ends: tuple[OrderEnd, ...],
        decisions: tuple[Decision, ...],
        reply: StepReply | None,
    ) -> str:
        if not (fills or ends or decisions) and (
            reply is None or not (reply.intents or reply.logs or reply.error)
        ):
            return self._quiet_lost if reply is None else self._quiet
        book = self.book
        return canonical(
            {
                "book": [book.cash_e8, book.lots, book.cost_e8, book.realised_e8, book.fees_e8],
                "decisions": [decision_members(decision) for decision in decisions],
                "ends": [end_members(end) for end in ends],
                "fills": [fill_members(fill) for fill in fills],
                "reply": reply_members(reply),
            }
        )

    def _link(self, kind: str, input_text: str, output_text: str) -> JournalEntry:
        self.head = next_head(self.head, input_text, output_text)
        last = self.bars - 1 if self.bars else None
        entry = JournalEntry(self._entries, kind, last, input_text, output_text, self.head)
        self._entries += 1
        self._journal(entry)
        return entry


def _by_number(order: LiveOrder) -> int:
    return order.number
