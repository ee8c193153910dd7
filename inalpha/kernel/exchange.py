"""The simulated exchange: working orders, one bar at a time, into fills on the book.

The same object serves backtest, paper and replay. Rules are cited by their number in docs/matching.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inalpha.kernel.book import Book
from inalpha.kernel.costs import notional_e8
from inalpha.kernel.matching import Match, Phase, limit_is_open, match
from inalpha.kernel.orders import STOP_LOSS, TAKE_PROFIT, LiveOrder, by_number
from inalpha.kernel.records import Fill, OrderEnd
from inalpha.kernel.refused import NOTHING_TO_REDUCE, insufficient_cash, short_not_allowed
from inalpha.kernel.spec import RunSpec
from inalpha.kernel.time_in_force import ends_at, is_one_bar
from inalpha.model.bar import Bar
from inalpha.model.calendar import calendar_of
from inalpha.model.money import E8
from inalpha.model.order import OrderRequest, OrderState, OrderType, Side, TimeInForce
from inalpha.model.risk import Refusal
from inalpha.model.step import OrderEvent

FillCheck = Callable[[LiveOrder, Bar, int, int, int], tuple[Refusal, ...]]

_PHASES = tuple(Phase)
_SLIPPING = (OrderType.MARKET, OrderType.STOP_MARKET)
_PARTICIPATION_DIVISOR = 40  # a fill above 2.5 % of its bar's volume carries a warning


class Exchange:
    """fill_check(order, bar, price_ticks, lots, fee_e8): a last look at an entry (every refusal; none to go on).

    fills, ends, events and entry_fills are drained by the kernel. position_number: positions opened so far.
    """

    def __init__(self, spec: RunSpec, book: Book, fill_check: FillCheck) -> None:
        self.spec = spec
        self.book = book
        self.working: dict[str, LiveOrder] = {}
        self.fills: list[Fill] = []
        self.ends: list[OrderEnd] = []
        self.events: list[OrderEvent] = []
        self.entry_fills: list[tuple[int, int]] = []
        self.fill_count = 0
        self.position_number = 0
        self.previous_volume_e8 = 0
        self._numbers = 0
        self._fill_check = fill_check

    def new_order(self, request: OrderRequest, plan_close_ticks: int) -> LiveOrder:
        self._numbers += 1
        return LiveOrder(request, self._numbers, plan_close_ticks)

    def accept(self, order: LiveOrder, accepted_ns: int, event_ns: int) -> None:
        """The order works from now on; bars that opened before accepted_ns do not match it (M1)."""
        order.accept(accepted_ns)
        order.one_bar = is_one_bar(order.request, self.spec.timeframe_ns)
        order.ends_ns = ends_at(
            order.request, accepted_ns, self.spec.timeframe_ns, calendar_of(self.spec.instrument.calendar)
        )
        self.working[order.id] = order
        self.events.append(OrderEvent("accepted", order.id, event_ns, order.remaining_lots))

    def end(
        self,
        order: LiveOrder,
        state: OrderState,
        code: str,
        time_ns: int,
        refusals: tuple[Refusal, ...] = (),
    ) -> None:
        """Move a working or pending order to an end state and tell everyone."""
        order.move(state)
        self.working.pop(order.id, None)
        self.ends.append(OrderEnd(order.request.intent, order.child, state, code, refusals))
        self.events.append(OrderEvent(state.value, order.id, time_ns, code=code, reason=order.request.reason))

    def expire_before(self, now_ns: int) -> None:
        """Timers due before the step's now: M18, such an order does not match this bar."""
        self.expire_at(now_ns - 1)

    def expire_at(self, now_ns: int) -> None:
        """Timers due exactly at now fire after matching."""
        due = [
            (order.ends_ns, order.number, order)
            for order in self.working.values()
            if order.ends_ns is not None and order.ends_ns <= now_ns
        ]
        if due:
            for ends_ns, _, order in sorted(due, key=lambda timer: timer[:2]):
                self.end(order, OrderState.EXPIRED, "EXPIRED", ends_ns)

    def process_bar(self, bar: Bar) -> None:
        """Match every working order against one closed bar, in the order that M4 assumes."""
        for phase in _PHASES:
            newest = 0
            # A leg born at this open is looked at in the same phase: the open may be beyond its stop (M14).
            while batch := [order for order in self.working.values() if order.number > newest]:
                batch.sort(key=by_number)
                newest = batch[-1].number
                for order in batch:
                    if self._may_match(order, bar):
                        self._match_in_phase(order, phase, bar)
            if not self.working:
                return
            if phase is Phase.OPEN:
                self._cancel_immediate(bar)
        for order in list(self.working.values()):
            if order.one_bar and bar.open_time_ns >= order.accepted_ns:
                self.end(order, OrderState.EXPIRED, "EXPIRED", bar.close_time_ns)

    def _may_match(self, order: LiveOrder, bar: Bar) -> bool:
        return (
            order.id in self.working
            and bar.open_time_ns >= order.accepted_ns
            and bar.sequence >= order.from_sequence
            and order.last_fill != bar.sequence
        )

    def _match_in_phase(self, order: LiveOrder, phase: Phase, bar: Bar) -> None:
        request = order.request
        found = match(
            phase,
            order.type,
            int(request.side),
            request.limit_ticks,
            request.stop_ticks,
            bar,
            through=self.spec.limit_fill == "through",
        )
        if found is None:
            return
        if found.triggered:
            self._trigger(order, found, phase, bar)
        if found.price_ticks is not None:
            at_open = phase in (Phase.MARKET, Phase.OPEN)
            time_ns = bar.open_time_ns if at_open else bar.close_time_ns
            self.fill(order, bar, found.price_ticks, time_ns, at_open=at_open)

    def _trigger(self, order: LiveOrder, found: Match, phase: Phase, bar: Bar) -> None:
        if order.state is OrderState.ACCEPTED:
            order.move(OrderState.TRIGGERED)
        order.type = OrderType.LIMIT
        if found.price_ticks is None and phase is Phase.STOPS:
            order.from_sequence = bar.sequence + 1  # M12: the path after the trigger is unknown

    def _cancel_immediate(self, bar: Bar) -> None:
        for order in list(self.working.values()):
            tif = order.request.time_in_force
            if tif is TimeInForce.IOC and order.child is None and bar.open_time_ns >= order.accepted_ns:
                self.end(order, OrderState.CANCELLED, "IOC_UNFILLED", bar.open_time_ns)

    def fill_now(self, order: LiveOrder, bar: Bar) -> None:
        """M2: under same_close a market order or a fitting IOC limit fills at the deciding close."""
        side, limit = int(order.request.side), order.request.limit_ticks
        if order.type is OrderType.MARKET or (
            order.type is OrderType.LIMIT
            and limit is not None
            and limit_is_open(side, limit, bar.close_ticks)
        ):
            self.fill(order, bar, bar.close_ticks, bar.close_time_ns, at_open=False)
        if order.id in self.working and order.request.time_in_force is TimeInForce.IOC:
            self.end(order, OrderState.CANCELLED, "IOC_UNFILLED", bar.close_time_ns)

    def fill(self, order: LiveOrder, bar: Bar, price_ticks: int, time_ns: int, *, at_open: bool) -> None:
        """Execute at a price from the bar, or cancel with the reason why the book cannot take it."""
        side = int(order.request.side)
        lots = self._reducible(order, side)
        if lots == 0:
            self.end(order, OrderState.CANCELLED, "NOTHING_TO_REDUCE", time_ns)
            return
        is_clamped = lots < order.remaining_lots
        lots = min(lots, self._participation_lots(bar))
        if lots == 0:
            return
        instrument = self.spec.instrument
        if order.type in _SLIPPING:
            quantity_e8 = instrument.quantity_e8(lots)
            price_ticks = self.spec.slippage.slipped_ticks(
                price_ticks, side, quantity_e8, self.previous_volume_e8
            )
        notional = abs(notional_e8(instrument, price_ticks, lots))
        fee = self.spec.fee.fee_e8(notional, instrument.quantity_e8(lots))
        if order.is_entry:  # M19: what only reduces always fills, also where it takes the book below zero
            short_of = self._affordable(side, lots, price_ticks, notional, fee)
            refusals = (short_of,) if short_of else self._fill_check(order, bar, price_ticks, lots, fee)
            if refusals:
                self.end(order, OrderState.CANCELLED, refusals[0].code, time_ns, refusals)
                return
        held = self.book.lots
        self.book.apply(side, lots, price_ticks, fee)
        # P8 counts what enters, a turn through zero too: its first fill leaves a position of its own side.
        was_entry = order.filled_lots == 0 and order.is_entry and self.book.lots * side > 0
        if held == 0 or held * self.book.lots < 0:
            self.position_number += 1
        if was_entry:
            self.entry_fills.append((bar.close_time_ns, side))
        order.last_fill = bar.sequence
        order.filled_lots += lots
        order.remaining_lots = 0 if is_clamped and self.book.lots == 0 else order.remaining_lots - lots
        self._record(order, bar, lots, price_ticks, fee, time_ns)
        self._after_fill(order, bar, lots, time_ns, at_open)

    def _reducible(self, order: LiveOrder, side: int) -> int:
        """M17: a reduce_only order never turns the position round."""
        if not order.request.reduce_only:
            return order.remaining_lots
        return min(order.remaining_lots, max(0, -self.book.lots * side))

    def _participation_lots(self, bar: Bar) -> int:
        cap = self.spec.participation_cap_e8
        if cap is None:
            return 1 << 62
        return cap * bar.volume_e8 // (E8 * self.spec.instrument.lot_e8)

    def _affordable(self, side: int, lots: int, price_ticks: int, notional: int, fee: int) -> Refusal | None:
        """M19 and the short rules of a cash account: what is missing, or None."""
        book = self.book
        opening = lots if book.lots * side >= 0 else max(0, lots - abs(book.lots))
        if side > 0:
            return _short_of(notional + fee, book.cash_e8)
        if opening == 0:
            return _short_of(fee, book.cash_e8 + notional)
        if not self.spec.allow_short:
            return short_not_allowed(opening, self.spec.instrument)
        short_lots = opening + (abs(book.lots) if book.lots < 0 else 0)
        reserve = abs(notional_e8(self.spec.instrument, price_ticks, short_lots))
        return _short_of(reserve + fee, book.own_cash_e8())

    def check_submit(self, order: LiveOrder, close_ticks: int) -> Refusal | None:
        """What is demanded on arrival: something to reduce; of an entry no forbidden short, and cash."""
        request, book = order.request, self.book
        side = int(request.side)
        if request.reduce_only:
            return NOTHING_TO_REDUCE if book.lots * side >= 0 else None
        price = request.limit_ticks or request.stop_ticks or close_ticks
        lots = request.quantity_lots
        notional = abs(notional_e8(self.spec.instrument, price, lots))
        reserved = self._working_buys_e8(close_ticks) if side > 0 else 0
        fee = self.spec.fee.fee_e8(notional + reserved, self.spec.instrument.quantity_e8(lots))
        return self._affordable(side, lots, price, notional + reserved, fee)

    def _working_buys_e8(self, close_ticks: int) -> int:
        total = 0
        for order in self.working.values():
            if order.request.side is Side.BUY and not order.request.reduce_only:
                seen = order.projection(close_ticks)
                total += notional_e8(self.spec.instrument, seen.reference_ticks, seen.remaining_lots)
        return total

    def _record(self, order: LiveOrder, bar: Bar, lots: int, price: int, fee: int, time_ns: int) -> None:
        quantity_e8 = self.spec.instrument.quantity_e8(lots)
        warning = "PARTICIPATION" if quantity_e8 * _PARTICIPATION_DIVISOR > bar.volume_e8 else ""
        self.fills.append(
            Fill(
                order.request.intent,
                order.child,
                self.fill_count,
                order.request.side,
                lots,
                price,
                fee,
                time_ns,
                order.request.reason,
                self.book.lots,
                self.book.cash_e8,
                warning,
                bar.sequence,
                order.request.reduce_only,
            )
        )
        self.fill_count += 1
        self.events.append(
            OrderEvent("filled", order.id, time_ns, lots, price, fee, reason=order.request.reason)
        )

    def _after_fill(self, order: LiveOrder, bar: Bar, lots: int, time_ns: int, at_open: bool) -> None:
        if order.remaining_lots:
            order.move(OrderState.PARTIALLY_FILLED)
        else:
            order.move(OrderState.FILLED)
            self.working.pop(order.id, None)
            self.ends.append(OrderEnd(order.request.intent, order.child, OrderState.FILLED, ""))
        if order.child is not None:
            self._cancel_siblings(order, time_ns)
        if self.working:
            self._end_needless_exits(time_ns)
        if order.request.stop_loss_ticks is not None or order.request.take_profit_ticks is not None:
            self._grow_children(order, bar, lots, at_open)

    def _cancel_siblings(self, filled: LiveOrder, time_ns: int) -> None:
        """M16: the other leg, and what is left of an entry whose own stop or target has been reached."""
        for order in list(self.working.values()):
            is_sibling = order.parent is filled.parent and order is not filled
            if is_sibling or order is filled.parent:
                self.end(order, OrderState.CANCELLED, "OCO", time_ns)

    def _end_needless_exits(self, time_ns: int) -> None:
        """M16: a position closed (or turned) by whatever fill leaves no exit behind, nor a leg's entry."""
        for order in list(self.working.values()):
            if order.is_entry or order.id not in self.working or self.book.lots * int(order.request.side) < 0:
                continue
            self.end(order, OrderState.CANCELLED, "POSITION_CLOSED", time_ns)
            if order.parent is not None and order.parent.id in self.working:
                self.end(order.parent, OrderState.CANCELLED, "POSITION_CLOSED", time_ns)

    def _grow_children(self, entry: LiveOrder, bar: Bar, lots: int, at_open: bool) -> None:
        """M13, M14: legs for the filled quantity, in this bar only when the entry filled at its open."""
        request = entry.request
        for child, stop, limit in (
            (STOP_LOSS, request.stop_loss_ticks, None),
            (TAKE_PROFIT, None, request.take_profit_ticks),
        ):
            if (stop is None and limit is None) or self.book.lots * int(request.side) <= 0:
                continue
            known = self.working.get(f"{request.intent}:{child}")
            if known is not None:
                known.remaining_lots += lots
            if known is not None or entry.filled_lots > lots:
                continue  # grown, or taken away by its author: a leg is made once, with the first fill
            leg = replace(
                request,
                side=Side(-request.side),
                type=OrderType.STOP_MARKET if stop is not None else OrderType.LIMIT,
                quantity_lots=lots,
                limit_ticks=limit,
                stop_ticks=stop,
                time_in_force=TimeInForce.GTC,
                expires_ns=None,
                reduce_only=True,
                stop_loss_ticks=None,
                take_profit_ticks=None,
                reason=child,
            )
            self._numbers += 1
            order = LiveOrder(leg, self._numbers, bar.close_ticks, parent=entry, child=child)
            order.from_sequence = bar.sequence if at_open else bar.sequence + 1
            self.accept(order, bar.open_time_ns, bar.open_time_ns if at_open else bar.close_time_ns)


def _short_of(needed_e8: int, available_e8: int) -> Refusal | None:
    return insufficient_cash(needed_e8, available_e8) if needed_e8 > available_e8 else None
