"""What one step does besides matching: decisions, denials, events, commands, endings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.bench import CONTEXT, START_NS, Bench, bench, buy, make_bar, make_spec, sell

from inalpha.kernel.kernel import StepError
from inalpha.kernel.time_in_force import DAY_NS, ends_at
from inalpha.model.bar import Bar
from inalpha.model.calendar import calendar_of
from inalpha.model.money import E8
from inalpha.model.order import OrderRequest, OrderState, OrderType, Side, TimeInForce
from inalpha.model.risk import Refusal, RunView, Stage, Trip
from inalpha.model.states import HaltState
from inalpha.model.step import Intent, StepReply

FLAT = (10000, 10000, 10000, 10000)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (buy(None), "BAD_QUANTITY"),  # type: ignore[arg-type]
        (buy("0"), "BAD_QUANTITY"),
        (buy("-5"), "BAD_QUANTITY"),
        (buy("nonsense"), "BAD_QUANTITY"),
        (buy("0.5"), "BELOW_LOT"),
        (buy(limit="0"), "BAD_PRICE"),
        (buy(limit="-1"), "BAD_PRICE"),
        (buy(stop_loss="0"), "BAD_PRICE"),
        (buy(type="limit"), "BAD_PRICE"),
        (buy(type="iceberg"), "BAD_TYPE"),
        (buy(tif="FOK"), "BAD_TIF"),
        (buy(tif="GTD"), "BAD_EXPIRES"),
        (buy(expires=START_NS + DAY_NS), "BAD_EXPIRES"),
        (buy(tif="GTD", expires=START_NS), "BAD_EXPIRES"),
        (buy(tif="IOC", stop="101"), "IOC_STOP"),
        (buy(stop_loss="101"), "BRACKET_PRICE"),
        (buy(take_profit="99"), "BRACKET_PRICE"),
        (buy(limit="90", stop_loss="95"), "BRACKET_PRICE"),
        ({"side": "hold"}, "BAD_SIDE"),
        (buy(action="shout"), "BAD_ACTION"),
        (sell(), "SHORT_NOT_ALLOWED"),
        (sell(reduce_only=True), "NOTHING_TO_REDUCE"),
        (buy("1000000"), "INSUFFICIENT_CASH"),
    ],
)
def test_an_impossible_order_is_denied_with_its_code(asked: dict[str, Any], code: str) -> None:
    made = bench({0: [asked]}, FLAT)
    (decision,) = made.results[0].decisions
    assert (decision.outcome, decision.code) == ("rejected", code)
    assert made.kernel.orders == ()
    made.feed(FLAT)
    event = made.runner.requests[-1].events[0]
    assert (event.kind, event.code) == ("rejected" if code == "INSUFFICIENT_CASH" else "denied", code)


def test_quantities_and_prices_round_to_the_cautious_side() -> None:
    script = {
        0: [
            buy("2.9", limit="99.999"),
            buy("1", stop="100.001"),
            buy(stop_loss="95.009", take_profit="105.001"),
        ]
    }
    orders = [decision.order for decision in bench(script, FLAT).results[0].decisions]
    assert [o and o.quantity_lots for o in orders] == [2, 1, 1]
    assert orders[0] and orders[0].limit_ticks == 9999
    assert orders[1] and orders[1].stop_ticks == 10001
    assert orders[2] and (orders[2].stop_loss_ticks, orders[2].take_profit_ticks) == (9500, 10501)


def test_events_arrive_with_the_next_bar_in_sequence() -> None:
    made = bench({0: [buy(), buy("0")]}, FLAT, FLAT)
    assert [(e.kind, e.order) for e in made.runner.requests[1].events] == [
        ("accepted", "0:0"),
        ("denied", "0:1"),
        ("filled", "0:0"),
    ]


def test_a_cancel_works_in_its_own_step() -> None:
    made = bench({0: [buy(limit="90")], 1: [{"cancel": "0:0"}, {"cancel": "9:9"}]}, FLAT, FLAT)
    assert made.kernel.orders == ()
    assert [(end.intent, end.code) for end in made.ends] == [("0:0", "STRATEGY")]


def test_a_repeated_intent_number_is_denied() -> None:
    made = Bench(make_spec(), {})
    bar = make_bar(FLAT, 0)
    made.kernel.begin(bar, bar.close_time_ns, CONTEXT)
    ask = Intent(0, "order", "buy", "1")
    result = made.kernel.finish(StepReply(0, (ask, ask)), CONTEXT)
    assert [decision.code for decision in result.decisions] == ["", "DUPLICATE_INTENT"]


def test_an_error_voids_the_bars_intents_and_ends_the_runner() -> None:
    made = bench({0: [buy(limit="90")]}, FLAT)
    bar = make_bar(FLAT, 1)
    made.kernel.begin(bar, bar.close_time_ns, CONTEXT)
    reply = StepReply(1, (Intent(0, "order", "buy", "1"),), error="ValueError: no (line 3)")
    result = made.kernel.finish(reply, CONTEXT)
    assert result.decisions == ()
    assert result.error == "ValueError: no (line 3)"
    assert [(end.intent, end.code) for end in result.ended] == [("0:0", "RUN_FAILED")]
    assert made.feed(FLAT).error == ""
    assert len(made.runner.requests) == 1  # never asked again


def test_a_lost_runner_leaves_the_exits_working() -> None:
    made = bench({0: [buy(stop_loss="95"), buy(limit="90")]}, FLAT, FLAT)
    bar = make_bar(FLAT, 2)
    made.kernel.begin(bar, bar.close_time_ns, CONTEXT)
    made.kernel.finish(None, CONTEXT)
    assert [order.id for order in made.kernel.orders] == ["0:0:stop_loss"]
    made.feed((9400, 9500, 9300, 9400))
    assert made.kernel.position_lots == 0


def test_short_needs_permission_and_own_cash() -> None:
    spec = {"allow_short": True, "opening_cash_e8": 1_002 * 10**8}
    assert bench({0: [sell("10")]}, FLAT, FLAT, **spec).kernel.position_lots == -10
    assert bench({0: [sell("11")]}, FLAT, **spec).results[0].decisions[0].code == "INSUFFICIENT_CASH"


def test_a_fill_through_zero_closes_then_opens() -> None:
    made = bench({0: [buy("10")], 1: [sell("15")]}, FLAT, FLAT, (11000,) * 4, allow_short=True)
    book = made.kernel.book
    assert book.lots == -5
    assert book.realised_e8 == 10 * 10 * 10**8
    assert book.cost_e8 == -5 * 110 * 10**8


@pytest.mark.parametrize(
    ("state", "left"),
    [(HaltState.REDUCING, ["1:0"]), (HaltState.HALTED, []), (HaltState.KILLED, [])],
)
def test_halts_cancel_what_they_must(state: HaltState, left: list[str]) -> None:
    script = {0: [buy("10")], 1: [sell("10", stop="90"), buy(limit="90")]}
    made = bench(script, FLAT, FLAT)
    made.command("halt", state=state)
    assert [order.id for order in made.kernel.orders] == left
    assert made.kernel.runner_ended is (state is HaltState.KILLED)


def test_human_orders_wait_and_a_rejection_ends_them() -> None:
    made = Bench(make_spec(approval="human"), {0: [buy(), buy("2")]})
    assert [d.outcome for d in made.feed(FLAT).decisions] == ["pending", "pending"]
    result = made.command("reject", intent="0:1", code="OPERATOR")
    assert [(end.state, end.code) for end in result.ended] == [(OrderState.DENIED, "OPERATOR")]
    assert made.feed(FLAT).fills == ()
    assert [view.state for view in made.runner.requests[-1].orders] == ["pending"]


def test_an_unknown_plan_cannot_be_approved() -> None:
    made = bench({}, FLAT)
    result = made.command("approve", intent="7:0")
    assert (result.accepted, result.code) == (False, "UNKNOWN_ORDER")


def test_a_plan_from_outside_works_once_approved() -> None:
    made = bench({}, FLAT)
    order = OrderRequest("plan-1", Side.BUY, OrderType.MARKET, 3)
    assert made.command("plan", order=order).accepted
    assert made.command("plan", order=order).code == "DUPLICATE_INTENT"
    assert made.command("approve", intent="plan-1").accepted
    assert [(f.intent, f.quantity_lots) for f in made.feed(FLAT).fills] == [("plan-1", 3)]


@dataclass
class Recorder:
    """Keeps the views it is shown; refuses at one stage."""

    stage: Stage | None = None

    def __post_init__(self) -> None:
        self.seen: list[tuple[Stage, RunView]] = []

    def check(self, order: OrderRequest, view: RunView, stage: Stage) -> tuple[Refusal, ...]:
        self.seen.append((stage, view))
        return (Refusal("NO", "P0", "1", "0", "", "s", "m"),) if stage is self.stage else ()

    def trips(self, view: RunView, *, entered: bool, refused: bool) -> tuple[Trip, ...]:
        return ()

    def under(self, rules: str) -> Recorder:
        return self


@pytest.mark.parametrize("stage", [Stage.ADVICE, Stage.BINDING])
def test_a_refusal_is_the_decisions_outcome(stage: Stage) -> None:
    made = Bench(make_spec(), {0: [buy()]}, risk=Recorder(stage))
    (decision,) = made.feed(FLAT).decisions
    assert (decision.outcome, decision.code, len(decision.refusals)) == ("risk_rejected", "NO", 1)


def test_a_refusal_at_the_fill_price_cancels() -> None:
    risk = Recorder(Stage.FILL)
    made = Bench(make_spec(), {0: [buy()]}, risk=risk)
    made.feed(FLAT, (12345,) * 4)
    assert made.fills == []
    assert made.ends[0].code == "NO"
    view = risk.seen[-1][1]
    assert view.fill is not None
    assert (view.fill.price_ticks, view.plan_close_ticks, view.bar.open_ticks) == (12345, 10000, 12345)


def test_the_view_counts_requests_orders_and_entries() -> None:
    risk = Recorder()
    made = Bench(make_spec(), {0: [buy(), buy("2")]}, risk=risk)
    made.feed(FLAT, FLAT)
    second = [view for stage, view in risk.seen if stage is Stage.BINDING][1]
    assert second.bar_requests == ((1, 1),)
    assert second.orders_this_bar == 1
    assert second.recent_orders_ns == (made.results[0].bar.close_time_ns,)
    assert [w.remaining_lots for w in second.working] == [1]
    after = made.kernel.run_view(CONTEXT)
    assert [side for _, side in after.entry_fills_ns] == [1, 1]
    assert after.position_lots == 3
    assert tuple(after.closes_ticks) == (10000, 10000)


def test_bars_must_come_in_sequence_and_in_time() -> None:
    made = bench({}, FLAT)
    with pytest.raises(StepError, match="want 1"):
        made.kernel.begin(make_bar(FLAT, 0), 0, CONTEXT)
    early = replace_times(1)
    with pytest.raises(StepError, match="before"):
        made.kernel.begin(early, 0, CONTEXT)


def replace_times(sequence: int) -> Any:
    import msgspec

    return msgspec.structs.replace(make_bar(FLAT, 0), sequence=sequence)


def test_day_orders_end_with_their_session() -> None:
    order = OrderRequest("0:0", Side.BUY, OrderType.MARKET, 1, time_in_force=TimeInForce.DAY)
    minute = 60_000_000_000
    wednesday = START_NS
    friday_noon = START_NS + 2 * DAY_NS + DAY_NS // 2
    saturday = START_NS + 3 * DAY_NS
    assert ends_at(order, wednesday, minute, calendar_of("24/7")) == wednesday + DAY_NS
    assert ends_at(order, friday_noon, minute, calendar_of("weekdays")) == saturday
    assert ends_at(order, saturday, minute, calendar_of("weekdays")) == saturday + 3 * DAY_NS
    # New York is UTC-5 in January and UTC-4 in July.
    assert ends_at(order, wednesday, minute, calendar_of("fx")) == wednesday + 22 * 3600 * 10**9
    july = wednesday + 182 * DAY_NS  # 2020-07-01
    assert ends_at(order, july, minute, calendar_of("fx")) == july + 21 * 3600 * 10**9
    assert ends_at(replace(order, time_in_force=TimeInForce.GTC), july, minute, calendar_of("fx")) is None


def test_a_day_order_on_daily_bars_gets_one_bar() -> None:
    made = bench({0: [buy(limit="99", tif="DAY")]}, FLAT, FLAT, timeframe="1d")
    assert [(end.state, end.code) for end in made.ends] == [(OrderState.EXPIRED, "EXPIRED")]


class TripAbove:
    """Wants out once the position is worth less than its cost."""

    def observe(self, bar: Bar, lots: int, position: int) -> None:
        pass

    def under(self, rules: str) -> TripAbove:
        return self

    def trip(self, view: RunView, average: tuple[int, int]) -> str:
        return "HARD_STOP" if view.position_value_e8 < average[0] else ""


def test_the_guard_closes_after_the_strategy_ended_and_once() -> None:
    from inalpha.kernel.gateway import HumanGateway, NoRisk
    from inalpha.kernel.kernel import Kernel

    made = Bench(make_spec(), {0: [buy("10")]})
    made.kernel = Kernel(made.spec, NoRisk(), HumanGateway(), journal=made.entries.append, guard=TripAbove())
    made.feed(FLAT)
    made.command("approve", intent="0:0")
    made.feed(FLAT)
    made.command("stop")
    result = made.feed((9000,) * 4)
    assert [(d.intent, d.outcome) for d in result.decisions] == [("2:16", "working")]
    assert made.feed((8900,) * 4).position_lots == 0
    assert made.fills[-1].reason == "HARD_STOP"


def test_a_strategy_cannot_cancel_the_exit_of_the_guard() -> None:
    from inalpha.kernel.gateway import DirectGateway, NoRisk
    from inalpha.kernel.kernel import Kernel

    cancels = {bar: [{"cancel": f"{bar}:16"}, {"cancel": f"{bar - 1}:16"}] for bar in range(1, 6)}
    made = Bench(make_spec(), {0: [buy("10")], **cancels})
    made.kernel = Kernel(made.spec, NoRisk(), DirectGateway(), journal=made.entries.append, guard=TripAbove())
    made.feed(FLAT, FLAT, (9000,) * 4, (8900,) * 4)
    assert made.kernel.position_lots == 0
    assert [fill.reason for fill in made.fills] == ["", "HARD_STOP"]


@pytest.mark.parametrize("approves", [False, True], ids=["proposed late", "approved late"])
def test_no_proposal_enters_while_the_guard_closes_the_position(approves: bool) -> None:
    from inalpha.kernel.gateway import DirectGateway, NoRisk
    from inalpha.kernel.kernel import Kernel

    made = Bench(make_spec(), {0: [buy("10")]})
    made.kernel = Kernel(made.spec, NoRisk(), DirectGateway(), journal=made.entries.append, guard=TripAbove())
    made.feed(FLAT, FLAT)
    order = OrderRequest("plan-7", Side.BUY, OrderType.MARKET, 10)
    if approves:
        assert made.command("plan", order=order).accepted
    assert made.feed((9000,) * 4).decisions[0].intent == "2:16"
    found = made.command("approve", intent="plan-7") if approves else made.command("plan", order=order)
    assert (found.accepted, found.code) == (False, "GUARD_EXIT_PENDING")
    assert [refusal.code for refusal in found.refusals] == ["GUARD_EXIT_PENDING"]
    assert made.feed((8900,) * 4).position_lots == 0
    assert not made.kernel.orders
    assert made.command("plan", order=order).accepted


def test_an_approval_between_bars_does_not_count_for_the_next_bar() -> None:
    made = Bench(make_spec(approval="human"), {0: [buy()]})
    made.feed(FLAT)
    made.command("approve", intent="0:0")
    assert made.kernel.run_view(CONTEXT).orders_this_bar == 1
    made.feed(FLAT)
    assert made.kernel.run_view(CONTEXT).orders_this_bar == 0


def test_a_cost_share_rounds_half_to_even() -> None:
    from inalpha.kernel.book import Book
    from inalpha.model.instrument import Instrument

    book = Book(Instrument("X", tick_e8=1, lot_e8=10**8), 100)
    for price in (3, 4):
        book.apply(1, 1, price, 0)
    book.apply(-1, 1, 5, 0)  # half of 7 is 3.5: to the even 4, not down to 3
    assert (book.cost_e8, book.realised_e8) == (3, 1)


def test_a_stop_that_fires_before_its_entry_is_complete_ends_the_entry() -> None:
    """Else the rest of the entry would fill with no leg, or with a second leg of the same name."""
    tenth = E8 // 10
    entry = buy("10", limit="99", stop_loss="95", take_profit="120")
    made = Bench(make_spec(participation_cap_e8=tenth), {0: [entry]})
    made.feed(FLAT)
    made.feed((9890, 9890, 9880, 9890), volume_e8=50 * E8)
    assert [order.id for order in made.kernel.orders] == ["0:0", "0:0:stop_loss", "0:0:take_profit"]
    made.feed((9950, 9950, 9400, 9800), volume_e8=60 * E8)
    assert made.kernel.position_lots == 0
    assert made.kernel.orders == ()


def test_a_leg_that_its_author_cancelled_does_not_come_back_with_the_next_part_of_the_entry() -> None:
    entry = buy("10", limit="99", stop_loss="95", take_profit="120")
    made = Bench(make_spec(participation_cap_e8=E8 // 10), {0: [entry], 1: [{"cancel": "0:0:stop_loss"}]})
    made.feed(FLAT)
    made.feed((9890, 9890, 9880, 9890), (9890, 9890, 9880, 9890), volume_e8=50 * E8)
    assert made.kernel.position_lots == 10
    assert [(order.id, order.remaining_lots) for order in made.kernel.orders] == [("0:0:take_profit", 10)]


def test_a_position_closed_by_hand_ends_the_rest_of_its_entry() -> None:
    entry = buy("10", limit="99", stop_loss="95")
    made = Bench(make_spec(participation_cap_e8=E8 // 10), {0: [entry], 1: [sell("5", reduce_only=True)]})
    made.feed(FLAT)
    made.feed((9890, 9890, 9880, 9890), volume_e8=50 * E8)
    made.feed((9950, 9950, 9940, 9950), volume_e8=50 * E8)
    assert made.kernel.position_lots == 0
    assert made.kernel.orders == ()
