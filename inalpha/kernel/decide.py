"""Phase 5: from a reply's intents to decisions, in order: guard exit, cancels, then orders by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inalpha.kernel.gateway import Disposition, NoRisk
from inalpha.kernel.normalise import InvalidIntent, normalise, refusal_of
from inalpha.kernel.orders import LiveOrder
from inalpha.kernel.records import Decision
from inalpha.kernel.refused import GUARD_PENDING, book_negative
from inalpha.kernel.trades import GUARD_N, intent_number
from inalpha.model.bar import Bar
from inalpha.model.instrument_terms import instrument_refusal
from inalpha.model.order import OrderRequest, OrderState, OrderType, Side
from inalpha.model.reduction import tagged
from inalpha.model.risk import AccountContext, Refusal, Stage
from inalpha.model.states import HaltState
from inalpha.model.step import MAX_INTENTS, Intent, StepReply

if TYPE_CHECKING:
    from inalpha.kernel.kernel import Kernel

# T4 counts refusals by these, and by the exchange: what a sane strategy does not run into again and again.
_STREAK_CONTROLS = frozenset({"P1", "P3", "P4", "P5", "P6", "P9", "P10", "P11", "P12", "P13"})
_DENIED_BY_EXCHANGE = ("SHORT_NOT_ALLOWED", "NOTHING_TO_REDUCE")


class Decider:
    """Turns intents into working orders, pending plans or refusals for one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def intents(self, reply: StepReply, bar: Bar, context: AccountContext) -> tuple[Decision, ...]:
        """Every intent's decision. Cancels come first: they free cash and rate for the orders."""
        for intent in reply.intents:
            if intent.action == "cancel":
                self._cancel(intent)
        seen: set[int] = set()
        decisions = []
        for intent in sorted(reply.intents, key=_by_number):
            if intent.action == "cancel":
                continue
            decision = self._decide(intent, intent.n in seen, bar, context)
            self._count(decision)
            decisions.append(decision)
            seen.add(intent.n)
        return tuple(decisions)

    def _count(self, decision: Decision) -> None:
        """Orders refused in a row. What a halt, a lock or a block refuses is no fault of the strategy."""
        activity = self._kernel.activity
        if any(refusal.control == "T6" for refusal in decision.refusals):
            return
        if not decision.code:
            activity.refusals = 0
        elif decision.outcome == "rejected" or any(
            refusal.control in _STREAK_CONTROLS for refusal in decision.refusals
        ):
            activity.refused()

    def guard_exit(self, bar: Bar, context: AccountContext) -> tuple[Decision, ...]:
        """The guard's reduce_only market exit for the whole position; one at a time.

        It ends the run's working entries: one that fills later would open again what the guard is closing. A plan
        that awaits a person is refused while the exit works, and after it the person sees a flat position.
        Under HALTED nothing may work: the exit is a plan that waits for a person, who approves it once resumed.
        """
        kernel = self._kernel
        book = kernel.book
        if self.guard_works():
            return ()
        waits = context.halt is HaltState.HALTED
        plans = self._guard_plans()
        if context.halt is HaltState.KILLED or (waits and plans):
            return ()
        rule = kernel.guard.trip(kernel.run_view(context), (book.cost_e8, book.lots))
        if not rule:
            if (
                not waits
            ):  # the halt is over and nothing trips any more: the exit that was planned under it is none
                for plan in plans:
                    kernel.end_pending(plan, OrderState.CANCELLED, "GUARD_QUIET")
            return ()
        kernel.trips += 1
        for plan in plans:  # the guard may act again: its own exit takes the place of the plan
            kernel.end_pending(plan, OrderState.CANCELLED, rule)
        for working in tuple(kernel.exchange.working.values()):
            if working.is_entry:
                kernel.end_pending(working, OrderState.CANCELLED, rule)
        side = Side.SELL if book.lots > 0 else Side.BUY
        order = OrderRequest(
            f"{bar.sequence}:{GUARD_N}",
            side,
            OrderType.MARKET,
            abs(book.lots),
            reduce_only=True,
            reason=rule,
        )
        raw = Intent(
            GUARD_N,
            "order",
            order.side.text,
            kernel.spec.instrument.quantity_text(abs(book.lots)),
            reason=rule,
        )
        return (self._place(order, raw, bar, context, is_guard=True, waits=waits),)

    def _guard_plans(self) -> list[LiveOrder]:
        """Exits of the guard that wait for a person."""
        pending = self._kernel.pending.values()
        return [order for order in pending if intent_number(order.request.intent) == GUARD_N]

    def guard_works(self) -> bool:
        """Whether an exit of the guard waits for its fill."""
        return any(
            intent_number(order.request.intent) == GUARD_N for order in self._kernel.exchange.working.values()
        )

    def entry_refusals(self, order: OrderRequest) -> tuple[Refusal, ...]:
        """What the state of the run's own book holds against an entry, whatever the risk rules say."""
        if order.reduce_only:
            return ()
        found = (GUARD_PENDING,) if self.guard_works() or self._guard_plans() else ()
        cash_e8 = self._kernel.book.cash_e8
        return (*found, book_negative(cash_e8)) if cash_e8 < 0 else found

    def exchange_refusals(self, order: LiveOrder, close_ticks: int) -> tuple[Refusal, ...]:
        """What the exchange demands on arrival; where no rules do it, its smallest value of an entry too (P13)."""
        kernel = self._kernel
        instrument, request = kernel.spec.instrument, order.request
        if instrument.min_notional_e8 and isinstance(kernel.risk, NoRisk):
            ticks = request.limit_ticks or request.stop_ticks or close_ticks
            found = instrument_refusal(request, instrument, ticks)
            if found is not None:
                return (found,)
        found = kernel.exchange.check_submit(order, close_ticks)
        return () if found is None else (found,)

    def tagged(self, order: OrderRequest) -> OrderRequest:
        """The order with reduce_only set where it can only make the run's position smaller."""
        kernel = self._kernel
        seen = [live.projection(0) for live in kernel.orders]
        return tagged(order, kernel.book.lots, seen, allow_short=kernel.spec.allow_short)

    def _cancel(self, intent: Intent) -> None:
        """A finished or unknown order is left alone, and so is one that is not the strategy's own."""
        kernel = self._kernel
        order = kernel.exchange.working.get(intent.cancel or "") or kernel.pending.get(intent.cancel or "")
        # It could else cancel the guard's exit as often as that is made.
        if order is not None and 0 <= intent_number(order.request.intent) < MAX_INTENTS:
            kernel.end_pending(order, OrderState.CANCELLED, "STRATEGY")

    def _decide(self, intent: Intent, is_repeated: bool, bar: Bar, context: AccountContext) -> Decision:
        kernel = self._kernel
        order_id = f"{bar.sequence}:{intent.n}"
        if is_repeated or not 0 <= intent.n < MAX_INTENTS:
            return self._deny(intent, order_id, None, (refusal_of("DUPLICATE_INTENT"),))
        if intent.action != "order":
            return self._deny(intent, order_id, None, (refusal_of("BAD_ACTION"),))
        try:
            order = normalise(intent, order_id, kernel.spec.instrument, bar.close_ticks, kernel.now_ns)
        except InvalidIntent as invalid:
            return self._deny(intent, order_id, None, (invalid.refusal,))
        return self._place(order, intent, bar, context)

    def _place(
        self,
        order: OrderRequest,
        raw: Intent,
        bar: Bar,
        context: AccountContext,
        *,
        is_guard: bool = False,
        waits: bool = False,
    ) -> Decision:
        """Risk as advice and binding, the exchange's own demands, then the gateway's route.

        waits: an exit of the guard under a halt, which risk judges at its approval alone.
        """
        kernel = self._kernel
        order = self.tagged(order)
        refusals: tuple[Refusal, ...] = ()
        disposition = Disposition.WORKING if is_guard else kernel.gateway.route(order)
        if waits:
            disposition = Disposition.PENDING
        elif not isinstance(kernel.risk, NoRisk):
            view = kernel.view_at(context, kernel.now_ns, bar.close_ticks)
            refusals = kernel.risk.check(order, view, Stage.ADVICE)
            if not refusals and disposition is Disposition.WORKING:
                refusals = kernel.risk.check(order, view, Stage.BINDING)
        live = kernel.exchange.new_order(order, bar.close_ticks)
        refusals = (*refusals, *self.entry_refusals(order))
        if refusals:
            return self._deny(raw, order.intent, order, refusals)
        refusals = self.exchange_refusals(live, bar.close_ticks)
        if refusals:
            return self._deny(raw, order.intent, order, refusals, by_exchange=True)
        kernel.activity.bar_requests.append((int(order.side), order.quantity_lots))
        if disposition is Disposition.PENDING:
            kernel.pending[live.id] = live
            kernel.event("pending", live.id, quantity=order.quantity_lots)
            return Decision(order.intent, raw.n, order, "pending", "", (), raw)
        kernel.exchange.accept(live, self._accepted_ns(live), kernel.now_ns)
        kernel.activity.order_executed(kernel.now_ns)
        if kernel.spec.fill == "same_close":
            kernel.exchange.fill_now(live, bar)
            kernel.fold_trades()  # the next order of this bar is judged by what this one has closed
        return Decision(order.intent, raw.n, order, "working", "", (), raw)

    def _accepted_ns(self, order: LiveOrder) -> int:
        """M1, and M26: a decision on a stale bar must not match bars that were over when it was made."""
        kernel = self._kernel
        is_stale = kernel.lag_ns > kernel.spec.lag_limit_ns
        return max(kernel.now_ns, kernel.received_ns) if is_stale else kernel.now_ns

    def _deny(
        self,
        raw: Intent,
        order_id: str,
        order: OrderRequest | None,
        refusals: tuple[Refusal, ...],
        *,
        by_exchange: bool = False,
    ) -> Decision:
        """The first refusal answers. risk_rejected: by a control; rejected: no order, or by the exchange."""
        code = refusals[0].code
        is_told_rejected = by_exchange and code not in _DENIED_BY_EXCHANGE
        self._kernel.event("rejected" if is_told_rejected else "denied", order_id, code, raw.reason)
        is_risk = order is not None and not by_exchange
        return Decision(
            order_id, raw.n, order, "risk_rejected" if is_risk else "rejected", code, refusals, raw
        )


def _by_number(intent: Intent) -> int:
    return intent.n
