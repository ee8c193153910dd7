"""What a journalled control does to a run: one function per kind, refused with a code where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inalpha.kernel.normalise import refusal_of
from inalpha.kernel.orders import LiveOrder
from inalpha.kernel.records import Command
from inalpha.kernel.refused import NOTHING_TO_REDUCE
from inalpha.model.order import OrderState
from inalpha.model.risk import AccountContext, Refusal, Stage
from inalpha.model.states import HaltState

if TYPE_CHECKING:
    from inalpha.kernel.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Outcome:
    accepted: bool
    code: str = ""
    refusals: tuple[Refusal, ...] = ()


_DONE = Outcome(True)
RECONNECTED = "RECONNECTED"  # a resume by a fresh bar, which no person has seen


def apply(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """Dispatch by kind. Raises ValueError for a kind that the table does not hold."""
    handler = _HANDLERS.get(command.kind)
    if handler is None:
        raise ValueError(f"unknown command {command.kind!r}; known: {', '.join(sorted(_HANDLERS))}")
    return handler(kernel, command, context)


def _approve(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """A person signed: risk binds again with today's account, then the order works from this instant (M1)."""
    order = kernel.pending.pop(command.intent or "", None)
    if order is None:
        return Outcome(False, "UNKNOWN_ORDER")
    now = max(kernel.now_ns, command.at_ns)
    # A plan does not stand in its own way: neither as a waiting order nor as a request of the bar.
    view = replace(kernel.view_at(context, now, order.plan_close_ticks), bar_requests=())
    refusals = kernel.risk.check(order.request, view, Stage.BINDING)
    refusals += kernel.decider.entry_refusals(order.request)
    if not refusals:
        refusals = kernel.decider.exchange_refusals(order, view.bar.close_ticks)
    expires = order.request.expires_ns
    if not refusals and expires is not None and expires <= now:
        refusals = (refusal_of("BAD_EXPIRES"),)
    if refusals:
        kernel.end_pending(order, OrderState.DENIED, refusals[0].code)
        return Outcome(False, refusals[0].code, refusals)
    kernel.exchange.accept(order, now, now)
    kernel.activity.order_executed(now)
    return _DONE


def _reject(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    return _end_plan(kernel, command, OrderState.DENIED, "REJECTED")


def _expire(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    return _end_plan(kernel, command, OrderState.EXPIRED, "PLAN_EXPIRED")


def _end_plan(kernel: Kernel, command: Command, state: OrderState, code: str) -> Outcome:
    order = kernel.pending.get(command.intent or "")
    if order is None:
        return Outcome(False, "UNKNOWN_ORDER")
    kernel.end_pending(order, state, command.code or code)
    return _DONE


def _cancel(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    wanted = command.intent or ""
    order = kernel.pending.get(wanted) or kernel.exchange.working.get(wanted)
    if order is None:
        return Outcome(False, "UNKNOWN_ORDER")
    kernel.end_pending(order, OrderState.CANCELLED, command.code or "OPERATOR")
    return _DONE


def _halt(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """REDUCING spares exits; HALTED and KILLED cancel everything; KILLED ends the runner too."""
    state = command.state or HaltState.HALTED
    kernel.halt = state
    code = command.code or state.value
    if state is HaltState.REDUCING:
        kernel.cancel_orders(code, entries_only=True)
    elif state is not HaltState.ACTIVE:
        kernel.cancel_orders(code, entries_only=False)
    if state is HaltState.KILLED:
        kernel.end_runner(code)
    return _DONE


def _resume(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    kernel.halt = command.state or HaltState.ACTIVE
    if command.code != RECONNECTED:
        kernel.activity.refusals = kernel.activity.worst_row = 0  # a person looked at it: the row starts anew
    return _DONE


def _stop(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """The run ends for its strategy; a position is left open, its exits keep working until it is flat."""
    kernel.end_runner(command.code or "RUN_ENDED")
    return _DONE


def _end(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """No more bars will come (M25): nothing can fill any more."""
    kernel.end_runner(command.code or "RUN_ENDED")
    kernel.cancel_orders(command.code or "RUN_ENDED", entries_only=False)
    kernel.ended = True
    return _DONE


def _caretake(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """An ended run's position is stepped on again, under its exits and the guard, without its strategy."""
    if not kernel.runner_ended:
        return Outcome(False, "RUN_STATE")
    kernel.ended = False
    return _DONE


def _limits(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """Other rules bind from here on, in the guard too; their text is an input, so the journal needs no file."""
    kernel.risk = kernel.risk.under(command.reason)
    kernel.guard = kernel.guard.under(command.reason)
    return _DONE


def _plan(kernel: Kernel, command: Command, context: AccountContext) -> Outcome:
    """An order from outside the strategy waits for its approval, which is a command of its own."""
    if command.order is None or kernel.last_bar is None:
        return Outcome(False, "NO_ORDER" if command.order is None else "NO_BAR")
    order: LiveOrder = kernel.exchange.new_order(command.order, kernel.last_bar.close_ticks)
    if order.id in kernel.pending or order.id in kernel.exchange.working:
        return Outcome(False, "DUPLICATE_INTENT")
    view = kernel.view_at(context, max(kernel.now_ns, command.at_ns), kernel.last_bar.close_ticks)
    if order.request.reduce_only and kernel.exchange.check_submit(order, kernel.last_bar.close_ticks):
        return Outcome(False, NOTHING_TO_REDUCE.code, (NOTHING_TO_REDUCE,))
    refusals = kernel.risk.check(order.request, view, Stage.ADVICE)
    refusals += kernel.decider.entry_refusals(order.request)
    if refusals:
        return Outcome(False, refusals[0].code, refusals)
    kernel.pending[order.id] = order
    kernel.event("pending", order.id, quantity=order.request.quantity_lots)
    return _DONE


_HANDLERS: dict[str, Callable[[Kernel, Command, AccountContext], Outcome]] = {
    "approve": _approve,
    "reject": _reject,
    "expire": _expire,
    "cancel": _cancel,
    "halt": _halt,
    "resume": _resume,
    "stop": _stop,
    "end": _end,
    "caretake": _caretake,
    "limits": _limits,
    "plan": _plan,
}
